//! What remains of an instance's resources: as ECS reports it, or as it follows from who is there.
//!
//! Every start and every end of a task changes what ECS says remains. Where others use what they used before, each of
//! these reports follows from our own reservations, and storing them all would cost more than everything else.

use super::InstanceState;
use crate::quantity::{CpuUnits, GpuCount, MemoryMib};
use crate::reservation::{ReportInclusion, Reservation, ReservationState};
use crate::resources::{HostPorts, Resources};

/// What remains of an instance's resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remaining {
    /// As the newest report says.
    Reported(Reported),
    /// All but what others use, which is this, and but our own reservations. `ports_taken` are the ports of others.
    Besides(Resources),
}

/// What the newest report says, where it leaves in doubt what others use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// What remains.
    pub remaining: Resources,
    /// What others used when that was known last.
    pub others_before: Option<Resources>,
}

impl Default for Remaining {
    fn default() -> Self {
        Self::Besides(Resources::default())
    }
}

impl Remaining {
    /// What remains by a report, when nothing is known of what others use.
    pub const fn reported(remaining: Resources) -> Self {
        Self::Reported(Reported {
            remaining,
            others_before: None,
        })
    }

    /// Whether nobody but us uses the instance.
    pub(super) fn is_ours_alone(&self) -> bool {
        *self == Self::default()
    }

    /// What remains after a report, which is taken into `state` but for this; `None` when the report may be older than
    /// what is known of our tasks, and something else was known before.
    ///
    /// Others use what they used before if that explains the report. They use more as soon as it says so, and less
    /// only when it is sure that the difference is not one of our tasks whose end is not known yet: when ECS says so
    /// once more upon a question.
    pub(super) fn after_report(
        &self,
        reported: &Resources,
        state: &InstanceState,
        age: ReportAge,
    ) -> Option<Self> {
        let used = UseByOthers::of(reported, state);
        let others_before = match self {
            Self::Besides(others) => Some(others),
            Self::Reported(before) => before.others_before.as_ref(),
        };
        if let Some(others) = others_before.filter(|others| used.may_be(others)) {
            return Some(Self::Besides(others.clone()));
        }
        if others_before.is_some() && age == ReportAge::MayBeOlder {
            return None;
        }
        let is_asked_again = age == ReportAge::AskedFor && matches!(self, Self::Reported(_));
        Some(match (used.for_certain(), others_before) {
            (Some(others), None) => Self::Besides(others),
            (Some(others), Some(less)) if is_asked_again || includes(&others, less) => Self::Besides(others),
            _ => self.in_doubt(reported.clone()),
        })
    }

    /// What remains by a report that leaves in doubt what others use.
    pub(super) fn in_doubt(&self, reported: Resources) -> Self {
        let others_before = match self {
            Self::Besides(others) => Some(others.clone()),
            Self::Reported(before) => before.others_before.clone(),
        };
        Self::Reported(Reported {
            remaining: reported,
            others_before,
        })
    }
}

/// How old a report is beside what is known of our tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReportAge {
    /// It may tell of a moment before what is known.
    MayBeOlder,
    /// It is an event that came when it was made, as far as can be told.
    OfAnEvent,
    /// It is the answer to a question, and nothing was recorded meanwhile.
    AskedFor,
}

/// Whether the first use is nowhere less than the second.
fn includes(more: &Resources, less: &Resources) -> bool {
    more.cpu >= less.cpu
        && more.memory >= less.memory
        && more.gpu >= less.gpu
        && less.ports_taken.without(&more.ports_taken).is_empty()
}

/// What others use by a report: what is used and not by those of our tasks that the report counts. Of a task that is
/// stopping nobody can tell whether ECS has given its resources back by then; and a task that is not known to be
/// counted may be.
struct UseByOthers {
    /// If all of ours that are stopping are given back, and none is counted that is not known to be.
    most: Amounts,
    /// What ours that are stopping take.
    stopping: Amounts,
    /// Whether a task of ours may be counted that is not known to be.
    in_doubt: bool,
    ports: HostPorts,
}

/// In CPU units, MiB and devices; below zero when more is free than our tasks leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amounts {
    cpu: i64,
    memory: i64,
    gpu: i64,
}

impl UseByOthers {
    fn of(reported: &Resources, state: &InstanceState) -> Self {
        let mut most = Amounts::of(&state.registered).less(Amounts::of(reported));
        let mut stopping = Amounts::default();
        let mut in_doubt = false;
        let mut ports = reported.ports_taken.without(&state.registered.ports_taken);
        for reservation in state.reservations.values() {
            let amounts = Amounts {
                cpu: reservation.demand.cpu.get().into(),
                memory: reservation.demand.memory.get().into(),
                gpu: reservation.demand.gpu.get().into(),
            };
            if !is_counted(reservation) {
                in_doubt = true;
            } else if reservation.is_stopping() {
                stopping = stopping.and(amounts);
            } else {
                most = most.less(amounts);
            }
            ports = ports.without(&reservation.demand.ports);
        }
        Self {
            most,
            stopping,
            in_doubt,
            ports,
        }
    }

    /// Whether others may use this and nothing else.
    fn may_be(&self, others: &Resources) -> bool {
        let amounts = Amounts::of(others);
        let least = self.most.less(self.stopping);
        let is_explained = amounts == self.most || amounts == least;
        self.ports == others.ports_taken && (is_explained || amounts == Amounts::default() && least.is_none())
    }

    /// What others use; `None` when that is in doubt.
    fn for_certain(self) -> Option<Resources> {
        if self.ports.is_empty() && self.most.is_none() {
            // Whatever is in doubt, nothing is used by others.
            return Some(Resources::default());
        }
        if self.in_doubt || self.stopping != Amounts::default() {
            return None;
        }
        let amount = |amount: i64| u32::try_from(amount.max(0)).ok();
        Some(Resources {
            cpu: CpuUnits::new(amount(self.most.cpu)?),
            memory: MemoryMib::new(amount(self.most.memory)?),
            gpu: GpuCount::new(amount(self.most.gpu)?),
            ports_taken: self.ports,
        })
    }
}

impl Amounts {
    fn of(resources: &Resources) -> Self {
        Self {
            cpu: resources.cpu.get().into(),
            memory: resources.memory.get().into(),
            gpu: resources.gpu.get().into(),
        }
    }

    fn less(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(other.cpu),
            memory: self.memory.saturating_sub(other.memory),
            gpu: self.gpu.saturating_sub(other.gpu),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_add(other.cpu),
            memory: self.memory.saturating_add(other.memory),
            gpu: self.gpu.saturating_add(other.gpu),
        }
    }

    fn is_none(self) -> bool {
        self.cpu <= 0 && self.memory <= 0 && self.gpu <= 0
    }
}

fn is_counted(reservation: &Reservation) -> bool {
    match &reservation.state {
        ReservationState::Pending => false,
        ReservationState::Placed(placed) => placed.report == ReportInclusion::Included,
    }
}
