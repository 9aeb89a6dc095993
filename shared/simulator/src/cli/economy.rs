//! `berth economy`: what a task costs in calls and write units.

use std::process::ExitCode;

use clap::{Args, value_parser};

use super::{complain, print, progress_bar};
use crate::scenario::economy::{LOADS, measure, to_json, to_table};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How long tasks are submitted
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = value_parser!(u64).range(1..=24))]
    hours: u64,
    /// Prints one JSON object and nothing else
    #[arg(long)]
    json: bool,
}

/// Plays the loads.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let bar = progress_bar(LOADS as u64, "{pos} of {len} loads {wide_bar} {eta} left");
    let reports = measure(arguments.hours, &|| bar.inc(1));
    bar.finish_and_clear();
    match reports {
        Ok(reports) if arguments.json => print(&format!("{}\n", to_json(&reports))),
        Ok(reports) => print(&to_table(&reports)),
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}
