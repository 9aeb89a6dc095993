//! `berth policies`: the story of the waiting policies.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::process::ExitCode;

use berth_scheduler::waiting::Priority;
use clap::Args;

use super::{complain, print};
use crate::scenario::{SchedulerRun, WAITING_STORY_HOURS, WaitSummary, Waiting, play_berth, waiting_story};

/// What is played: the policy, and whether ends are known.
const CASES: [(&str, bool); 4] = [
    ("reserve", true),
    ("reserve", false),
    ("strict", false),
    ("fill", false),
];

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How long the small tasks keep coming
    #[arg(long, value_name = "N", default_value_t = WAITING_STORY_HOURS, value_parser = clap::value_parser!(u32).range(1..=24))]
    hours: u32,
    /// Varies the durations
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Plays the story under each policy and prints a table.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match table(arguments) {
        Ok(table) => print(&table),
        Err(error) => {
            complain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn table(arguments: &Arguments) -> Result<String, Box<dyn std::error::Error>> {
    let scenario = waiting_story(arguments.seed, arguments.hours)?;
    let mut table = format!(
        "10 instances of 8 units are full of small tasks for {} hours; every 30 minutes a large one of high priority\n\
         needs a whole instance. How long they wait, in seconds:\n\n{:<10}{:<12}{:>12}{:>12}{:>13}{:>12}{:>10}\n",
        arguments.hours, "policy", "ends", "large: mean", "large: max", "small: mean", "makespan", "inverted",
    );
    for (policy, durations_declared) in CASES {
        let waiting = Waiting {
            policy: policy.to_owned(),
            durations_declared,
        };
        let run = play_berth(&scenario, &waiting)?;
        let ends = if durations_declared { "declared" } else { "unknown" };
        write_row(&mut table, policy, ends, &run)?;
    }
    Ok(table)
}

fn write_row(table: &mut String, policy: &str, ends: &str, run: &SchedulerRun) -> std::fmt::Result {
    let waits = |large: bool| {
        let of_kind = |priority: &Priority| (priority.get() > 500) == large;
        let waits = run.measures.waits_ms.iter();
        let waits = waits.filter(|(Reverse(priority), _)| of_kind(priority));
        WaitSummary::of(&waits.flat_map(|(_, waits)| waits.clone()).collect::<Vec<_>>())
    };
    let (large, small) = (waits(true), waits(false));
    writeln!(
        table,
        "{policy:<10}{ends:<12}{:>12}{:>12}{:>13}{:>12}{:>10}",
        large.mean_ms / 1_000,
        large.max_ms / 1_000,
        small.mean_ms / 1_000,
        run.measures.makespan_ms / 1_000,
        run.measures.inverted_starts,
    )
}
