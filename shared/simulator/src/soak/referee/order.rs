//! NoOvertaking: whether somebody who comes first could have had the room that was reserved.

use berth_control::records::TaskRecord;
use berth_scheduler::id::{AttemptId, AttemptNumber, ContainerInstanceArn, TaskGroup, TaskId};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::policy::WaitingPolicy;
use berth_scheduler::resources::Room;
use berth_scheduler::waiting::Rank;

use super::{Invariant, Referee, Waiters};
use crate::soak::agenda::InvocationNumber;
use crate::soak::workload::Family;

impl Referee {
    /// Room was reserved for a task by the invocation that has the turn, while these wait and may start. It is somebody
    /// else's room only if the attempt begins: whoever finds the task changed meanwhile gives it back.
    pub(in crate::soak) fn reserved(
        &mut self,
        invocation: InvocationNumber,
        task: &TaskRecord,
        before: &InstanceRecord,
        policy: WaitingPolicy,
        waiting_now: &Waiters,
    ) {
        let place = (before.arn().clone(), next_attempt(task));
        self.taken_from.remove(&place);
        let Some(waiters) = self.passes.get(&(invocation, task.cluster.clone())) else {
            let detail = format!("`{}` was reserved outside a pass", task.id);
            self.taken_from.insert(place, detail);
            return;
        };
        // Whoever was known when the pass began, and still waits.
        let mut ahead = waiters
            .range(..&task.rank)
            .filter(|(rank, attempt)| waiting_now.get(*rank) == Some(*attempt));
        let overtaken = ahead.find(|(rank, attempt)| {
            let needs = self.needs_of(&rank.task(), **attempt);
            needs.is_some_and(|needs| match policy {
                WaitingPolicy::Strict => self.could_use_freed(needs, before),
                WaitingPolicy::Fill => self.could_use(needs, before),
                WaitingPolicy::Reserve(_) => {
                    self.could_use(needs, before) && !self.may_pass(task, rank, before, waiting_now)
                }
            })
        });
        if let Some((rank, _)) = overtaken {
            let detail = format!(
                "`{}` (priority {}, {:?}) was placed on `{}`, where `{}` (priority {}) waits and fits; {policy:?}",
                task.id,
                task.rank.priority().get(),
                task.outlook(),
                before.arn().id(),
                rank.task(),
                rank.priority().get()
            );
            self.taken_from.insert(place, detail);
        }
    }

    /// An attempt begins in the room that was reserved for it.
    pub(in crate::soak) fn begins(&mut self, task: &TaskRecord, on: &ContainerInstanceArn) {
        if let Some(detail) = self.taken_from.remove(&(on.clone(), task.attempt())) {
            self.blame(Invariant::NoOvertaking, detail);
        }
    }

    /// Whether a task may take room that another one could use, which comes before it: it declares to be short, and
    /// the instance may be set aside for somebody who comes before both.
    fn may_pass(&self, task: &TaskRecord, other: &Rank, on: &InstanceRecord, waiting_now: &Waiters) -> bool {
        let may_be_set_aside = |(rank, attempt): (&Rank, &AttemptNumber)| {
            let needs = self.needs_of(&rank.task(), *attempt);
            needs.is_none_or(|needs| !self.could_use(needs, on) && self.could_use_empty(needs, on))
        };
        task.outlook().declared().is_some() && waiting_now.range(..other).any(may_be_set_aside)
    }

    /// What a task needs that has made so many attempts; `None` when that is not known.
    fn needs_of(&self, task: &TaskId, attempts: AttemptNumber) -> Option<&Family> {
        let needs = self.needs.get(task)?;
        let is_first = attempts == AttemptNumber::default();
        (is_first || !needs.limits.may_grow).then_some(&needs.family)
    }

    /// Whether a task fits the room of this record and passes its constraints.
    fn could_use(&self, needs: &Family, record: &InstanceRecord) -> bool {
        is_alone(needs, record) && self.would_fit(needs, record, record.room())
    }

    /// Whether it would if all room were free.
    fn could_use_freed(&self, needs: &Family, record: &InstanceRecord) -> bool {
        is_alone(needs, record) && self.could_use_empty(needs, record)
    }

    /// Whether it would if nothing ran there.
    fn could_use_empty(&self, needs: &Family, record: &InstanceRecord) -> bool {
        self.would_fit(needs, record, &record.registered_room())
    }

    fn would_fit(&self, needs: &Family, record: &InstanceRecord, room: &Room) -> bool {
        let state = record.state();
        let fits = needs.memory_mib <= room.memory.get()
            && needs.cpu <= room.cpu.get()
            && needs.gpu <= room.gpu.get()
            && needs.port.is_none_or(|port| !room.ports_taken.tcp.contains(port));
        let attributes_known = state.attributes != berth_scheduler::attributes::Fingerprint::default();
        let matches = needs.instance_type.is_none_or(|wanted| {
            attributes_known
                && self
                    .instance_types
                    .get(record.arn())
                    .is_some_and(|known| *known == wanted)
        });
        fits && matches && record.is_candidate()
    }
}

fn next_attempt(task: &TaskRecord) -> AttemptId {
    AttemptId {
        task: task.id.clone(),
        number: task.progress.attempt.next(),
    }
}

/// Whether the constraint `distinctInstance` lets a task go there.
fn is_alone(needs: &Family, record: &InstanceRecord) -> bool {
    let group = TaskGroup::parse(&format!("family:{}", needs.name)).ok();
    !needs.distinct || !record.task_groups().any(|it| Some(it) == group.as_ref())
}
