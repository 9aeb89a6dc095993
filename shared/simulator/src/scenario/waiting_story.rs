//! The story of the waiting policies: a cluster that is always full of small tasks, and now and then a large,
//! urgent one that needs a whole instance.

use std::fmt::Write as _;

use super::random::Random;
use super::{Fleet, InputError, Scenario, Workload};

/// How long the small tasks keep coming.
pub const WAITING_STORY_HOURS: u32 = 6;

const INSTANCES: u32 = 10;

/// Small tasks that an instance holds.
const UNITS: u32 = 8;

/// What a small task takes.
const UNIT_CPU: u32 = 128;
const UNIT_MEMORY_MIB: u32 = 128;

/// Small tasks last 150 to 450 seconds: 300 on average.
const SMALL_SECONDS: (u32, u32) = (150, 450);

/// A small task comes every so many milliseconds: 80 units x 1.1 / 300 s is one in 3,409 ms.
const SMALL_EVERY_MS: u32 = 3_409;

const LARGE_EVERY_SECONDS: u32 = 1_800;
const LARGE_SECONDS: u32 = 600;

/// Ten instances of eight units, kept busy for `hours` by one-unit tasks of 150 to 450 s at load 1.1; every 30
/// minutes a task of high priority and 600 s needs a whole instance. `seed` varies the durations.
///
/// # Errors
/// Never: the lines are well-formed.
pub fn waiting_story(seed: u64, hours: u32) -> Result<Scenario, InputError> {
    let mut random = Random::from_seed(seed);
    let mut tasks =
        String::from("submit_s,duration_s,cpu_units,memory_mib,gpu,priority,user,count,constraint\n");
    let end_ms = hours.saturating_mul(3_600_000);
    let (least, most) = SMALL_SECONDS;
    let durations = (most.saturating_sub(least) as usize).saturating_add(1);
    for at_ms in (0..end_ms).step_by(SMALL_EVERY_MS as usize) {
        let seconds = (least as usize).saturating_add(random.below(durations));
        let (whole, thousandths) = (at_ms / 1_000, at_ms % 1_000);
        let _ = writeln!(
            tasks,
            "{whole}.{thousandths:03},{seconds},{UNIT_CPU},{UNIT_MEMORY_MIB},0,10,,1,"
        );
    }
    let (cpu, memory) = (
        UNIT_CPU.saturating_mul(UNITS),
        UNIT_MEMORY_MIB.saturating_mul(UNITS),
    );
    // The first comes when the cluster is full.
    for at_s in (LARGE_EVERY_SECONDS..=hours.saturating_mul(3_600)).step_by(LARGE_EVERY_SECONDS as usize) {
        let _ = writeln!(tasks, "{at_s},{LARGE_SECONDS},{cpu},{memory},0,900,,1,");
    }
    let mut instances = String::from("id,az,instance_type,cpu_units,memory_mib,gpu\n");
    for number in 1..=INSTANCES {
        let _ = writeln!(instances, "i-{number},us-east-1a,example,{cpu},{memory},0");
    }
    Ok(Scenario {
        workload: Workload::parse("tasks", tasks.as_bytes())?,
        fleet: Fleet::parse("instances", instances.as_bytes())?,
    })
}
