//! `berth-fuzz`: many executions of one target or of all, or one input again.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use berth_fuzz::run::{check, run};
use berth_fuzz::target::{TARGETS, Target};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Reads mutated messages, events, expressions, tables and records, and checks what must hold of each.
#[derive(Debug, Parser)]
#[command(name = "berth-fuzz")]
struct Arguments {
    /// The target: message, event, expression, workload or record [default: each in turn]
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Checks this file once, and nothing else
    #[arg(long, value_name = "FILE", requires = "target")]
    input: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| arguments.target.as_ref().is_none_or(|name| name == target.name))
        .collect();
    if chosen.is_empty() {
        let names = TARGETS.map(|target| target.name).join(", ");
        say(
            &mut stderr(),
            &format!("error: no such target: give one of {names}"),
        );
        return ExitCode::from(2);
    }
    let passed = chosen.into_iter().all(|target| match &arguments.input {
        Some(file) => check_file(target, file),
        None => fuzz(target, &arguments),
    });
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Nothing can be done when nobody hears it.
fn say(to: &mut impl Write, text: &str) {
    let _unheard = writeln!(to, "{text}");
}

fn check_file(target: &Target, file: &PathBuf) -> bool {
    let checked = std::fs::read(file)
        .map_err(|error| error.to_string())
        .and_then(|input| check(target, &input));
    match checked {
        Ok(()) => say(&mut stdout(), &format!("{}: holds", target.name)),
        Err(what) => {
            say(
                &mut stderr(),
                &format!("{}: {}: {what}", target.name, file.display()),
            );
            return false;
        }
    }
    true
}

fn fuzz(target: &Target, arguments: &Arguments) -> bool {
    let until = Instant::now() + Duration::from_secs(arguments.seconds);
    let bar = progress_bar(target, arguments.seconds);
    let mut executions = 0_u64;
    let ended = run(target, arguments.seed, u64::MAX, &mut || {
        executions = executions.saturating_add(1);
        if executions.is_multiple_of(256) {
            bar.set_position(
                arguments
                    .seconds
                    .saturating_sub((until - Instant::now().min(until)).as_secs()),
            );
            return Instant::now() < until;
        }
        true
    });
    bar.finish_and_clear();
    match ended {
        Ok(executions) => {
            say(
                &mut stdout(),
                &format!(
                    "{}: {executions} executions, all hold (seed {})",
                    target.name, arguments.seed
                ),
            );
            true
        }
        Err(finding) => {
            let file = std::env::temp_dir().join(format!("berth-fuzz-{}-{}", target.name, finding.execution));
            let kept = std::fs::write(&file, &finding.input);
            let kept = kept.map_or_else(|error| error.to_string(), |()| file.display().to_string());
            let text = format!(
                "{}: execution {} of seed {}: {}\nagain: cargo run --release -p berth-fuzz -- {} --input {kept}",
                target.name, finding.execution, arguments.seed, finding.what, target.name
            );
            say(&mut stderr(), &text);
            false
        }
    }
}

fn progress_bar(target: &Target, seconds: u64) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(seconds).with_prefix(target.name);
    match ProgressStyle::with_template("{prefix} {bar:40} {pos}/{len} s") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
