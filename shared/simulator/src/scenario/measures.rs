//! The figures of a run, and what no scheduler could do better.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use berth_scheduler::waiting::Priority;

use super::fleet::Fleet;
use super::workload::Workload;
use crate::memory::RequestUnits;

/// What happened in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// Tasks submitted.
    pub tasks: usize,
    /// Calls of RunTask.
    pub run_task_calls: u64,
    /// Those that started nothing.
    pub refused: u64,
    /// Starts onto room that a waiting task of higher standing could have used at that moment.
    pub inverted_starts: u64,
    /// Starts onto room that was not there.
    pub overcommitted: u64,
    /// Starts of a task that had started before.
    pub repeated_starts: u64,
    /// Tasks that never started.
    pub never_started: usize,
    /// From the first submission to the last end, in milliseconds.
    pub makespan_ms: u64,
    /// How much of the fleet's CPU was in use from the first submission to the last one, in millionths.
    pub utilisation_ppm: u64,
    /// When the tasks that never started were submitted, in milliseconds from the beginning, by priority.
    pub left_waiting_ms: BTreeMap<Reverse<Priority>, Vec<u64>>,
    /// How long tasks waited from submission to start, in milliseconds, sorted, by priority.
    pub waits_ms: BTreeMap<Reverse<Priority>, Vec<u64>>,
    /// DynamoDB request units, if they were counted.
    pub request_units: Option<RequestUnits>,
}

/// How long the tasks of one priority waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitSummary {
    /// How many started.
    pub tasks: usize,
    /// The mean, in milliseconds.
    pub mean_ms: u64,
    /// What 95 of 100 did not exceed, in milliseconds.
    pub p95_ms: u64,
    /// The longest, in milliseconds.
    pub max_ms: u64,
}

impl WaitSummary {
    /// Sums up waits that are sorted.
    pub fn of(sorted_ms: &[u64]) -> Self {
        let tasks = sorted_ms.len();
        let sum: u128 = sorted_ms.iter().copied().map(u128::from).sum();
        let mean = sum.checked_div(tasks as u128).unwrap_or(0);
        // The nearest rank: the smallest wait that at least 95 of 100 do not exceed.
        let rank = tasks.saturating_mul(95).div_ceil(100);
        Self {
            tasks,
            mean_ms: u64::try_from(mean).unwrap_or(u64::MAX),
            p95_ms: rank
                .checked_sub(1)
                .and_then(|at| sorted_ms.get(at))
                .copied()
                .unwrap_or(0),
            max_ms: sorted_ms.last().copied().unwrap_or(0),
        }
    }
}

/// The makespan that no scheduler can beat, in milliseconds from the first submission: all that is submitted
/// from some moment on must fit behind it, even if the whole fleet were one instance; and a task cannot end
/// before it has run. `counts` tells which shapes can start at all.
pub(super) fn lower_bound_ms(workload: &Workload, fleet: &Fleet, counts: impl Fn(usize) -> bool) -> u64 {
    let mut capacity = [0_u128; 3];
    for instance in &fleet.instances {
        for (sum, amount) in
            capacity
                .iter_mut()
                .zip([instance.cpu.get(), instance.memory.get(), instance.gpu.get()])
        {
            *sum += u128::from(amount);
        }
    }
    let first_ms = workload.entries.first().map_or(0, |entry| entry.submit_ms);
    let mut bound_ms = 0;
    // Amounts times milliseconds of all that is submitted at this entry or after it.
    let mut work = [0_u128; 3];
    for entry in workload.entries.iter().rev().filter(|entry| counts(entry.shape)) {
        let Some(shape) = workload.shapes.get(entry.shape) else {
            continue;
        };
        let at_ms = u128::from(entry.submit_ms.saturating_sub(first_ms));
        let busy_ms = u128::from(entry.duration_ms) * u128::from(entry.count);
        bound_ms = bound_ms.max(at_ms + u128::from(entry.duration_ms));
        let amounts = [
            shape.demand.cpu.get(),
            shape.demand.memory.get(),
            shape.demand.gpu.get(),
        ];
        for ((work, capacity), amount) in work.iter_mut().zip(capacity).zip(amounts) {
            *work += u128::from(amount) * busy_ms;
            bound_ms = bound_ms.max(at_ms + work.checked_div(capacity).unwrap_or(0));
        }
    }
    u64::try_from(bound_ms).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ninety_fifth_percentile_is_a_wait_that_happened() {
        let hundred: Vec<u64> = (1..=100).collect();
        let summary = WaitSummary::of(&hundred);
        assert_eq!((summary.mean_ms, summary.p95_ms, summary.max_ms), (50, 95, 100));
        let summary = WaitSummary::of(&[7]);
        assert_eq!(
            (summary.tasks, summary.mean_ms, summary.p95_ms, summary.max_ms),
            (1, 7, 7, 7)
        );
        assert_eq!(WaitSummary::of(&[]).max_ms, 0);
    }

    fn bound(tasks: &str) -> u64 {
        let tasks =
            format!("submit_s,duration_s,cpu_units,memory_mib,gpu,priority,user,count,constraint\n{tasks}");
        let workload = Workload::parse("t", tasks.as_bytes()).unwrap();
        let fleet = "id,az,instance_type,cpu_units,memory_mib,gpu\ni-1,a,t,1000,100,0\ni-2,a,t,1000,100,1";
        let fleet = Fleet::parse("f", fleet.as_bytes()).unwrap();
        lower_bound_ms(&workload, &fleet, |_| true)
    }

    #[test]
    fn the_bound_is_the_scarcest_resource_from_the_worst_moment_on() {
        // Memory: 10 x 50 MiB x 4 s on 200 MiB.
        assert_eq!(bound("0,4,1,50,0,0,,10,"), 10_000);
        // GPU: 3 x 5 s on one.
        assert_eq!(bound("0,4,1,50,0,0,,10,\n0,5,1,6,1,0,,3,"), 15_000);
        // What comes late cannot begin early: 20 s + 4 x 5 s of the one GPU.
        assert_eq!(bound("0,4,1,50,0,0,,1,\n20,5,1,6,1,0,,4,"), 40_000);
        // The longest task.
        assert_eq!(bound("7,90,1,6,0,0,,1,\n8,1,1,6,0,0,,1,"), 90_000);
    }
}
