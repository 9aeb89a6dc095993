//! The local run: a workload is played in virtual time, through Berth's own code and through a naive worker,
//! on the same simulated ECS, and a referee counts what each of them did.
//!
//! - [`workload`] and [`fleet`] are read from CSV ([`csv`])
//! - [`world`] is ECS with the fleet registered; [`referee`] watches it
//! - [`berth`] and [`naive`] play; [`measures`] are what came of it
//! - [`timeline`] and [`report`] show it

mod berth;
mod csv;
pub mod economy;
mod fleet;
mod measures;
mod naive;
pub mod policies;
mod random;
mod referee;
mod report;
mod side_by_side;
mod timeline;
mod workload;
mod world;

use std::collections::BTreeMap;
use std::fmt;

use berth_scheduler::policy::WaitingPolicy;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::AgingSeconds;

pub use csv::InputError;
pub use fleet::{Fleet, FleetInstance};
pub use measures::{Measures, WaitSummary};
pub use report::Colours;
pub use timeline::Timeline;
pub use workload::Workload;

use crate::memory::{Learning, Metering};
use referee::{Referee, Rules};
use workload::TaskShape;

/// When virtual time begins: 2026-01-01T00:00:00Z.
const BEGINNING: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// From a change in ECS to its event's arrival at capacity-tracker, in milliseconds: EventBridge takes about
/// half a second, its call of the function some of the rest. With [`WAKE_LATENCY_MS`] it makes one second, so
/// that in workloads with whole seconds what happens falls on whole seconds, too, and can be read.
const EVENT_LATENCY_MS: u64 = 800;

/// From a wake message's sending to its arrival at the admitter, in milliseconds.
const WAKE_LATENCY_MS: u64 = 200;

/// From one run of the reconciler to the next, in milliseconds, as in the template.
const RECONCILE_EVERY_MS: u64 = 60_000;

/// The one container of every task.
const CONTAINER: &str = "main";

/// The instant of a moment, counted in milliseconds from the beginning.
fn after_beginning(ms: u64) -> Timestamp {
    BEGINNING.saturating_add_millis(ms)
}

fn since_beginning(at: Timestamp) -> u64 {
    at.millis_since(BEGINNING)
}

/// What is played.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Who submits what when.
    pub workload: Workload,
    /// On which instances.
    pub fleet: Fleet,
}

/// Who plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduler {
    /// Berth.
    Berth,
    /// A worker that polls SQS and tries its luck.
    NaiveSqs,
}

impl Scheduler {
    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Berth => "berth",
            Self::NaiveSqs => "naive-sqs",
        }
    }

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Berth => "Berth",
            Self::NaiveSqs => "naive SQS polling",
        }
    }
}

/// Is told how far a run is: who plays, and how many tasks have started.
pub type Progress<'p> = dyn Fn(Scheduler, usize) + Sync + 'p;

/// What came of a scenario.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What each scheduler did.
    pub runs: Vec<SchedulerRun>,
    /// The makespan that no scheduler can beat, in milliseconds.
    pub lower_bound_ms: u64,
    /// Berth's run, moment by moment.
    pub timeline: Timeline,
}

/// What one scheduler did.
#[derive(Clone, Debug)]
pub struct SchedulerRun {
    /// Who.
    pub scheduler: Scheduler,
    /// The figures.
    pub measures: Measures,
    /// What never started, by what it needs.
    pub never_started: Vec<NeverStarted>,
}

/// Equal tasks that never started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeverStarted {
    /// The first line of the workload with such a task.
    pub first_line: usize,
    /// How many there are.
    pub tasks: u32,
    /// Why they waited at last, if the scheduler knows.
    pub reason: Option<String>,
}

impl SchedulerRun {
    fn new(
        scheduler: Scheduler,
        measures: Measures,
        referee: &Referee<'_>,
        reason: impl Fn(&TaskShape) -> Option<String>,
    ) -> Self {
        let mut by_shape: BTreeMap<usize, NeverStarted> = BTreeMap::new();
        for entry in referee.never_started().filter_map(|task| referee.entry(task)) {
            let kind = by_shape.entry(entry.shape).or_insert_with(|| NeverStarted {
                first_line: entry.line,
                tasks: 0,
                reason: referee.shape(entry.shape).and_then(&reason),
            });
            kind.tasks = kind.tasks.saturating_add(1);
        }
        Self {
            scheduler,
            measures,
            never_started: by_shape.into_values().collect(),
        }
    }
}

/// A run that could not be finished: a defect of the simulator or of Berth, not of the workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    what: String,
    message: String,
}

impl ScenarioError {
    fn unexpected(what: &str, error: impl fmt::Display) -> Self {
        Self {
            what: what.to_owned(),
            message: error.to_string(),
        }
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the simulation went wrong in {}: {}", self.what, self.message)
    }
}

impl std::error::Error for ScenarioError {}

/// How Berth treats those who wait.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting {
    /// What becomes of those behind a task that has to wait for room.
    pub policy: WaitingPolicy,
    /// How fast waiting tasks gain rank.
    pub aging: Option<AgingSeconds>,
    /// Whether it learns how long tasks run.
    pub learning: Learning,
    /// Whether its writes are counted.
    pub metering: Metering,
}

impl Waiting {
    fn rules(self) -> Rules {
        Rules {
            // Berth knows of free room when ECS's event has arrived.
            unknown_ms: EVENT_LATENCY_MS,
            policy: self.policy,
            aging: self.aging,
        }
    }
}

/// How a scenario is played.
#[derive(Clone, Debug)]
pub struct PlayOptions {
    /// How Berth treats those who wait.
    pub waiting: Waiting,
    /// Shuffles the messages of the naive worker.
    pub seed: u64,
    /// Most moments of the timeline.
    pub moments_max: usize,
}

/// The story: a hundred tasks of five minutes each on an instance with room for five, and after ten minutes
/// twenty urgent ones.
///
/// # Errors
/// Never: the story's files are part of the program.
pub fn story() -> Result<Scenario, InputError> {
    Ok(Scenario {
        workload: Workload::parse("story.csv", include_bytes!("../workloads/story.csv"))?,
        fleet: Fleet::parse(
            "story.instances.csv",
            include_bytes!("../workloads/story.instances.csv"),
        )?,
    })
}

/// Plays a scenario with Berth and with the naive worker.
///
/// # Errors
/// When a run cannot be finished.
pub fn compare(
    scenario: &Scenario,
    options: &PlayOptions,
    progress: &Progress<'_>,
) -> Result<Comparison, ScenarioError> {
    let timeline = Timeline::of_at_most(options.moments_max);
    // Each has a world of its own, so they can play at the same time.
    let (berth, naive) = std::thread::scope(|threads| {
        let naive = threads.spawn(|| naive::run(scenario, options.seed, progress));
        (
            berth::run(scenario, options.waiting, timeline, progress),
            naive.join(),
        )
    });
    let (berth, timeline) = berth?;
    let naive = naive.map_err(|_panic| ScenarioError::unexpected("the naive worker", "it panicked"))??;
    let referee = Referee::new(&scenario.workload, &scenario.fleet, options.waiting.rules());
    let bound = |shape| referee.can_ever_fit(shape);
    Ok(Comparison {
        lower_bound_ms: measures::lower_bound_ms(&scenario.workload, &scenario.fleet, bound),
        runs: vec![berth, naive],
        timeline,
    })
}

#[cfg(test)]
mod tests;
