//! The soak: the real flows on ports where everything that can go wrong does, in virtual time.
//!
//! One seed is one run, and the same seed is always the same run. A run has two phases: in the first, calls
//! crash, fail, come late or lose their answers, events and messages are lost, repeated and delayed, other
//! people's tasks and instances come and go; in the second nothing goes wrong any more, and everything must
//! come to its end. After every effect a referee checks the promises by what the simulated ECS itself says.

mod account;
mod agenda;
mod calm;
mod chaos;
mod effect;
mod engine;
mod fault;
mod invocation;
mod mutation;
mod ports;
mod queue;
mod referee;
mod second_thoughts;
mod setup;
mod shrink;
mod terms;
mod workload;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

pub use fault::FaultKind;
pub use mutation::Mutation;
pub use referee::{Invariant, Violation};
pub use shrink::{Shrunk, shrink};

/// What a run may do.
#[derive(Clone, Debug)]
pub struct SoakOptions {
    /// A deliberate mistake.
    pub mutation: Option<Mutation>,
    /// Kinds of faults that never occur.
    pub never: BTreeSet<FaultKind>,
    /// Submissions at most.
    pub messages_max: usize,
}

impl Default for SoakOptions {
    fn default() -> Self {
        Self {
            mutation: None,
            never: BTreeSet::new(),
            messages_max: usize::MAX,
        }
    }
}

/// What happened in one run.
#[derive(Clone, Debug)]
pub struct SeedRun {
    /// Steps of virtual time: whatever was due and was done.
    pub steps: u64,
    /// Port calls of the flows.
    pub calls: u64,
    /// Faults that occurred.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Kinds of faults that could occur.
    pub kinds: Vec<FaultKind>,
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// Messages that users sent.
    pub messages: usize,
    /// The last steps, as many as were asked for.
    pub trace: Vec<String>,
}

/// What happened in many runs.
#[derive(Clone, Debug, Default)]
pub struct SoakReport {
    /// Runs.
    pub seeds: u64,
    /// Steps of all of them.
    pub steps: u64,
    /// Port calls of all of them.
    pub calls: u64,
    /// Faults that occurred.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Seeds with a broken promise.
    pub violations: Vec<(u64, Violation)>,
}

impl SoakReport {
    fn add(&mut self, seed: u64, run: SeedRun) {
        self.seeds += 1;
        self.steps += run.steps;
        self.calls += run.calls;
        for (kind, count) in run.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.violations
            .extend(run.violation.map(|violation| (seed, violation)));
    }
}

/// Runs one seed.
pub fn run_seed(seed: u64, options: &SoakOptions) -> SeedRun {
    engine::run(seed, options, 0)
}

/// Runs one seed and keeps so many of its last steps.
pub fn trace_seed(seed: u64, options: &SoakOptions, steps: usize) -> SeedRun {
    engine::run(seed, options, steps)
}

/// Runs many seeds, on all processors; `progress` is told after each.
pub fn soak(seeds: Range<u64>, options: &SoakOptions, progress: &(impl Fn() + Sync)) -> SoakReport {
    let (next, end) = (AtomicU64::new(seeds.start), seeds.end);
    let report = Mutex::new(SoakReport::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let run = run_seed(seed, options);
                    if let Ok(mut report) = report.lock() {
                        report.add(seed, run);
                    }
                    progress();
                }
            });
        }
    });
    let mut report = report.into_inner().unwrap_or_default();
    report.violations.sort_by_key(|(seed, _)| *seed);
    report
}
