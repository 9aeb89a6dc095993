//! `berth soak`: many runs with everything going wrong, and the promises checked after every step.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{print, progress_bar};
use crate::soak::{SoakOptions, SoakReport, Violation, shrink, soak};

/// Runs unless asked otherwise; with `--seed` alone it is one.
const SEEDS: u64 = 10_000;

/// The last steps of a run that are shown unless asked otherwise.
const STEPS: usize = 70;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How many seeds to run, each a run of its own [default: 10000, or 1 with --seed]
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Prints one JSON object and nothing else
    #[arg(long)]
    json: bool,
    /// Shows so many of the last steps of a run with a broken promise
    #[arg(long, value_name = "N", default_value_t = STEPS)]
    steps: usize,
}

/// Runs the seeds. A broken promise is shown with its last steps, and the exit code is 1.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let count = arguments
        .seeds
        .unwrap_or(if arguments.seed.is_some() { 1 } else { SEEDS });
    let first = arguments.seed.unwrap_or(1);
    let bar = progress_bar(count, "{bar:40} {pos}/{len} seeds, {eta} left");
    let options = SoakOptions::default();
    let report = soak(first..first.saturating_add(count), &options, &|| bar.inc(1));
    bar.finish_and_clear();
    let text = if arguments.json {
        format!("{}\n", to_json(&report))
    } else {
        shown(&report, &options, arguments.steps)
    };
    match (print(&text), report.violations.is_empty()) {
        (printed, true) => printed,
        (_, false) => ExitCode::FAILURE,
    }
}

fn to_json(report: &SoakReport) -> Value {
    let faults: serde_json::Map<String, Value> = report
        .faults
        .iter()
        .map(|(kind, count)| (kind.name().to_owned(), (*count).into()))
        .collect();
    let violations = report.violations.iter();
    let violations: Vec<Value> = violations
        .map(|(seed, it)| json!({"seed": seed, "invariant": it.invariant.name()}))
        .collect();
    json!({"seeds": report.seeds, "steps": report.steps, "faults": faults, "violations": violations})
}

fn shown(report: &SoakReport, options: &SoakOptions, steps: usize) -> String {
    let mut text = format!(
        "{} seeds, {} steps, {} calls, {} broken promises\n\n",
        report.seeds,
        report.steps,
        report.calls,
        report.violations.len()
    );
    for (kind, count) in &report.faults {
        text.push_str(&format!("{count:>12}  {}\n", kind.name()));
    }
    for (seed, violation) in &report.violations {
        text.push_str(&format!("\nseed {seed}: {}\n", told(violation)));
        text.push_str(&format!("again: cargo run --release -- soak --seed {seed}\n"));
    }
    if let Some((seed, _)) = report.violations.first()
        && let Some(shrunk) = shrink(*seed, options, steps)
    {
        let kinds: Vec<&str> = shrunk.kinds.iter().map(|kind| kind.name()).collect();
        text.push_str(&format!(
            "\nthe last steps of seed {seed}, made smaller: {} messages; faults: {}\n",
            shrunk.run.messages,
            kinds.join(", ")
        ));
        for step in &shrunk.run.trace {
            text.push_str(step);
            text.push('\n');
        }
        text.extend(shrunk.run.violation.iter().map(told));
        text.push('\n');
    }
    text
}

fn told(violation: &Violation) -> String {
    format!("{}: {}", violation.invariant.name(), violation.detail)
}
