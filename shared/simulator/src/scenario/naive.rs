//! What Berth is compared with: a worker that polls a standard SQS queue.
//!
//! It takes batches of messages as long as any is visible and calls RunTask for each, without looking at the
//! cluster first. A message whose task is refused is left alone: it becomes visible again when its visibility
//! timeout is over. SQS keeps no order and knows no priority, so visible messages come shuffled.

use std::collections::VecDeque;
use std::sync::Arc;

use berth_scheduler::policy::WaitingPolicy;
use berth_scheduler::shape::Constraint;

use super::random::Random;
use super::referee::{Rules, TaskIndex, depends_on_tasks};
use super::workload::family_of;
use super::world::World;
use super::{Progress, Scenario, ScenarioError, Scheduler, SchedulerRun, after_beginning};
use crate::ecs::launch::{FailureDetail, RunTaskRequest};

/// SQS's default visibility timeout, in milliseconds.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html>
const VISIBILITY_TIMEOUT_MS: u64 = 30_000;

/// Most messages of one ReceiveMessage call.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>
const BATCH_MAX: usize = 10;

/// The polling worker and its queue.
struct Worker<'a> {
    scenario: &'a Scenario,
    world: World<'a>,
    random: Random,
    /// Tasks not submitted yet, in order.
    to_submit: VecDeque<TaskIndex>,
    visible: Vec<TaskIndex>,
    /// Messages that are hidden, the first to come back first.
    hidden: VecDeque<(u64, TaskIndex)>,
    /// A RunTask request for each entry of the workload.
    requests: Vec<RunTaskRequest>,
    /// For each shape, at which count of ended tasks it was refused last.
    refused_at: Vec<Option<u64>>,
    ended: u64,
    /// Refusals since anything started or ended.
    refused_in_a_row: usize,
    run_task_calls: u64,
    refused: u64,
}

/// Plays a scenario with the polling worker. `seed` shuffles the messages.
pub(super) fn run(
    scenario: &Scenario,
    seed: u64,
    progress: &Progress<'_>,
) -> Result<SchedulerRun, ScenarioError> {
    // RunTask itself tells whether there is room, at the very moment.
    let rules = Rules {
        unknown_ms: 0,
        policy: WaitingPolicy::Fill,
        aging: None,
    };
    let world = World::new(scenario, rules)?;
    let mut worker = Worker {
        scenario,
        random: Random::from_seed(seed),
        to_submit: (0..world.referee.tasks()).map(TaskIndex).collect(),
        visible: Vec::new(),
        hidden: VecDeque::new(),
        requests: requests(scenario, &world),
        refused_at: vec![None; scenario.workload.shapes.len()],
        ended: 0,
        refused_in_a_row: 0,
        run_task_calls: 0,
        refused: 0,
        world,
    };
    while let Some(now_ms) = worker.next_moment() {
        worker
            .world
            .ecs
            .with_ecs(|ecs| ecs.advance_to(after_beginning(now_ms)));
        let ended = worker.world.observe_ecs().ended.len();
        if ended > 0 {
            worker.ended += ended as u64;
            worker.refused_in_a_row = 0;
        }
        worker.receive(now_ms);
        worker.poll(now_ms)?;
        progress(Scheduler::NaiveSqs, worker.world.referee.started());
    }
    let mut measures = worker.world.referee.measures();
    measures.run_task_calls = worker.run_task_calls;
    measures.refused = worker.refused;
    Ok(SchedulerRun::new(
        Scheduler::NaiveSqs,
        measures,
        &worker.world.referee,
        |_| None,
    ))
}

fn requests(scenario: &Scenario, world: &World<'_>) -> Vec<RunTaskRequest> {
    let entries = scenario.workload.entries.iter();
    let request = |(shape, duration_ms): (&super::workload::TaskShape, u64)| RunTaskRequest {
        constraints: shape
            .constraint
            .iter()
            .cloned()
            .map(Constraint::MemberOf)
            .collect(),
        duration_ms: Some(duration_ms),
        failure_detail: FailureDetail::First,
        ..RunTaskRequest::new(world.cluster.clone(), Arc::<str>::from(family_of(&shape.demand)))
    };
    entries
        .filter_map(|entry| Some((scenario.workload.shapes.get(entry.shape)?, entry.duration_ms)))
        .map(request)
        .collect()
}

impl Worker<'_> {
    /// When something happens next; `None` when nothing will that could start a task.
    fn next_moment(&self) -> Option<u64> {
        let submission = self
            .to_submit
            .front()
            .and_then(|task| self.world.referee.entry(*task));
        let submission = submission.map(|entry| entry.submit_ms);
        let ecs = self.world.next_due_ms();
        let nothing_else = submission.is_none() && ecs.is_none();
        if nothing_else && self.refused_in_a_row > self.hidden.len() {
            return None;
        }
        let visible = self.hidden.front().map(|(at_ms, _)| *at_ms);
        [submission, ecs, visible].into_iter().flatten().min()
    }

    /// New messages arrive, and hidden ones become visible.
    fn receive(&mut self, now_ms: u64) {
        while let Some(task) = self.to_submit.front().copied()
            && self
                .world
                .referee
                .entry(task)
                .is_some_and(|entry| entry.submit_ms <= now_ms)
        {
            self.to_submit.pop_front();
            self.world.referee.submitted(task);
            self.visible.push(task);
        }
        while let Some((at_ms, task)) = self.hidden.front().copied()
            && at_ms <= now_ms
        {
            self.hidden.pop_front();
            self.visible.push(task);
        }
    }

    /// Takes batch after batch until no message is visible.
    fn poll(&mut self, now_ms: u64) -> Result<(), ScenarioError> {
        while !self.visible.is_empty() {
            for _ in 0..BATCH_MAX {
                if self.visible.is_empty() {
                    break;
                }
                let drawn = self.random.below(self.visible.len());
                let task = self.visible.swap_remove(drawn);
                self.try_to_start(task, now_ms)?;
            }
        }
        Ok(())
    }

    fn try_to_start(&mut self, task: TaskIndex, now_ms: u64) -> Result<(), ScenarioError> {
        self.run_task_calls += 1;
        if self.call_run_task(task)? == Answer::Started {
            self.refused_in_a_row = 0;
        } else {
            self.refused += 1;
            self.refused_in_a_row += 1;
            self.hidden
                .push_back((now_ms.saturating_add(VISIBILITY_TIMEOUT_MS), task));
        }
        Ok(())
    }

    /// Calls RunTask, unless ECS's answer is known: what it refused and has no more room for since, it refuses
    /// again.
    fn call_run_task(&mut self, task: TaskIndex) -> Result<Answer, ScenarioError> {
        let position = self.world.referee.entry_position(task);
        let Some((shape, request)) = position.and_then(|position| {
            let entry = self.scenario.workload.entries.get(position)?;
            Some((entry.shape, self.requests.get(position)?))
        }) else {
            return Ok(Answer::Refused);
        };
        if self.refused_at.get(shape).copied().flatten() == Some(self.ended) {
            return Ok(Answer::Refused);
        }
        let answer = self.world.ecs.with_ecs(|ecs| ecs.run_task(request));
        let answer = answer.map_err(|error| ScenarioError::unexpected("RunTask", error))?;
        let Some(started) = answer.tasks.into_iter().next() else {
            let needs = self.scenario.workload.shapes.get(shape);
            let constraint = needs.and_then(|needs| needs.constraint.as_ref());
            if !constraint.is_some_and(depends_on_tasks)
                && let Some(refused_at) = self.refused_at.get_mut(shape)
            {
                *refused_at = Some(self.ended);
            }
            return Ok(Answer::Refused);
        };
        self.world.expect_task(started, task);
        self.world.observe_ecs();
        Ok(Answer::Started)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Started,
    Refused,
}
