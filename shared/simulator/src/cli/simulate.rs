//! `berth` alone and `berth simulate`: a scenario is played and shown.

use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use berth_control::settings::{SettingsError, parse_policy};
use berth_scheduler::policy::WaitingPolicy;
use berth_scheduler::waiting::AgingSeconds;
use clap::Args;
use indicatif::ProgressBar;

use super::{BAD_INPUT, complain, print, progress_bar};
use crate::scenario::{
    Colours, Comparison, Fleet, InputError, PlayOptions, Scenario, Scheduler, Waiting, Workload, compare,
    story,
};

/// Tasks from which on a run may last long enough for a progress bar.
const LONG_RUN_TASKS: usize = 5_000;

/// Moments of a workload's timeline that are shown unless asked otherwise.
const MOMENTS_MAX: usize = 30;

/// The seed that shuffles the naive worker's messages unless asked otherwise.
const SEED: u64 = 1;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The workload: CSV with the columns
    /// submit_s,duration_s,cpu_units,memory_mib,gpu,priority,user,count,constraint[,expected_s]
    #[arg(long, value_name = "FILE")]
    tasks: PathBuf,
    /// The container instances: CSV with the columns id,az,instance_type,cpu_units,memory_mib,gpu
    #[arg(long, value_name = "FILE")]
    instances: PathBuf,
    /// Prints one JSON object and nothing else
    #[arg(long)]
    json: bool,
    /// Moments of the timeline to show
    #[arg(long, value_name = "N", default_value_t = MOMENTS_MAX)]
    moments: usize,
    /// Shuffles the messages of the naive worker
    #[arg(long, value_name = "N", default_value_t = SEED)]
    seed: u64,
    /// What becomes of those behind a task that waits for room: reserve, reserve:N, strict or fill
    #[arg(long, value_name = "POLICY", default_value = "reserve", value_parser = parse_policy)]
    policy: WaitingPolicy,
    /// Seconds of waiting that count as much as one point of priority; 0 for no aging
    #[arg(long, value_name = "N", default_value = "0", value_parser = parse_aging)]
    aging_seconds: Aging,
}

/// How fast waiting tasks gain rank. A type of its own, because an option that may be left out looks the same.
#[derive(Clone, Copy, Debug)]
struct Aging(Option<AgingSeconds>);

fn parse_aging(seconds: &str) -> Result<Aging, SettingsError> {
    berth_control::settings::parse_aging(seconds).map(Aging)
}

/// Plays the story.
pub(super) fn run_story() -> ExitCode {
    let scenario = match story() {
        Ok(scenario) => scenario,
        Err(error) => return refuse(&error),
    };
    let intro = "The story: one container instance with room for 5 tasks of 100 MiB, 100 such tasks of five minutes \
                 each,\nand after ten minutes 20 urgent ones. Time is virtual; the code is Berth's own.\n\n";
    let options = PlayOptions {
        waiting: Waiting::default(),
        seed: SEED,
        moments_max: usize::MAX,
    };
    play(&scenario, &options, |comparison| {
        shown(intro, &scenario, comparison)
    })
}

/// Plays a workload from files.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let workload = read(&arguments.tasks).and_then(|(name, bytes)| Workload::parse(&name, &bytes));
    let fleet = read(&arguments.instances).and_then(|(name, bytes)| Fleet::parse(&name, &bytes));
    let scenario = match (workload, fleet) {
        (Ok(workload), Ok(fleet)) => Scenario { workload, fleet },
        (workload, fleet) => {
            for error in [workload.err(), fleet.err()].into_iter().flatten() {
                complain(&error);
            }
            return ExitCode::from(BAD_INPUT);
        }
    };
    let moments_max = if arguments.json { 0 } else { arguments.moments };
    let waiting = Waiting {
        policy: arguments.policy,
        aging: arguments.aging_seconds.0,
        ..Waiting::default()
    };
    let options = PlayOptions {
        waiting,
        seed: arguments.seed,
        moments_max,
    };
    play(&scenario, &options, |comparison| {
        if arguments.json {
            format!("{}\n", comparison.to_json())
        } else {
            shown("", &scenario, comparison)
        }
    })
}

fn read(path: &Path) -> Result<(String, Vec<u8>), InputError> {
    let name = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => Ok((name, bytes)),
        Err(error) => Err(InputError::unreadable(&name, &error)),
    }
}

fn play(scenario: &Scenario, options: &PlayOptions, show: impl FnOnce(&Comparison) -> String) -> ExitCode {
    let tasks = scenario.workload.tasks();
    let bar = if tasks < LONG_RUN_TASKS {
        ProgressBar::hidden()
    } else {
        progress_bar(
            tasks as u64,
            "{pos} of {len} tasks started {wide_bar} {percent:>3} %",
        )
    };
    // Both play at the same time; Berth, which does more, is the one to wait for.
    let result = compare(scenario, options, &|scheduler, started| {
        if scheduler == Scheduler::Berth {
            bar.set_position(started as u64);
        }
    });
    bar.finish_and_clear();
    match result {
        Ok(comparison) => print(&show(&comparison)),
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn shown(intro: &str, scenario: &Scenario, comparison: &Comparison) -> String {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = if stdout().is_terminal() && !no_colour {
        Colours::On
    } else {
        Colours::Off
    };
    let timeline = comparison.timeline.render(&scenario.fleet);
    format!("{intro}{timeline}\n{}", comparison.to_table(colours))
}

fn refuse(error: &InputError) -> ExitCode {
    complain(error);
    ExitCode::from(BAD_INPUT)
}
