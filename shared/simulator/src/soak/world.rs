//! The world of one run: the tables, ECS, the queues, time, and what goes wrong.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use berth_control::ports::{Ledger as _, PortError, StoredLane};
use berth_control::settings::parse_policy;
use berth_control::wire::wake::wake_message;
use berth_scheduler::admission::{Admission, PlanOptions, plan};
use berth_scheduler::id::{AttemptNumber, ClusterName, ContainerInstanceArn};
use berth_scheduler::policy::WaitingPolicy;
use berth_scheduler::report::{AgentConnection, InstanceReport};
use berth_scheduler::snapshot::{InstanceView, Snapshot};
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Lane, Rank};
use fastrand::Rng;
use futures_util::FutureExt as _;

use super::agenda::{Agenda, Due, InvocationNumber};
use super::engine::TICK_MS;
use super::fault::{FaultKind, Faults};
use super::mutation::Mutation;
use super::queue::{MessageNumber, Queue, Sqs};
use super::referee::{Invariant, Referee};
use super::workload::Workload;
use crate::ecs::task::Stage;
use crate::ecs::{EcsEvent, SimulatedEcs};
use crate::memory::MemoryLedger;
use crate::ports::EcsPorts;

/// How much a function's clock may be ahead of the true time or behind it, in milliseconds.
pub(super) const SKEW_MS_MAX: i64 = 2_000;

/// Reconciliations that must succeed after a disturbance before a missing wake-up is nobody's fault.
const RECONCILIATIONS_AFTER_DISTURBANCE: u32 = 3;

/// What fails in an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Ecs,
    Ledger,
    Queues,
}

/// Faults that last.
#[derive(Debug, Default)]
pub(super) struct Weather {
    pub(super) throttled_until: Option<Timestamp>,
    pub(super) outage: Option<(Timestamp, Vec<Service>)>,
    pub(super) clogged: BTreeMap<ContainerInstanceArn, Timestamp>,
}

/// Everything an invocation can touch.
#[derive(Debug)]
pub(super) struct World {
    pub(super) began: Timestamp,
    now: Cell<Timestamp>,
    pub(super) agenda: RefCell<Agenda>,
    pub(super) ledger: MemoryLedger,
    pub(super) ecs: EcsPorts,
    pub(super) sqs: RefCell<Sqs>,
    pub(super) faults: RefCell<Faults>,
    pub(super) weather: RefCell<Weather>,
    pub(super) pace: RefCell<Rng>,
    /// Milliseconds that a call takes at most, each way.
    pub(super) slowness_ms: u64,
    pub(super) referee: RefCell<Referee>,
    pub(super) workload: Workload,
    pub(super) clusters: Vec<ClusterName>,
    /// Invocations that have crashed, to be dropped.
    pub(super) crashed: RefCell<BTreeSet<InvocationNumber>>,
    pub(super) mutation: Option<Mutation>,
    /// Generations, counted here for the mutation that does not check them.
    pub(super) bumps: RefCell<BTreeMap<ClusterName, u64>>,
    /// Capacity records as they were, for the mutation that reads them late.
    pub(super) past_views: RefCell<VecDeque<(Timestamp, ClusterName, Vec<InstanceView>)>>,
    /// What Describe said of an instance before.
    pub(super) past_reports: RefCell<BTreeMap<ContainerInstanceArn, VecDeque<(Timestamp, InstanceReport)>>>,
    /// How often ECS refused a client token.
    pub(super) refused_tokens: RefCell<BTreeMap<String, u32>>,
    pub(super) tokens_drawn: Cell<u64>,
    /// Invocations of capacity-tracker, which some mutations are about.
    pub(super) trackers: RefCell<BTreeSet<InvocationNumber>>,
    undisturbed_after: Cell<u32>,
    /// The last steps, and how many are kept.
    trace: RefCell<VecDeque<String>>,
    trace_max: usize,
    pub(super) calls: Cell<u64>,
}

/// What a new world is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) began: Timestamp,
    pub(super) ecs: SimulatedEcs,
    pub(super) faults: Faults,
    pub(super) workload: Workload,
    pub(super) clusters: Vec<ClusterName>,
    pub(super) mutation: Option<Mutation>,
    pub(super) pace: Rng,
    /// Steps that the trace keeps.
    pub(super) trace_max: usize,
}

impl World {
    pub(super) fn new(mut parts: Parts) -> Self {
        let slowness_ms = match parts.pace.u8(0..6) {
            0 => 2,
            1 => 150,
            2 => 400,
            _ => 20,
        };
        Self {
            began: parts.began,
            now: Cell::new(parts.began),
            agenda: RefCell::default(),
            ledger: MemoryLedger::new(),
            ecs: EcsPorts::new(parts.ecs),
            sqs: RefCell::default(),
            faults: RefCell::new(parts.faults),
            weather: RefCell::default(),
            pace: RefCell::new(parts.pace),
            slowness_ms,
            referee: RefCell::default(),
            workload: parts.workload,
            clusters: parts.clusters,
            crashed: RefCell::default(),
            mutation: parts.mutation,
            bumps: RefCell::default(),
            past_views: RefCell::default(),
            past_reports: RefCell::default(),
            refused_tokens: RefCell::default(),
            tokens_drawn: Cell::new(0),
            trackers: RefCell::default(),
            undisturbed_after: Cell::new(0),
            trace: RefCell::default(),
            trace_max: parts.trace_max,
            calls: Cell::new(0),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now.get()
    }

    pub(super) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub(super) fn plan(&self, at: Timestamp, due: Due) {
        self.agenda.borrow_mut().plan(at, due);
    }

    pub(super) fn plan_in(&self, millis: u64, due: Due) {
        self.plan(self.now().saturating_add_millis(millis), due);
    }

    /// A number from 0 to one below `end`, for how long things take.
    pub(super) fn draw(&self, end: u64) -> u64 {
        self.pace.borrow_mut().u64(0..end.max(1))
    }

    pub(super) fn hits(&self, kind: FaultKind) -> bool {
        self.faults.borrow_mut().hits(kind)
    }

    pub(super) fn fault_number(&self, kind: FaultKind, end: u64) -> u64 {
        self.faults.borrow_mut().number(kind, end)
    }

    pub(super) fn is_on(&self, kind: FaultKind) -> bool {
        self.faults.borrow().is_on(kind)
    }

    /// Adds a step to the trace, if steps are kept.
    pub(super) fn note(&self, step: impl FnOnce() -> String) {
        if self.trace_max == 0 {
            return;
        }
        let mut trace = self.trace.borrow_mut();
        if trace.len() >= self.trace_max {
            trace.pop_front();
        }
        let millis = self.now().millis_since(self.began);
        trace.push_back(format!(
            "{:>6}.{:03} s  {}",
            millis / 1_000,
            millis % 1_000,
            step()
        ));
    }

    pub(super) fn take_trace(&self) -> Vec<String> {
        self.trace.take().into()
    }

    pub(super) fn blame(&self, invariant: Invariant, detail: impl Into<String>) {
        self.referee.borrow_mut().blame(invariant, detail);
    }

    /// Something happened after which a wake-up may be missing although nobody made a mistake.
    pub(super) fn disturb(&self) {
        self.undisturbed_after.set(RECONCILIATIONS_AFTER_DISTURBANCE);
    }

    pub(super) fn reconciled(&self) {
        self.undisturbed_after
            .set(self.undisturbed_after.get().saturating_sub(1));
    }

    pub(super) fn is_undisturbed(&self) -> bool {
        self.undisturbed_after.get() == 0
    }

    /// Moves time on; what ECS does by itself until then happens.
    pub(super) fn advance_to(&self, now: Timestamp) {
        self.now.set(now);
        self.ecs.with_ecs(|ecs| ecs.advance_to(now));
        self.observe_ecs();
    }

    /// Shows the referee what ECS has done, and sends the events off.
    pub(super) fn observe_ecs(&self) {
        let events = self.ecs.with_ecs(SimulatedEcs::take_events);
        if events.is_empty() {
            return;
        }
        for event in events {
            match &event {
                EcsEvent::Task { report, .. } => self.referee.borrow_mut().see_task(report),
                EcsEvent::Instance { cluster, report } => {
                    self.referee.borrow_mut().see_instance(report);
                    self.remember_report(cluster, &report.instance);
                }
            }
            self.send_event(Rc::new(event));
        }
        if !self.is_on(FaultKind::ForeignTask) {
            self.check_queued();
        }
    }

    /// Without tasks of others, none of ours waits at its agent for room that containers still use.
    fn check_queued(&self) {
        let queued = self.ecs.with_ecs(|ecs| {
            let queued = ecs.tasks.values().filter(|task| task.stage == Stage::Queued);
            let waits = |instance: &ContainerInstanceArn, cluster: &ClusterName| {
                let report = ecs.describe_instance(cluster, instance).ok().flatten();
                report.is_some_and(|report| report.agent == AgentConnection::Connected)
            };
            queued
                .filter(|task| waits(&task.instance, &task.cluster))
                .map(|task| task.arn.clone())
                .next()
        });
        if let Some(task) = queued {
            self.blame(
                Invariant::NoOvercommit,
                format!("`{}` waits at its agent for room", task.as_str()),
            );
        }
    }

    fn remember_report(&self, cluster: &ClusterName, instance: &ContainerInstanceArn) {
        if !self.is_on(FaultKind::StaleDescribe) {
            return;
        }
        let report = self
            .ecs
            .with_ecs(|ecs| ecs.describe_instance(cluster, instance).ok().flatten());
        let mut past = self.past_reports.borrow_mut();
        let past = past.entry(instance.clone()).or_default();
        past.extend(report.map(|report| (self.now(), report)));
        if past.len() > 10 {
            past.pop_front();
        }
    }

    /// Sends an event to capacity-tracker, or loses, repeats or delays it.
    fn send_event(&self, event: Rc<EcsEvent>) {
        if self.hits(FaultKind::EventLost) {
            self.note(|| format!("the event is lost: {}", describe_event(&event)));
            self.disturb();
            return;
        }
        let mut delay_ms = 20 + self.draw(300);
        if self.hits(FaultKind::EventDelayed) {
            let most_ms = if self.fault_number(FaultKind::EventDelayed, 10) == 0 {
                3 * 3_600_000
            } else {
                120_000
            };
            delay_ms += self.fault_number(FaultKind::EventDelayed, most_ms);
        }
        let instance = match &*event {
            EcsEvent::Instance { report, .. } => Some(&report.instance),
            EcsEvent::Task { report, .. } => report.instance.as_ref(),
        };
        let clogged = instance.and_then(|instance| self.weather.borrow().clogged.get(instance).copied());
        if let Some(until) = clogged.filter(|until| *until > self.now()) {
            delay_ms += until.millis_since(self.now()) + self.fault_number(FaultKind::EventsClogged, 5_000);
        }
        if self.hits(FaultKind::EventDuplicated) {
            let later_ms = delay_ms + self.fault_number(FaultKind::EventDuplicated, 180_000);
            self.plan_in(later_ms, Due::Event(Rc::clone(&event), 0));
        }
        self.plan_in(delay_ms, Due::Event(event, 0));
    }

    /// Sends a message, and may deliver it late or twice.
    pub(super) fn send_message(&self, queue: Queue, id: Option<&str>, body: &str, delay_ms: u64) {
        let number = self.sqs.borrow_mut().send(queue, id, body, self.now());
        let mut delay_ms = delay_ms + 5 + self.draw(50);
        if self.hits(FaultKind::MessageDelayed) {
            delay_ms += self.fault_number(FaultKind::MessageDelayed, 60_000);
        }
        if self.hits(FaultKind::MessageDuplicated) {
            // Whoever receives the second copy deletes both, even if the first one's receiver has died.
            self.disturb();
            let later_ms = delay_ms + self.fault_number(FaultKind::MessageDuplicated, 2_000);
            self.plan_in(later_ms, Due::Message(number));
        }
        self.plan_in(delay_ms, Due::Message(number));
    }

    pub(super) fn send_wake(&self, cluster: &ClusterName, delay_seconds: u16) {
        self.send_message(
            Queue::Wake,
            None,
            &wake_message(cluster),
            u64::from(delay_seconds) * 1_000,
        );
    }

    /// A message can be received.
    pub(super) fn message_is_due(&self, number: MessageNumber) {
        let mut sqs = self.sqs.borrow_mut();
        if sqs.make_ready(number) && !std::mem::replace(&mut sqs.poll_planned, true) {
            drop(sqs);
            let wait_ms = self.draw(40);
            self.plan_in(wait_ms, Due::Poll);
        }
    }

    /// Reads the tables without anybody noticing.
    pub(super) fn peek<T>(&self, read: impl Future<Output = Result<T, PortError>>) -> Option<T> {
        read.now_or_never().and_then(Result::ok)
    }

    pub(super) fn views(&self, cluster: &ClusterName) -> Vec<InstanceView> {
        self.peek(self.ledger.load_instances(cluster)).unwrap_or_default()
    }

    pub(super) fn lanes(&self, cluster: &ClusterName) -> Vec<StoredLane> {
        self.peek(self.ledger.load_lanes(cluster, usize::MAX))
            .unwrap_or_default()
    }

    /// The attempt that the task of this rank has made so far, while it waits there and may start.
    pub(super) fn attempt_while_waiting(&self, rank: &Rank) -> Option<AttemptNumber> {
        self.attempt_at(rank, &[self.now()])
    }

    /// The same, if it may start at all of these moments.
    fn attempt_at(&self, rank: &Rank, moments: &[Timestamp]) -> Option<AttemptNumber> {
        let record = self.peek(self.ledger.load_task(&rank.task())).flatten()?;
        let mut moments = moments.iter();
        let may_start = moments.all(|at| record.progress.may_start(&record.terms, *at));
        (may_start && record.rank == *rank).then_some(record.progress.attempt)
    }

    /// The waiting policy of all clusters.
    pub(super) fn policy(&self) -> WaitingPolicy {
        parse_policy(self.workload.policy).unwrap_or_default()
    }

    /// Who waits in a listed lane, by everybody's clock.
    pub(super) fn waiters(&self, cluster: &ClusterName) -> BTreeMap<Rank, AttemptNumber> {
        let now = self.now().as_millis();
        let clocks = [now - SKEW_MS_MAX, now + SKEW_MS_MAX].map(Timestamp::from_millis);
        let lanes = self.lanes(cluster);
        let heads = lanes.into_iter().flat_map(|stored| stored.lane.heads);
        let waiting = heads.filter_map(|task| {
            let attempt = self.attempt_at(&task.rank, &clocks)?;
            Some((task.rank, attempt))
        });
        waiting.collect()
    }

    /// When nothing is under way, what is stored admits nobody: else a wake-up was lost.
    pub(super) fn check_wake_ups(&self) {
        if !self.is_undisturbed() {
            return;
        }
        // Who may start, what is set aside where, and who is short enough to use it changes with time alone: only what
        // could start ever since the last reconciliation, by everybody's clock, was overlooked.
        let now = self.now().as_millis();
        let since = i64::try_from(TICK_MS).unwrap_or_default() + SKEW_MS_MAX;
        let moments = (0..=since)
            .step_by(2_000)
            .map(|ago| Timestamp::from_millis(now - ago));
        for cluster in &self.clusters {
            if self.ledger.is_paused(cluster) {
                continue;
            }
            let admissions: Option<Vec<Admission>> = moments
                .clone()
                .map(|at| self.next_admission(cluster, at))
                .collect();
            if let Some(admission) = admissions.as_ref().and_then(|of_all| of_all.first()) {
                let detail = format!(
                    "nothing is under way, and `{}` could start on `{}`",
                    admission.rank.task(),
                    admission.instance.id()
                );
                self.blame(Invariant::NoLostWakeUp, detail);
            }
        }
    }

    /// What a plan would admit first at this moment.
    fn next_admission(&self, cluster: &ClusterName, now: Timestamp) -> Option<Admission> {
        let mut lanes: Vec<Lane> = self
            .lanes(cluster)
            .into_iter()
            .map(|stored| stored.lane)
            .collect();
        for lane in &mut lanes {
            // Entries that were left behind start nobody.
            lane.heads
                .retain(|head| self.attempt_at(&head.rank, &[now]).is_some());
        }
        let run_times = self.peek(self.ledger.load_run_times(cluster)).unwrap_or_default();
        let options = PlanOptions {
            admissions_max: 1,
            closed: &BTreeSet::new(),
            policy: self.policy(),
            now,
            run_times: &run_times,
        };
        let plan = plan(&Snapshot::new(self.views(cluster)), &lanes, &options);
        plan.admissions.into_iter().next()
    }
}

pub(super) fn describe_event(event: &EcsEvent) -> String {
    match event {
        EcsEvent::Instance { report, .. } => format!(
            "instance {} version {} {} {:?}, {} MiB remain",
            short(report.instance.id()),
            report.version,
            report.status.as_str(),
            report.agent,
            report.remaining.memory.get()
        ),
        EcsEvent::Task { report, .. } => format!(
            "task {} version {} {:?} of {}",
            short(report.task.as_str()),
            report.version,
            report.status,
            report
                .attempt
                .as_ref()
                .map_or_else(|| "others".to_owned(), |it| it.started_by())
        ),
    }
}

/// The last characters of an id, enough to tell it from others.
pub(super) fn short(id: &str) -> &str {
    id.get(id.len().saturating_sub(6)..).unwrap_or(id)
}
