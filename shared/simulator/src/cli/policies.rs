//! `berth policies`: what the waiting policies do to those who wait.

use std::process::ExitCode;

use clap::Args;

use super::{complain, print};
use crate::scenario::policies::{Story, play};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Jittered replicas of each story
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    replicas: u16,
    /// Instances of the second story's cluster
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=5000))]
    flood_instances: u16,
    /// Prints one JSON object and nothing else
    #[arg(long)]
    json: bool,
}

/// Plays the stories.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let flood = Story::flood(usize::from(arguments.flood_instances), 6);
    let stories = [Story::WHOLE, flood];
    match play(&stories, usize::from(arguments.replicas), &|_, _| {}) {
        Ok(report) if arguments.json => print(&format!("{}\n", report.to_json())),
        Ok(report) => print(&report.to_table()),
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}
