//! `berth policies`: what the waiting policies do to those who wait.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, value_parser};

use super::{complain, print, progress_bar};
use crate::scenario::policies::{Story, play, runs};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Jittered replicas of each story; a replica takes about a minute of two processors
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u16).range(1..=1000))]
    replicas: u16,
    /// How long the stories go on
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = value_parser!(u64).range(1..=24))]
    hours: u64,
    /// Instances of the flooded cluster
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u16).range(1..=1000))]
    flood_instances: u16,
    /// Prints one JSON object and nothing else
    #[arg(long)]
    json: bool,
    /// Draws the figures into a file, in SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// Plays the stories.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let stories = [
        Story::whole_instance(arguments.hours),
        Story::flood(usize::from(arguments.flood_instances), arguments.hours),
    ];
    let replicas = usize::from(arguments.replicas);
    let bar = progress_bar(
        runs(&stories, replicas) as u64,
        "{pos} of {len} runs {wide_bar} {eta} left",
    );
    let report = play(&stories, replicas, &|| bar.inc(1));
    bar.finish_and_clear();
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            complain(&error);
            return ExitCode::FAILURE;
        }
    };
    if let Some(file) = &arguments.plot
        && let Err(error) = std::fs::write(file, report.to_svg())
    {
        complain(&format!("cannot write {}: {error}", file.display()));
        return ExitCode::FAILURE;
    }
    if arguments.json {
        print(&format!("{}\n", report.to_json()))
    } else {
        print(&report.to_table())
    }
}
