//! The free room of an instance.

use super::{InstanceState, Remaining, Reported};
use crate::quantity::{CpuUnits, GpuCount, MemoryMib};
use crate::reservation::{ReportInclusion, Reservation, ReservationState, TaskStage};
use crate::resources::{Demand, EniRoom, HostPorts, Resources, Room};

/// Whether a reservation must be taken off what the newest report says remains.
fn missing_from_report(reservation: &Reservation) -> bool {
    match &reservation.state {
        ReservationState::Pending => true,
        ReservationState::Placed(placed) => {
            placed.report == ReportInclusion::NotYet || placed.stage == TaskStage::Stopping
        }
    }
}

pub(super) fn room(state: &InstanceState) -> Room {
    let mut ports_taken = state.registered.ports_taken.clone();
    let (mut ours, mut missing) = (Sum::default(), Sum::default());
    for reservation in state.reservations.values() {
        ours.add(&reservation.demand);
        if missing_from_report(reservation) {
            missing.add(&reservation.demand);
        }
        ports_taken.insert_all(&reservation.demand.ports);
    }
    let others = others(state, &mut ports_taken);
    let without_ours = Left::of(&state.registered).less(&ours.0);
    let left = match &state.remaining {
        Remaining::Reported(Reported { remaining, .. }) => {
            ports_taken.insert_all(&remaining.ports_taken);
            let reported = Left::of(remaining).less(&missing.0);
            without_ours.at_most(reported.less(&others.stopping.0))
        }
        Remaining::Besides(used) => {
            ports_taken.insert_all(&used.ports_taken);
            // A task of others may be known before a report counts it.
            let known = without_ours.less(&others.known.0);
            let reported = without_ours.less_resources(used);
            reported.less(&others.stopping.0).at_most(known)
        }
    };
    let eni_taken = ours.0.eni.saturating_add(others.known.0.eni);
    Room {
        cpu: left.cpu,
        memory: left.memory,
        gpu: left.gpu,
        eni: state.eni_limit.map_or(EniRoom::Unknown, |limit| {
            EniRoom::Limited(limit.saturating_take(eni_taken))
        }),
        ports_taken,
    }
}

/// What tasks of others take that are known from their events.
#[derive(Default)]
struct Others {
    known: Sum,
    /// Those that are stopping: ECS gives their resources back too early.
    stopping: Sum,
}

fn others(state: &InstanceState, ports_taken: &mut HostPorts) -> Others {
    let mut others = Others::default();
    for other in state.other_tasks.values() {
        others.known.add(&other.demand);
        if other.stage == TaskStage::Stopping {
            others.stopping.add(&other.demand);
            ports_taken.insert_all(&other.demand.ports);
        }
    }
    others
}

/// Demands added up, ports aside: ports are sets, and a union cannot count one twice.
#[derive(Default)]
struct Sum(Demand);

impl Sum {
    fn add(&mut self, demand: &Demand) {
        self.0.cpu = self.0.cpu.saturating_add(demand.cpu);
        self.0.memory = self.0.memory.saturating_add(demand.memory);
        self.0.gpu = self.0.gpu.saturating_add(demand.gpu);
        self.0.eni = self.0.eni.saturating_add(demand.eni);
    }
}

/// What is left of the resources that are amounts.
#[derive(Clone, Copy)]
struct Left {
    cpu: CpuUnits,
    memory: MemoryMib,
    gpu: GpuCount,
}

impl Left {
    fn of(resources: &Resources) -> Self {
        Self {
            cpu: resources.cpu,
            memory: resources.memory,
            gpu: resources.gpu,
        }
    }

    fn less(self, demand: &Demand) -> Self {
        Self {
            cpu: self.cpu.saturating_take(demand.cpu),
            memory: self.memory.saturating_take(demand.memory),
            gpu: self.gpu.saturating_take(demand.gpu),
        }
    }

    fn less_resources(self, used: &Resources) -> Self {
        Self {
            cpu: self.cpu.saturating_take(used.cpu),
            memory: self.memory.saturating_take(used.memory),
            gpu: self.gpu.saturating_take(used.gpu),
        }
    }

    fn at_most(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.min(other.cpu),
            memory: self.memory.min(other.memory),
            gpu: self.gpu.min(other.gpu),
        }
    }
}
