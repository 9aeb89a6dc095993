//! What the waiting policies do to those who wait: two stories, each played over many jittered replicas, because
//! one replay is noise.

mod plot;
mod stories;
mod table;

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use berth_scheduler::policy::{ClaimCount, ClaimLimit, WaitingPolicy};

use super::berth::run_until;
use super::measures::Measures;
use super::{ScenarioError, Timeline, Waiting};
use crate::memory::{Learning, Metering};

pub use stories::Story;

/// What came of all stories.
#[derive(Clone, Debug)]
pub struct PolicyReport {
    /// How many replicas each figure stands on.
    pub replicas: usize,
    /// The stories, each with its variants.
    pub stories: Vec<StoryReport>,
}

/// What came of one story.
#[derive(Clone, Debug)]
pub struct StoryReport {
    /// The story.
    pub story: Story,
    /// What each variant made of it.
    pub variants: Vec<VariantReport>,
}

/// What came of one story under one policy.
#[derive(Clone, Debug)]
pub struct VariantReport {
    /// Which one.
    pub variant: Variant,
    /// How long the large tasks waited, in seconds: the mean of each replica, over all of them. Those that had
    /// not started when the story was over count with the time until then.
    pub wait_s: Figure,
    /// Large tasks that started in time, of all replicas together.
    pub large_started: usize,
    /// Large tasks of all replicas together.
    pub large: usize,
    /// How much of the cluster was in use, in percent.
    pub utilisation_percent: Figure,
    /// Inverted starts of all replicas together.
    pub inverted_starts: u64,
}

impl VariantReport {
    /// Whether every large task started before the story was over.
    pub fn all_started(&self) -> bool {
        self.large_started == self.large
    }

    /// The mean wait and its deviation, for people. When somebody had not started, it is at least this long.
    fn wait_text(&self) -> String {
        let least = if self.all_started() { "" } else { ">= " };
        format!("{least}{:.0} s ± {:.0}", self.wait_s.mean, self.wait_s.deviation)
    }
}

/// A mean over the replicas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub deviation: f64,
}

impl Figure {
    fn of(samples: &[f64]) -> Self {
        let count = samples.len().max(1) as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
        let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
        Self { mean, deviation }
    }
}

/// A policy with what is known of the ends of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    policy: WaitingPolicy,
    ends: Ends,
}

/// What is known of the ends of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// Every submission declares how long its tasks run.
    Declared,
    /// Nobody does, and Berth learns it.
    Learnt,
    /// Nobody does, and nothing has been learnt.
    Unknown,
}

const RESERVE: WaitingPolicy = WaitingPolicy::Reserve(ClaimLimit::Share);

const fn variant(name: &'static str, title: &'static str, policy: WaitingPolicy, ends: Ends) -> Variant {
    Variant {
        name,
        title,
        policy,
        ends,
    }
}

impl Variant {
    /// The variants that every story is played with.
    const ALL: [Self; 5] = [
        variant(
            "reserve-declared",
            "reserve, ends declared",
            RESERVE,
            Ends::Declared,
        ),
        variant("reserve-learnt", "reserve, ends learnt", RESERVE, Ends::Learnt),
        variant("reserve", "reserve, ends unknown", RESERVE, Ends::Unknown),
        variant("strict", "strict", WaitingPolicy::Strict, Ends::Unknown),
        variant("fill", "fill", WaitingPolicy::Fill, Ends::Unknown),
    ];

    /// As `reserve`, with one instance set aside at most.
    fn one_claim() -> Option<Self> {
        let one = ClaimCount::new(1).map(ClaimLimit::AtMost)?;
        Some(variant(
            "reserve-1",
            "reserve:1, ends unknown",
            WaitingPolicy::Reserve(one),
            Ends::Unknown,
        ))
    }

    fn waiting(self) -> Waiting {
        Waiting {
            policy: self.policy,
            aging: None,
            metering: Metering::Off,
            learning: match self.ends {
                Ends::Declared | Ends::Learnt => Learning::On,
                Ends::Unknown => Learning::Off,
            },
        }
    }
}

/// One run: a replica of a story under a variant.
struct Run {
    story: usize,
    variant: Variant,
    seed: u64,
}

/// The variants that a story is played with.
fn variants(story: &Story) -> Vec<Variant> {
    let mut variants = Variant::ALL.to_vec();
    variants.extend(Variant::one_claim().filter(|_| story.has_many_large()));
    variants
}

/// How many runs so many replicas of these stories are.
pub fn runs(stories: &[Story], replicas: usize) -> usize {
    let variants: usize = stories.iter().map(|story| variants(story).len()).sum();
    variants.saturating_mul(replicas)
}

/// Plays stories. `progress` is told when a run is done.
///
/// # Errors
/// When a run cannot be finished.
pub fn play(
    stories: &[Story],
    replicas: usize,
    progress: &(dyn Fn() + Sync),
) -> Result<PolicyReport, ScenarioError> {
    let mut runs = Vec::new();
    for (story, it) in stories.iter().enumerate() {
        for variant in variants(it) {
            let seeds = (1..).take(replicas);
            runs.extend(seeds.map(|seed| Run { story, variant, seed }));
        }
    }
    let samples = play_all(stories, &runs, progress)?;
    let report = |(story, it): (usize, &Story)| {
        let of_variant = |variant: Variant| {
            let own = runs.iter().zip(&samples);
            let own = own.filter(|(run, _)| run.story == story && run.variant == variant);
            let own: Vec<&Sample> = own.map(|(_, sample)| sample).collect();
            summed_up(variant, &own)
        };
        StoryReport {
            story: *it,
            variants: variants(it).into_iter().map(of_variant).collect(),
        }
    };
    Ok(PolicyReport {
        replicas,
        stories: stories.iter().enumerate().map(report).collect(),
    })
}

/// What one run showed.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    mean_wait_s: f64,
    large_started: usize,
    large: usize,
    utilisation_percent: f64,
    inverted_starts: u64,
}

/// Plays all runs, as many at a time as the machine has processors, and gives the samples in their order.
fn play_all(
    stories: &[Story],
    runs: &[Run],
    progress: &(dyn Fn() + Sync),
) -> Result<Vec<Sample>, ScenarioError> {
    let next = AtomicUsize::new(0);
    let samples = Mutex::new(vec![Ok(Sample::default()); runs.len()]);
    let work = || {
        while let Some((at, run)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            runs.get(at).map(|run| (at, run))
        } {
            let sample = stories.get(run.story).map(|story| play_one(story, run));
            let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(slot), Some(sample)) = (samples.get_mut(at), sample) {
                *slot = sample;
            }
            drop(samples);
            progress();
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|threads| {
        for _ in 0..workers.min(runs.len()) {
            threads.spawn(work);
        }
    });
    let samples = samples.into_inner().unwrap_or_else(PoisonError::into_inner);
    samples.into_iter().collect()
}

fn play_one(story: &Story, run: &Run) -> Result<Sample, ScenarioError> {
    let scenario = story.replica(run.seed, run.variant.ends);
    let until_ms = story.until_ms();
    let nobody_watches = Timeline::of_at_most(0);
    let (played, _) = run_until(
        &scenario,
        run.variant.waiting(),
        until_ms,
        nobody_watches,
        &|_, _| {},
    )?;
    Ok(sample_of(&played.measures, until_ms))
}

fn sample_of(measures: &Measures, until_ms: u64) -> Sample {
    let large = Reverse(stories::large_priority());
    let started: &[u64] = measures.waits_ms.get(&large).map_or(&[], Vec::as_slice);
    let left = measures.left_waiting_ms.get(&large).into_iter().flatten();
    let left = left.map(|submit_ms| until_ms.saturating_sub(*submit_ms));
    let waits: Vec<u64> = started.iter().copied().chain(left).collect();
    let sum: u64 = waits.iter().sum();
    Sample {
        mean_wait_s: sum as f64 / 1_000.0 / waits.len().max(1) as f64,
        large_started: started.len(),
        large: waits.len(),
        utilisation_percent: measures.utilisation_ppm as f64 / 10_000.0,
        inverted_starts: measures.inverted_starts,
    }
}

fn summed_up(variant: Variant, samples: &[&Sample]) -> VariantReport {
    let figure = |of: fn(&Sample) -> f64| Figure::of(&samples.iter().map(|it| of(it)).collect::<Vec<_>>());
    VariantReport {
        variant,
        wait_s: figure(|it| it.mean_wait_s),
        large_started: samples.iter().map(|it| it.large_started).sum(),
        large: samples.iter().map(|it| it.large).sum(),
        utilisation_percent: figure(|it| it.utilisation_percent),
        inverted_starts: samples.iter().map(|it| it.inverted_starts).sum(),
    }
}

#[cfg(test)]
mod tests;
