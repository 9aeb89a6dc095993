//! Plays a workload through Berth's own code: messages into the admitter's flow, ECS's events into the
//! tracker's, and the reconciler's every minute, on tables and queues in memory.
//!
//! Time is virtual: the clock goes from one moment to the next at which something happens. The order of what
//! happens at one moment is fixed, so the same scenario always plays the same.

use std::collections::{BTreeMap, VecDeque};

use berth_control::intake::{AfterFailure, BatchReport, InboundMessage, Invocation, take_in};
use berth_control::ports::{Ledger, PortError, Ports, StoredLane};
use berth_control::reconcile::reconcile;
use berth_control::settings::{Settings, WaitingPolicies};
use berth_control::track::{track_instance, track_task};
use berth_scheduler::id::SubmissionId;
use berth_scheduler::shape::Constraint;
use berth_scheduler::waiting::Lane;
use serde_json::json;

use super::referee::{InstanceIndex, TaskIndex};
use super::side_by_side::{alone, side_by_side};
use super::timeline::{Held, Timeline};
use super::workload::{Entry, TaskShape, family_of};
use super::world::World;
use super::{
    BEGINNING, CONTAINER, EVENT_LATENCY_MS, Progress, RECONCILE_EVERY_MS, Scenario, ScenarioError, Scheduler,
    SchedulerRun, WAKE_LATENCY_MS, Waiting, after_beginning, since_beginning,
};
use crate::ecs::EcsEvent;
use crate::memory::{Learning, MemoryLedger, Metering};
use crate::ports::{EcsPorts, MemoryQueues, TASK_SECONDS_VARIABLE, VirtualClock};
use crate::seconds::write_millis;

/// Messages in one batch of the admitter, as in its event source mapping.
const BATCH_MAX: usize = 10;

/// Most tasks of one message.
const COUNT_MAX: u32 = 10;

/// How long an invocation of the admitter may take, in milliseconds, as in the template.
const INVOCATION_MS: u64 = 60_000;

/// Berth at work in a world.
struct Deployment<'a> {
    scenario: &'a Scenario,
    world: World<'a>,
    ledger: MemoryLedger,
    queues: MemoryQueues,
    clock: VirtualClock,
    settings: Settings,
    now_ms: u64,
    /// Entries of the workload that are not submitted yet: the position, and their first task.
    next_entry: (usize, TaskIndex),
    /// Events on their way to the tracker.
    events: VecDeque<(u64, EcsEvent)>,
    /// Wake messages on their way to the admitter: when they arrive, how many.
    wakes: BTreeMap<u64, u32>,
    reconcile_at_ms: u64,
    /// What has happened since the reconciler ran.
    since_reconcile: Happenings,
    invocations: u64,
    timeline: Timeline,
}

/// Runs of the reconciler that are left out at most while there is always something going on. No event and no
/// message is lost here, so all it can find then are empty lanes.
const RECONCILES_LEFT_OUT_MAX: u32 = 9;

/// What happened between two runs of the reconciler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Happenings {
    /// In the minute before the next run is due.
    in_last_minute: bool,
    /// At all.
    any: bool,
    /// Runs left out.
    left_out: u32,
}

/// Plays a scenario with Berth, to its end.
pub(super) fn run(
    scenario: &Scenario,
    waiting: Waiting,
    timeline: Timeline,
    progress: &Progress<'_>,
) -> Result<(SchedulerRun, Timeline), ScenarioError> {
    run_until(scenario, waiting, u64::MAX, timeline, progress)
}

/// Plays a scenario with Berth until this moment, in milliseconds from the beginning.
pub(super) fn run_until(
    scenario: &Scenario,
    waiting: Waiting,
    until_ms: u64,
    timeline: Timeline,
    progress: &Progress<'_>,
) -> Result<(SchedulerRun, Timeline), ScenarioError> {
    let mut deployment = Deployment::new(scenario, waiting, timeline)?;
    // A new deployment: the reconciler fills the tables before anything else happens.
    deployment.reconcile()?;
    let mut looked_last_at = None;
    loop {
        match deployment.next_moment() {
            Some(now_ms) if now_ms > until_ms => break,
            Some(now_ms) => deployment.play(now_ms)?,
            // Nothing will happen by itself any more. The reconciler still runs; if that starts nothing, what
            // waits waits for ever.
            None if deployment.world.referee.waiting() > 0
                && looked_last_at != Some(deployment.world.referee.started()) =>
            {
                looked_last_at = Some(deployment.world.referee.started());
                deployment.move_to(deployment.now_ms.max(deployment.reconcile_at_ms));
                deployment.reconcile()?;
            }
            None => break,
        }
        progress(Scheduler::Berth, deployment.world.referee.started());
    }
    deployment.finish()
}

impl<'a> Deployment<'a> {
    fn new(scenario: &'a Scenario, waiting: Waiting, timeline: Timeline) -> Result<Self, ScenarioError> {
        let world = World::new(scenario, waiting.rules())?;
        let settings = Settings::parse(world.cluster.as_str(), "environment,resources");
        let settings = settings.map(|settings| Settings {
            policies: WaitingPolicies::all(waiting.policy),
            aging: waiting.aging,
            ..settings
        });
        let ledger = MemoryLedger::interleaved();
        let ledger = match waiting.metering {
            Metering::On => ledger.metered(),
            Metering::Off => ledger,
        };
        Ok(Self {
            scenario,
            world,
            ledger: match waiting.learning {
                Learning::On => ledger,
                Learning::Off => ledger.without_learning(),
            },
            queues: MemoryQueues::default(),
            clock: VirtualClock::at(BEGINNING),
            settings: settings.map_err(|error| ScenarioError::unexpected("the settings", error))?,
            now_ms: 0,
            next_entry: (0, TaskIndex(0)),
            events: VecDeque::new(),
            wakes: BTreeMap::new(),
            reconcile_at_ms: 0,
            since_reconcile: Happenings::default(),
            invocations: 0,
            timeline,
        })
    }

    /// When something happens next; `None` when nothing does but the reconciler's run.
    fn next_moment(&self) -> Option<u64> {
        let submission = self
            .scenario
            .workload
            .entries
            .get(self.next_entry.0)
            .map(|entry| entry.submit_ms);
        let event = self.events.front().map(|(at_ms, _)| *at_ms);
        let wake = self.wakes.keys().next().copied();
        let next = [submission, event, wake, self.world.next_due_ms()]
            .into_iter()
            .flatten()
            .min()?;
        let reconciles = self.world.referee.waiting() > 0;
        Some(if reconciles {
            next.min(self.reconcile_at_ms)
        } else {
            next
        })
    }

    /// Everything that happens at a moment, in this order.
    fn play(&mut self, now_ms: u64) -> Result<(), ScenarioError> {
        self.move_to(now_ms);
        self.track_events()?;
        self.admit()?;
        if self.now_ms >= self.reconcile_at_ms {
            self.reconcile_if_useful()?;
        }
        self.note_waiting()
    }

    fn move_to(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
        let now = after_beginning(self.now_ms);
        self.clock.set(now);
        self.world.ecs.with_ecs(|ecs| ecs.advance_to(now));
        self.collect();
    }

    fn ports(&self) -> Ports<'_, MemoryLedger, EcsPorts, MemoryQueues, VirtualClock> {
        Ports {
            ledger: &self.ledger,
            ecs: &self.world.ecs,
            messenger: &self.queues,
            clock: &self.clock,
        }
    }

    /// What the last step led to goes on its way: events of ECS to the tracker, wake messages to the admitter.
    fn collect(&mut self) {
        let observed = self.world.observe_ecs();
        for _ in observed.ended {
            self.timeline.ended(self.now_ms);
        }
        for (task, on) in observed.started {
            self.note_start(task, on);
        }
        let at_ms = self.now_ms.saturating_add(EVENT_LATENCY_MS);
        self.events
            .extend(observed.events.into_iter().map(|event| (at_ms, event)));
        for wake in self.queues.take_wakes() {
            let delay_ms = u64::from(wake.delay_seconds)
                .saturating_mul(1_000)
                .saturating_add(WAKE_LATENCY_MS);
            *self
                .wakes
                .entry(self.now_ms.saturating_add(delay_ms))
                .or_default() += 1;
        }
    }

    fn note_happening(&mut self) {
        self.since_reconcile = Happenings {
            in_last_minute: true,
            any: true,
            ..self.since_reconcile
        };
    }

    fn note_start(&mut self, task: TaskIndex, on: InstanceIndex) {
        if let Some(entry) = self.world.referee.entry(task) {
            self.timeline.started(self.now_ms, entry.priority, on);
        }
    }

    /// capacity-tracker: events that have arrived.
    fn track_events(&mut self) -> Result<(), ScenarioError> {
        while let Some((at_ms, _)) = self.events.front()
            && *at_ms <= self.now_ms
        {
            self.note_happening();
            let Some((_, event)) = self.events.pop_front() else {
                break;
            };
            let tracked = match &event {
                EcsEvent::Instance { cluster, report } => {
                    alone(track_instance(&self.ledger, &self.queues, cluster, report))
                }
                EcsEvent::Task { cluster, report } => {
                    alone(track_task(&self.ledger, &self.queues, cluster, report))
                }
            };
            finished("capacity-tracker", tracked)?;
        }
        self.collect();
        Ok(())
    }

    /// admitter: the submissions and wake messages of this moment, in batches, all invocations side by side.
    fn admit(&mut self) -> Result<(), ScenarioError> {
        let mut submissions = Vec::new();
        while let Some(entry) = self.scenario.workload.entries.get(self.next_entry.0)
            && entry.submit_ms <= self.now_ms
        {
            self.send(entry, &mut submissions)?;
        }
        let wakes = self.take_wakes();
        let batches: Vec<&[InboundMessage]> = submissions
            .chunks(BATCH_MAX)
            .chain(wakes.chunks(BATCH_MAX))
            .collect();
        self.invoke_admitter(&batches)
    }

    /// The messages of one entry: at most ten tasks in each.
    fn send(&mut self, entry: &Entry, messages: &mut Vec<InboundMessage>) -> Result<(), ScenarioError> {
        self.note_happening();
        let (position, first) = self.next_entry;
        let count = entry.count as usize;
        self.next_entry = (
            position.saturating_add(1),
            TaskIndex(first.0.saturating_add(count)),
        );
        self.timeline.submitted(self.now_ms, entry.priority, entry.count);
        let mut sent = 0;
        while sent < entry.count {
            let copies = COUNT_MAX.min(entry.count.saturating_sub(sent));
            // Zero-padded: tasks of equal standing go by id.
            let mut id = format!("line-{:07}", entry.line);
            if entry.count > COUNT_MAX {
                id.push_str(&format!("-{:07}", sent.saturating_add(1)));
            }
            let submission =
                SubmissionId::parse(&id).map_err(|error| ScenarioError::unexpected("an id", error))?;
            self.world
                .expect_submission(submission, TaskIndex(first.0.saturating_add(sent as usize)));
            let body = self.body(entry, &id, copies);
            let sent_at = after_beginning(entry.submit_ms);
            messages.push(InboundMessage {
                after_failure: AfterFailure::ComesAgain,
                message_id: id,
                body,
                sent_at,
            });
            sent = sent.saturating_add(copies);
        }
        for task in first.0..first.0.saturating_add(count) {
            self.world.referee.submitted(TaskIndex(task));
        }
        Ok(())
    }

    /// The message as a user would send it.
    fn body(&self, entry: &Entry, id: &str, count: u32) -> String {
        let Some(shape) = self.scenario.workload.shapes.get(entry.shape) else {
            return String::new();
        };
        let variable = json!({"name": TASK_SECONDS_VARIABLE, "value": write_millis(entry.duration_ms)});
        let mut body = json!({
            "id": id,
            "priority": entry.priority.get(),
            "taskDefinition": family_of(&shape.demand),
            "count": count,
            "overrides": {"containerOverrides": [{"name": CONTAINER, "environment": [variable]}]},
        });
        if let (Some(seconds), Some(body)) = (entry.expected_s, body.as_object_mut()) {
            body.insert("expectedDurationSeconds".to_owned(), json!(seconds));
        }
        if let (Some(expression), Some(body)) = (&shape.constraint, body.as_object_mut()) {
            let constraint = json!([{"type": "memberOf", "expression": expression.as_written()}]);
            body.insert("placementConstraints".to_owned(), constraint);
        }
        body.to_string()
    }

    /// Wake messages that have arrived.
    fn take_wakes(&mut self) -> Vec<InboundMessage> {
        let mut messages = Vec::new();
        while let Some(first) = self.wakes.first_entry()
            && *first.key() <= self.now_ms
        {
            for _ in 0..first.remove() {
                let body = json!({"wake": {"cluster": self.world.cluster.as_str()}}).to_string();
                let message_id = format!("wake-{}-{}", self.now_ms, messages.len());
                messages.push(InboundMessage {
                    after_failure: AfterFailure::ComesAgain,
                    message_id,
                    body,
                    sent_at: after_beginning(self.now_ms),
                });
            }
        }
        messages
    }

    fn invoke_admitter(&mut self, batches: &[&[InboundMessage]]) -> Result<(), ScenarioError> {
        if batches.is_empty() {
            return Ok(());
        }
        let owners: Vec<String> = (self.invocations..)
            .take(batches.len())
            .map(|n| format!("admitter-{n}"))
            .collect();
        self.invocations = self.invocations.saturating_add(batches.len() as u64);
        let deadline = after_beginning(self.now_ms.saturating_add(INVOCATION_MS));
        let invocations = batches.iter().zip(&owners).map(|(batch, owner)| {
            take_in(
                self.ports(),
                Invocation {
                    settings: &self.settings,
                    owner,
                    deadline,
                },
                batch,
            )
        });
        let reports = side_by_side(invocations);
        let reports = reports.ok_or_else(|| ScenarioError::unexpected("admitter", "it never ends"))?;
        for BatchReport {
            failed,
            failed_cycles,
            ..
        } in reports
        {
            let failed = failed.into_iter().map(|(_, error)| error);
            if let Some(error) = failed
                .chain(failed_cycles.into_iter().map(|(_, error)| error))
                .next()
            {
                return Err(ScenarioError::unexpected("admitter", error));
            }
        }
        if let Some(refusal) = self.queues.take_refusals().first() {
            return Err(ScenarioError::unexpected("admitter refused", refusal));
        }
        self.collect();
        Ok(())
    }

    /// The reconciler's minute. It runs when a minute has passed without anything, once, and now and then;
    /// runs that could find nothing are left out, because they would cost more than all the rest.
    fn reconcile_if_useful(&mut self) -> Result<(), ScenarioError> {
        let Happenings {
            in_last_minute,
            any,
            left_out,
        } = self.since_reconcile;
        if any && (!in_last_minute || left_out >= RECONCILES_LEFT_OUT_MAX) {
            return self.reconcile();
        }
        self.reconcile_at_ms = self.now_ms.saturating_add(RECONCILE_EVERY_MS);
        self.since_reconcile = Happenings {
            in_last_minute: false,
            any,
            left_out: left_out.saturating_add(1),
        };
        Ok(())
    }

    /// reconciler.
    fn reconcile(&mut self) -> Result<(), ScenarioError> {
        self.reconcile_at_ms = self.now_ms.saturating_add(RECONCILE_EVERY_MS);
        let report = alone(reconcile(self.ports(), &self.world.cluster));
        finished("reconciler", report)?;
        self.collect();
        self.since_reconcile = Happenings::default();
        Ok(())
    }

    /// Who waits after this moment, and why.
    fn note_waiting(&mut self) -> Result<(), ScenarioError> {
        if !self.timeline.wants_waiting(self.now_ms) {
            return Ok(());
        }
        let lanes = finished("the ledger", alone(self.ledger_lanes()))?;
        let referee = &self.world.referee;
        let held = lanes.into_iter().filter_map(|stored| {
            let rank = &stored.lane.heads.first()?.rank;
            Some(Held {
                place: referee.place_of(rank.priority(), since_beginning(rank.submitted_at())),
                reason: stored.hold?.0,
            })
        });
        self.timeline
            .waiting(referee.waiting_by_priority(), held.collect());
        Ok(())
    }

    async fn ledger_lanes(&self) -> Result<Vec<StoredLane>, PortError> {
        self.ledger.load_lanes(&self.world.cluster, 1).await
    }

    fn finish(self) -> Result<(SchedulerRun, Timeline), ScenarioError> {
        let mut measures = self.world.referee.measures();
        let calls = self.world.ecs.calls();
        (measures.run_task_calls, measures.refused) = (calls.run_task, calls.refused);
        measures.request_units = self.ledger.request_units();
        let lanes = finished("the ledger", alone(self.ledger_lanes()))?;
        let reason = |shape: &TaskShape| {
            let lane = lanes.iter().find(|stored| is_lane_of(&stored.lane, shape))?;
            lane.hold
                .as_ref()
                .map(|(reason, _)| self.world.with_names(&reason.to_string()))
        };
        let run = SchedulerRun::new(Scheduler::Berth, measures, &self.world.referee, reason);
        Ok((run, self.timeline))
    }
}

/// Whether tasks of this shape wait in this lane.
fn is_lane_of(lane: &Lane, shape: &TaskShape) -> bool {
    let constraint = lane.shape.constraints.first();
    let same_constraint = match (&shape.constraint, constraint) {
        (Some(expression), Some(Constraint::MemberOf(of_lane))) => expression == of_lane,
        (None, None) => true,
        _ => false,
    };
    same_constraint && lane.shape.demand == shape.demand
}

/// The answer of a flow that must not fail here: its ports are in memory.
fn finished<T>(what: &str, answer: Option<Result<T, PortError>>) -> Result<T, ScenarioError> {
    match answer {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) => Err(ScenarioError::unexpected(what, error)),
        None => Err(ScenarioError::unexpected(what, "it never ends")),
    }
}
