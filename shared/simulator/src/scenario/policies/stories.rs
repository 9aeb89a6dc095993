//! The stories: small tasks keep a cluster full, and now and then somebody more urgent needs a lot of room at once.

use berth_scheduler::id::Ec2InstanceId;
use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};
use berth_scheduler::resources::Demand;
use berth_scheduler::waiting::Priority;

use super::Ends;
use crate::scenario::random::Random;
use crate::scenario::workload::{Entry, TaskShape};
use crate::scenario::{Fleet, FleetInstance, Scenario, Workload};

/// What an instance has of CPU: eight units of a small task.
const UNITS: u32 = 8;

/// A unit: one vCPU, in CPU units, and as much memory in MiB.
const UNIT: u32 = 1_024;

/// How long a small task runs, in milliseconds: as likely any time between.
const SMALL_MS: (u64, u64) = (150_000, 450_000);

/// New small work in percent of what the cluster can do: a story has more to do than that.
const LOAD_PERCENT: u32 = 110;

const HOUR_MS: u64 = 3_600_000;

/// A kind of workload; a seed makes a replica of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Story {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// How many instances the cluster has.
    pub instances: usize,
    /// How long it goes on, in hours.
    pub hours: u64,
    load_percent: u32,
    large: Large,
}

/// The urgent tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Large {
    /// None.
    None,
    /// Every half an hour one that needs a whole instance for ten minutes.
    Whole,
    /// Ones that need half an instance, now and then, an eighth of the cluster all together.
    Half,
}

impl Story {
    /// Ten instances are kept full for so many hours, and a whole one is wanted every half an hour.
    pub const fn whole_instance(hours: u64) -> Self {
        Self {
            name: "whole-instance",
            title: "A cluster kept full by one-unit tasks; every 30 minutes a task needs a whole instance",
            instances: 10,
            hours,
            load_percent: LOAD_PERCENT,
            large: Large::Whole,
        }
    }

    /// One submitter floods a cluster for so many hours, another one sends larger tasks of higher rank.
    pub const fn flood(instances: usize, hours: u64) -> Self {
        Self {
            name: "flood",
            title: "A cluster flooded with one-unit tasks; another submitter sends four-unit tasks of higher rank",
            instances,
            hours,
            load_percent: LOAD_PERCENT,
            large: Large::Half,
        }
    }

    /// Nothing but small tasks for so many hours, so much work in percent of what the cluster can do.
    pub(in crate::scenario) const fn steady(instances: usize, hours: u64, load_percent: u32) -> Self {
        Self {
            name: "steady",
            title: "One-unit tasks come to a cluster",
            instances,
            hours,
            load_percent,
            large: Large::None,
        }
    }

    /// Whether many large tasks wait at a time, so that it matters how many instances are set aside.
    pub(super) fn has_many_large(&self) -> bool {
        self.large == Large::Half
    }

    /// When it is over, in milliseconds from the beginning.
    pub(super) fn until_ms(&self) -> u64 {
        self.hours * HOUR_MS
    }

    /// One replica.
    pub(in crate::scenario) fn replica(&self, seed: u64, ends: Ends) -> Scenario {
        let mut random = Random::from_seed(seed);
        let mut lines = Vec::new();
        let mut add = |submit_ms: u64, duration_ms: u64, units: u32, priority: Priority| {
            // To the second, as people declare it, and never less than it takes.
            let expected_s = u32::try_from(duration_ms.div_ceil(1_000)).ok();
            let entry = Entry {
                line: lines.len(),
                submit_ms,
                duration_ms,
                expected_s: expected_s.filter(|_| ends == Ends::Declared),
                priority,
                count: 1,
                shape: 0,
            };
            lines.push((shape(units), entry));
        };
        let (least, most) = SMALL_MS;
        let capacity = self.instances as f64 * f64::from(UNITS);
        let small_every_ms = (least + most) as f64 / 2.0 / (f64::from(self.load_percent) / 100.0 * capacity);
        for at_ms in arrivals(&mut random, small_every_ms, self.until_ms()) {
            add(at_ms, between(&mut random, least, most), 1, Priority::default());
        }
        match self.large {
            Large::None => {}
            Large::Whole => {
                let every_ms = HOUR_MS / 2;
                for turn in 1..self.until_ms() / every_ms {
                    add(turn * every_ms, 600_000, UNITS, large_priority());
                }
            }
            Large::Half => {
                let (least, most) = (300_000, 900_000);
                let units = UNITS / 2;
                let every_ms = (least + most) as f64 / 2.0 * f64::from(units) / (capacity / 8.0);
                for at_ms in arrivals(&mut random, every_ms, self.until_ms()) {
                    let duration_ms = between(&mut random, least, most);
                    add(at_ms, duration_ms, units, large_priority());
                }
            }
        }
        Scenario {
            workload: Workload::of(lines),
            fleet: self.fleet(),
        }
    }

    fn fleet(&self) -> Fleet {
        let instance = |number: usize| {
            Some(FleetInstance {
                id: Ec2InstanceId::parse(&format!("i-{number}")).ok()?,
                zone: "us-east-1a".to_owned(),
                instance_type: "m5.2xlarge".to_owned(),
                cpu: CpuUnits::new(UNITS * UNIT),
                memory: MemoryMib::new(UNITS * UNIT),
                gpu: GpuCount::ZERO,
            })
        };
        Fleet {
            instances: (1..=self.instances).filter_map(instance).collect(),
        }
    }
}

/// The priority of the large tasks. The small ones have the lowest.
pub(super) fn large_priority() -> Priority {
    Priority::new(500).unwrap_or_default()
}

fn shape(units: u32) -> TaskShape {
    TaskShape {
        demand: Demand {
            cpu: CpuUnits::new(units * UNIT),
            memory: MemoryMib::new(units * UNIT),
            ..Demand::default()
        },
        constraint: None,
    }
}

/// As likely any number from `least` to `most`.
fn between(random: &mut Random, least: u64, most: u64) -> u64 {
    let width = usize::try_from(most - least + 1).unwrap_or(usize::MAX);
    least + random.below(width) as u64
}

/// When tasks come that come independently of each other, on average one in `mean_ms`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to the end of a story"
)]
fn arrivals(random: &mut Random, mean_ms: f64, until_ms: u64) -> Vec<u64> {
    const STEPS: usize = 1 << 30;
    let mut arrivals = Vec::new();
    let mut at_ms = 0.0_f64;
    loop {
        let uniform = (random.below(STEPS) + 1) as f64 / STEPS as f64;
        at_ms -= uniform.ln() * mean_ms;
        if at_ms >= until_ms as f64 {
            return arrivals;
        }
        arrivals.push(at_ms as u64);
    }
}
