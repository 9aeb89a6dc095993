//! The command line of `berth`.

mod ecs;
mod simulate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    match CommandLine::parse().command {
        None => simulate::run_story(),
        Some(Command::Ecs(arguments)) => ecs::run(arguments),
        Some(Command::Simulate(arguments)) => simulate::run(&arguments),
    }
}

/// Tells a problem on standard error.
fn complain(problem: &dyn std::fmt::Display) {
    eprintln!("error: {problem}");
}
