//! The command line of `berth`.

mod economy;
mod ecs;
mod input;
mod instances;
mod place;
mod policies;
mod simulate;
mod soak;

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

/// The exit code for input that cannot be used, as for a wrong command line.
const BAD_INPUT: u8 = 2;

/// Priority admission for Amazon ECS, on this machine: no AWS account, nothing but virtual time.
///
/// Without a command it plays the story: 100 tasks that fit five at a time, and 20 urgent ones ten minutes
/// later, with Berth and with naive SQS polling.
#[derive(Debug, Parser)]
#[command(name = "berth", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves a simulated ECS over HTTP, for boto3, the AWS CLI and the SDKs.
    Ecs(ecs::Arguments),
    /// Plays a workload in virtual time, with Berth and with naive SQS polling, and compares them.
    Simulate(simulate::Arguments),
    /// Plays what the waiting policies do to those who wait, over many replicas.
    Policies(policies::Arguments),
    /// Plays three loads and counts what a task costs in calls of RunTask and DynamoDB write units.
    Economy(economy::Arguments),
    /// Runs the flows with everything going wrong, seed by seed, and checks the promises after every step.
    Soak(soak::Arguments),
    /// Lists the container instances in a file that match an expression.
    Instances(instances::Arguments),
    /// Tells where the copies of a task would go in a cluster that is in a file, or why nowhere.
    Place(place::Arguments),
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    match CommandLine::parse().command {
        None => simulate::run_story(),
        Some(Command::Ecs(arguments)) => ecs::run(arguments),
        Some(Command::Simulate(arguments)) => simulate::run(&arguments),
        Some(Command::Policies(arguments)) => policies::run(&arguments),
        Some(Command::Economy(arguments)) => economy::run(&arguments),
        Some(Command::Soak(arguments)) => soak::run(&arguments),
        Some(Command::Instances(arguments)) => instances::run(&arguments),
        Some(Command::Place(arguments)) => place::run(&arguments),
    }
}

/// The progress of so many steps on standard error; nobody sees it unless that is a terminal.
fn progress_bar(steps: u64, template: &str) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Tells a problem on standard error.
fn complain(problem: &dyn std::fmt::Display) {
    eprintln!("error: {problem}");
}

/// Prints to standard output. Whoever closes it early has seen enough.
fn print(text: &str) -> ExitCode {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("cannot write the result: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
