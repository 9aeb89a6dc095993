//! The referee: what really happened in a run, by what ECS said, and whether it was in order.
//!
//! It shares no code and no record with the schedulers it watches: it does its own sums from the workload and
//! the fleet, so that a mistake in their accounting cannot hide itself.

mod host;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use berth_scheduler::constraint::expression::{Dependencies, Expression};
use berth_scheduler::policy::WaitingPolicy;
use berth_scheduler::waiting::{AgingSeconds, Priority};

use self::host::{Amounts, Host, add, amounts_of, covers, take};
use super::fleet::Fleet;
use super::measures::Measures;
use super::workload::{Entry, TaskShape, Workload, group_of};

/// One task of a workload: its entries' tasks, numbered through in the order of submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TaskIndex(pub(super) usize);

/// One instance of a fleet: its position there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InstanceIndex(pub(super) usize);

/// A task's place in the order, as far as users decide it: priority, then the moment of submission in
/// milliseconds, with aging moved by the priority.
type Standing = (Reverse<Priority>, i64);

/// Who of a shape waits, by how long they declare to run, in seconds.
type WaitingOfShape = BTreeMap<Option<u32>, BTreeMap<Standing, u32>>;

/// What the referee goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Room counts as usable when it has been free for so many milliseconds: that long nobody can have told the
    /// scheduler.
    pub(super) unknown_ms: u64,
    /// Who may pass whom.
    pub(super) policy: WaitingPolicy,
    /// How fast tasks gain rank.
    pub(super) aging: Option<AgingSeconds>,
}

/// Watches a run.
#[derive(Debug)]
pub(super) struct Referee<'a> {
    workload: &'a Workload,
    /// The entry of each task.
    entries: Vec<usize>,
    lives: Vec<Life>,
    instances: Vec<Host<'a>>,
    /// For each shape, on which instances its constraint holds; `None` where that changes with the tasks.
    matching: Vec<Option<Vec<bool>>>,
    /// Those shapes.
    changing: Vec<usize>,
    /// For each shape, the group of its tasks.
    groups: Vec<Arc<str>>,
    /// For each shape, who waits.
    waiting: Vec<WaitingOfShape>,
    rules: Rules,
    inverted_starts: u64,
    overcommitted: u64,
    repeated_starts: u64,
    started: usize,
    waiting_total: u64,
    /// The present moment, and the starts in it that are not judged yet.
    now_ms: u64,
    fresh_starts: Vec<FreshStart>,
    /// Who was submitted in it: by shape.
    fresh_submissions: Vec<(usize, Standing)>,
}

/// A start whose moment is not over yet.
#[derive(Clone, Debug)]
struct FreshStart {
    standing: Standing,
    declared_s: Option<u32>,
    on: InstanceIndex,
    /// Who may have had the instance set aside: the first who waited of each shape that could use it when empty.
    claimants: Vec<(Standing, usize)>,
    /// What was known to be free there before it.
    room: Amounts,
    /// The shapes whose constraint changes with the tasks and held there before it.
    holding: Vec<usize>,
}

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    NotSubmitted,
    Waiting,
    Started { at_ms: u64, on: InstanceIndex },
    Ended { started_ms: u64, at_ms: u64 },
}

impl<'a> Referee<'a> {
    /// A referee of this workload on this fleet.
    pub(super) fn new(workload: &'a Workload, fleet: &'a Fleet, rules: Rules) -> Self {
        let hosts: Vec<Host<'a>> = fleet.instances.iter().map(Host::new).collect();
        let matching: Vec<_> = workload
            .shapes
            .iter()
            .map(|shape| matching(shape, &hosts))
            .collect();
        let changing = matching.iter().enumerate().filter(|(_, known)| known.is_none());
        let changing = changing.map(|(shape, _)| shape).collect();
        let entries = workload.entries.iter().enumerate();
        let entries: Vec<usize> = entries
            .flat_map(|(position, entry)| std::iter::repeat_n(position, entry.count as usize))
            .collect();
        Self {
            workload,
            lives: vec![Life::NotSubmitted; entries.len()],
            entries,
            instances: hosts,
            matching,
            changing,
            groups: workload
                .shapes
                .iter()
                .map(|shape| Arc::from(group_of(&shape.demand)))
                .collect(),
            waiting: vec![BTreeMap::new(); workload.shapes.len()],
            rules,
            inverted_starts: 0,
            overcommitted: 0,
            repeated_starts: 0,
            started: 0,
            waiting_total: 0,
            now_ms: 0,
            fresh_starts: Vec::new(),
            fresh_submissions: Vec::new(),
        }
    }

    fn standing(&self, entry: &Entry) -> Standing {
        self.standing_of(entry.priority, entry.submit_ms)
    }

    fn standing_of(&self, priority: Priority, submit_ms: u64) -> Standing {
        let submit_ms = i64::try_from(submit_ms).unwrap_or(i64::MAX);
        match self.rules.aging {
            None => (Reverse(priority), submit_ms),
            Some(aging) => {
                let point_ms = i64::from(aging.get()).saturating_mul(1_000);
                let moved_ms = i64::from(priority.get()).saturating_mul(point_ms);
                (Reverse(Priority::default()), submit_ms.saturating_sub(moved_ms))
            }
        }
    }

    /// The place in the order of a task that waits, 1 for the next; those of equal standing share one.
    pub(super) fn place_of(&self, priority: Priority, submit_ms: u64) -> u64 {
        let standing = self.standing_of(priority, submit_ms);
        let alike = self.waiting.iter().flat_map(BTreeMap::values);
        let before = alike.flat_map(|alike| alike.range(..standing));
        before.fold(1, |place, (_, count)| place.saturating_add(u64::from(*count)))
    }

    /// How many tasks there are.
    pub(super) fn tasks(&self) -> usize {
        self.entries.len()
    }

    /// How many have started.
    pub(super) fn started(&self) -> usize {
        self.started
    }

    /// The line of the workload that a task is from.
    pub(super) fn entry(&self, task: TaskIndex) -> Option<&'a Entry> {
        self.entry_position(task)
            .and_then(|entry| self.workload.entries.get(entry))
    }

    /// The position of that line among the entries.
    pub(super) fn entry_position(&self, task: TaskIndex) -> Option<usize> {
        self.entries.get(task.0).copied()
    }

    /// What the tasks of a shape need.
    pub(super) fn shape(&self, shape: usize) -> Option<&'a TaskShape> {
        self.workload.shapes.get(shape)
    }

    /// The fleet's name of an instance.
    pub(super) fn instance_name(&self, instance: InstanceIndex) -> Option<&'a str> {
        self.instances
            .get(instance.0)
            .map(|host| host.instance.id.as_str())
    }

    /// A task is submitted.
    pub(super) fn submitted(&mut self, task: TaskIndex) {
        if let Some(entry) = self.entry(task) {
            self.move_to(entry.submit_ms);
        }
        let (Some(entry), Some(life)) = (self.entry(task), self.lives.get_mut(task.0)) else {
            return;
        };
        *life = Life::Waiting;
        self.waiting_total += 1;
        let standing = self.standing(entry);
        self.fresh_submissions.push((entry.shape, standing));
        if let Some(waiting) = self.waiting.get_mut(entry.shape) {
            let alike = waiting.entry(entry.expected_s).or_default();
            *alike.entry(standing).or_default() += 1;
        }
    }

    /// ECS has placed a task on an instance.
    pub(super) fn started_on(&mut self, task: TaskIndex, on: InstanceIndex, now_ms: u64) {
        self.move_to(now_ms);
        let (Some(entry), Some(life)) = (self.entry(task), self.lives.get_mut(task.0)) else {
            return;
        };
        if *life != Life::Waiting {
            self.repeated_starts += 1;
            return;
        }
        *life = Life::Started { at_ms: now_ms, on };
        self.started += 1;
        self.waiting_total = self.waiting_total.saturating_sub(1);
        self.stop_waiting(entry);
        let (amounts, group) = (self.amounts(entry), self.group(entry));
        let changing = self.changing.iter().copied();
        let holding = changing.filter(|shape| self.holds_now(*shape, on)).collect();
        let unknown_ms = self.rules.unknown_ms;
        let standing = self.standing(entry);
        let claimants = self.claimants(entry, on);
        if let Some(host) = self.instances.get_mut(on.0) {
            host.forget_before(now_ms, unknown_ms);
            self.fresh_starts.push(FreshStart {
                standing,
                declared_s: entry.expected_s,
                on,
                claimants,
                room: host.known_room(),
                holding,
            });
            *host.running.entry(group).or_default() += 1;
            host.taken = add(host.taken, amounts);
            if !covers(host.registered, host.taken) {
                self.overcommitted += 1;
            }
        }
    }

    /// ECS has reported a task as stopped.
    pub(super) fn ended(&mut self, task: TaskIndex, now_ms: u64) {
        self.move_to(now_ms);
        let (Some(entry), Some(life)) = (self.entry(task), self.lives.get_mut(task.0)) else {
            return;
        };
        let Life::Started { at_ms, on } = *life else {
            return;
        };
        *life = Life::Ended {
            started_ms: at_ms,
            at_ms: now_ms,
        };
        let (amounts, group) = (self.amounts(entry), self.group(entry));
        let unknown_ms = self.rules.unknown_ms;
        if let Some(host) = self.instances.get_mut(on.0) {
            host.taken = take(host.taken, amounts);
            host.forget_before(now_ms, unknown_ms);
            host.ended.push_back((now_ms, amounts));
            if let Some(count) = host.running.get_mut(&group) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn stop_waiting(&mut self, entry: &Entry) {
        let standing = self.standing(entry);
        let Some(waiting) = self.waiting.get_mut(entry.shape) else {
            return;
        };
        let Some(alike) = waiting.get_mut(&entry.expected_s) else {
            return;
        };
        if let Some(count) = alike.get_mut(&standing) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                alike.remove(&standing);
            }
        }
        if alike.is_empty() {
            waiting.remove(&entry.expected_s);
        }
    }

    /// Who may have an instance set aside where a task starts that may use it meanwhile.
    fn claimants(&self, entry: &Entry, on: InstanceIndex) -> Vec<(Standing, usize)> {
        if !matches!(self.rules.policy, WaitingPolicy::Reserve(_)) || entry.expected_s.is_none() {
            return Vec::new();
        }
        let waiting = self.waiting.iter().enumerate();
        let waiting = waiting.filter(|(shape, _)| self.could_use_when_empty(*shape, on));
        waiting
            .filter_map(|(shape, waiting)| Some((first_of(waiting)?, shape)))
            .collect()
    }

    /// A later moment begins: the starts of the one before are judged.
    ///
    /// Order within a moment does not matter, what is left after it does. So a start is inverted (against
    /// NoOvertaking) if somebody who stands before the started task still waits when the moment is over,
    /// and could have used the same room.
    ///
    /// Where instances are set aside, room there is not for those who would be in the way: somebody else may
    /// stand before them, and only who declares to end in time may use it meanwhile. So a task that declares its
    /// run time may start past one that does not, or that declares more, if a third stands before both whom
    /// the instance could be for. Where nobody may pass, it does not matter what room somebody could have used.
    fn move_to(&mut self, now_ms: u64) {
        if now_ms == self.now_ms {
            return;
        }
        self.now_ms = now_ms;
        let inverted = self.inverted_among_fresh();
        self.inverted_starts = self.inverted_starts.saturating_add(inverted);
        self.fresh_starts.clear();
        self.fresh_submissions.clear();
    }

    fn inverted_among_fresh(&self) -> u64 {
        let inverted = self.fresh_starts.iter().filter(|start| {
            let mut waiting = self.waiting.iter().enumerate();
            waiting.any(|(shape, waiting)| self.is_passed(shape, waiting, start))
        });
        inverted.count() as u64
    }

    /// Whether a start passes over somebody of this shape against the rules.
    fn is_passed(&self, shape: usize, waiting: &WaitingOfShape, start: &FreshStart) -> bool {
        let before = |first: &Standing| *first < start.standing;
        match self.rules.policy {
            WaitingPolicy::Strict if self.could_use_when_empty(shape, start.on) => {
                // Whoever was submitted in this very moment may have come after the decision.
                let is_fresh = |standing: &Standing| self.fresh_submissions.contains(&(shape, *standing));
                let first = first_of(waiting).filter(before);
                first.is_some_and(|first| !is_fresh(&first))
            }
            WaitingPolicy::Strict | WaitingPolicy::Fill => {
                first_of(waiting).as_ref().is_some_and(before) && self.could_use(shape, start)
            }
            WaitingPolicy::Reserve(_) => {
                let passed = waiting.iter().any(|(declared_s, alike)| {
                    let first = alike.keys().next().filter(|first| before(first));
                    first.is_some_and(|first| !may_be_passed(shape, *first, *declared_s, start))
                });
                passed && self.could_use(shape, start)
            }
        }
    }

    /// Whether a task of this shape could use an instance if that were empty.
    fn could_use_when_empty(&self, shape: usize, on: InstanceIndex) -> bool {
        let (Some(needs), Some(host)) = (self.workload.shapes.get(shape), self.instances.get(on.0)) else {
            return false;
        };
        covers(host.registered, amounts_of(needs)) && self.may_match(shape, on.0)
    }

    /// Whether a shape's constraint holds on an instance or can come to hold there.
    fn may_match(&self, shape: usize, instance: usize) -> bool {
        match self.matching.get(shape) {
            Some(Some(known)) => known.get(instance).copied().unwrap_or(false),
            _ => true,
        }
    }

    fn could_use(&self, shape: usize, start: &FreshStart) -> bool {
        let Some(needs) = self.workload.shapes.get(shape) else {
            return false;
        };
        let matches = match self.matching.get(shape) {
            Some(Some(known)) => known.get(start.on.0).copied().unwrap_or(false),
            _ => start.holding.contains(&shape),
        };
        matches && covers(start.room, amounts_of(needs))
    }

    fn holds_now(&self, shape: usize, on: InstanceIndex) -> bool {
        let constraint = self
            .workload
            .shapes
            .get(shape)
            .and_then(|needs| needs.constraint.as_ref());
        let host = self.instances.get(on.0);
        constraint
            .zip(host)
            .is_some_and(|(expression, host)| expression.matches(host))
    }

    fn amounts(&self, entry: &Entry) -> Amounts {
        self.workload.shapes.get(entry.shape).map_or([0; 3], amounts_of)
    }

    fn group(&self, entry: &Entry) -> Arc<str> {
        self.groups
            .get(entry.shape)
            .cloned()
            .unwrap_or_else(|| Arc::from(""))
    }

    /// Whether a task of this shape would fit some instance if that were empty.
    pub(super) fn can_ever_fit(&self, shape: usize) -> bool {
        let Some(needs) = self.workload.shapes.get(shape) else {
            return false;
        };
        let fits = |(position, host): (usize, &Host<'_>)| {
            covers(host.registered, amounts_of(needs)) && self.may_match(shape, position)
        };
        self.instances.iter().enumerate().any(fits)
    }

    /// Who waits, by priority, the highest first.
    pub(super) fn waiting_by_priority(&self) -> BTreeMap<Reverse<Priority>, u32> {
        let mut counts = BTreeMap::new();
        for (task, life) in self.lives.iter().enumerate() {
            if let (Life::Waiting, Some(entry)) = (life, self.entry(TaskIndex(task))) {
                *counts.entry(Reverse(entry.priority)).or_default() += 1;
            }
        }
        counts
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting_total
    }

    /// The tasks that have not started.
    pub(super) fn never_started(&self) -> impl Iterator<Item = TaskIndex> {
        let lives = self.lives.iter().enumerate();
        lives
            .filter(|(_, life)| matches!(life, Life::NotSubmitted | Life::Waiting))
            .map(|(task, _)| TaskIndex(task))
    }

    /// The figures of the run.
    pub(super) fn measures(&self) -> Measures {
        let mut measures = Measures {
            tasks: self.tasks(),
            inverted_starts: self.inverted_starts.saturating_add(self.inverted_among_fresh()),
            overcommitted: self.overcommitted,
            repeated_starts: self.repeated_starts,
            ..Measures::default()
        };
        let first_ms = self.workload.entries.first().map_or(0, |entry| entry.submit_ms);
        let last_ms = self.workload.entries.last().map_or(0, |entry| entry.submit_ms);
        let mut busy = 0_u128;
        for (task, life) in self.lives.iter().enumerate() {
            let Some(entry) = self.entry(TaskIndex(task)) else {
                continue;
            };
            let (started_ms, until_ms) = match *life {
                Life::NotSubmitted | Life::Waiting => {
                    measures.never_started += 1;
                    let left = measures
                        .left_waiting_ms
                        .entry(Reverse(entry.priority))
                        .or_default();
                    left.push(entry.submit_ms);
                    continue;
                }
                Life::Started { at_ms, .. } => (at_ms, self.now_ms),
                Life::Ended { started_ms, at_ms } => (started_ms, at_ms),
            };
            let [cpu, ..] = self.amounts(entry);
            let in_use_ms = until_ms.min(last_ms).saturating_sub(started_ms.min(last_ms));
            busy += u128::from(cpu) * u128::from(in_use_ms);
            measures.makespan_ms = measures.makespan_ms.max(until_ms.saturating_sub(first_ms));
            let waits = measures.waits_ms.entry(Reverse(entry.priority)).or_default();
            waits.push(started_ms.saturating_sub(entry.submit_ms));
        }
        let cpu: u64 = self.instances.iter().map(|host| host.registered[0]).sum();
        let all = u128::from(cpu) * u128::from(last_ms.saturating_sub(first_ms));
        let ppm = (busy * 1_000_000).checked_div(all).unwrap_or(0);
        measures.utilisation_ppm = u64::try_from(ppm).unwrap_or(u64::MAX);
        for waits in measures.waits_ms.values_mut() {
            waits.sort_unstable();
        }
        measures
    }
}

fn first_of(waiting: &WaitingOfShape) -> Option<Standing> {
    waiting
        .values()
        .filter_map(|alike| alike.keys().next())
        .min()
        .copied()
}

/// Whether a task that waits may be passed by a start where the instance may be set aside: somebody else stands
/// before it, and it does not declare to be as short as the one that started.
fn may_be_passed(shape: usize, passed: Standing, declared_s: Option<u32>, start: &FreshStart) -> bool {
    let in_the_way = start
        .declared_s
        .is_some_and(|short| declared_s.is_none_or(|long| long > short));
    let claimed = |(claimant, of): &(Standing, usize)| *of != shape && *claimant <= passed;
    in_the_way && start.claimants.iter().any(claimed)
}

/// Where a shape's constraint holds, unless that changes with the tasks.
fn matching(shape: &TaskShape, hosts: &[Host<'_>]) -> Option<Vec<bool>> {
    match &shape.constraint {
        Some(expression) if depends_on_tasks(expression) => None,
        Some(expression) => Some(hosts.iter().map(|host| expression.matches(host)).collect()),
        None => Some(vec![true; hosts.len()]),
    }
}

/// Whether a constraint can begin or cease to hold with every task.
pub(super) fn depends_on_tasks(expression: &Expression) -> bool {
    expression.depends_on() == Dependencies::RunningTasks
}

#[cfg(test)]
mod tests;
