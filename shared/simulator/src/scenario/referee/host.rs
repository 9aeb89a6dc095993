//! An instance as the referee knows it, and the sums it does with amounts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use berth_scheduler::constraint::expression::{AttributeLookup, ExpressionSubject};

use crate::ecs::instance::{Registration, VersionInfo};
use crate::scenario::BEGINNING;
use crate::scenario::fleet::FleetInstance;
use crate::scenario::workload::TaskShape;

/// Amounts of cpu, memory and gpu.
pub(super) type Amounts = [u64; 3];

/// An instance as it really is.
#[derive(Debug)]
pub(super) struct Host<'a> {
    pub(super) instance: &'a FleetInstance,
    registration: Registration,
    pub(super) registered: Amounts,
    pub(super) taken: Amounts,
    /// What ended a moment ago, so that nobody can know it yet.
    pub(super) ended: VecDeque<(u64, Amounts)>,
    pub(super) running: BTreeMap<Arc<str>, u32>,
}

impl<'a> Host<'a> {
    pub(super) fn new(instance: &'a FleetInstance) -> Self {
        Self {
            instance,
            registration: instance.registration(),
            registered: [instance.cpu.get(), instance.memory.get(), instance.gpu.get()].map(u64::from),
            taken: [0; 3],
            ended: VecDeque::new(),
            running: BTreeMap::new(),
        }
    }

    pub(super) fn forget_before(&mut self, now_ms: u64, unknown_ms: u64) {
        while self
            .ended
            .front()
            .is_some_and(|(at_ms, _)| at_ms.saturating_add(unknown_ms) <= now_ms)
        {
            self.ended.pop_front();
        }
    }

    /// What is free, and has been for long enough to be known.
    pub(super) fn known_room(&self) -> Amounts {
        let unknown = self
            .ended
            .iter()
            .fold([0; 3], |sum, (_, amounts)| add(sum, *amounts));
        take(take(self.registered, self.taken), unknown)
    }
}

impl ExpressionSubject for Host<'_> {
    fn attribute(&self, name: &str) -> AttributeLookup<'_> {
        match self.registration.attributes.get(name) {
            None => AttributeLookup::Missing,
            Some(None) => AttributeLookup::WithoutValue,
            Some(Some(value)) => AttributeLookup::Value(value),
        }
    }

    fn agent_connected(&self) -> bool {
        true
    }

    fn agent_version(&self) -> Option<&str> {
        let VersionInfo { agent_version, .. } = &self.registration.versions;
        Some(agent_version)
    }

    fn ec2_instance_id(&self) -> Option<&str> {
        Some(self.instance.id.as_str())
    }

    fn registered_at_millis(&self) -> Option<i64> {
        Some(BEGINNING.as_millis())
    }

    fn running_tasks_count(&self) -> u32 {
        self.running.values().sum()
    }

    fn for_each_task_group(&self, visit: &mut dyn FnMut(&str)) {
        for (group, count) in &self.running {
            if *count > 0 {
                visit(group);
            }
        }
    }
}

pub(super) fn amounts_of(shape: &TaskShape) -> Amounts {
    let demand = &shape.demand;
    [demand.cpu.get(), demand.memory.get(), demand.gpu.get()].map(u64::from)
}

fn zip(one: Amounts, other: Amounts, join: impl Fn(u64, u64) -> u64) -> Amounts {
    let ([a, b, c], [x, y, z]) = (one, other);
    [join(a, x), join(b, y), join(c, z)]
}

pub(super) fn add(one: Amounts, other: Amounts) -> Amounts {
    zip(one, other, u64::saturating_add)
}

pub(super) fn take(from: Amounts, amounts: Amounts) -> Amounts {
    zip(from, amounts, u64::saturating_sub)
}

pub(super) fn covers(room: Amounts, needed: Amounts) -> bool {
    room.iter().zip(needed).all(|(room, needed)| *room >= needed)
}
