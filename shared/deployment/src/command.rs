//! Running the tools quietly: their output is a log file, shown only when they fail.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::workspace::Workspace;

/// The end of a log that a failure shows, in lines: a compiler error with what led to it.
const LOG_LINES_SHOWN: usize = 60;

/// Runs a command to its end, with its output in a log file named after the step.
pub(crate) fn run(workspace: &Workspace, step: &str, command: &mut Command) -> Result<(), Failure> {
    announce(step);
    let path = log_path(workspace, step);
    let log = File::create(&path).map_err(Failure::io(format!("making the log `{}`", path.display())))?;
    let copy = log
        .try_clone()
        .map_err(Failure::io(format!("opening the log `{}`", path.display())))?;
    let status = command.stdin(Stdio::null()).stdout(log).stderr(copy).status();
    let status = status.map_err(Failure::io(format!(
        "{step}: starting {:?}",
        command.get_program()
    )))?;
    if status.success() {
        return Ok(());
    }
    let said = fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<&str> = said.lines().collect();
    let shown = lines
        .get(lines.len().saturating_sub(LOG_LINES_SHOWN)..)
        .unwrap_or_default();
    Err(Failure::Command {
        step: step.to_owned(),
        log: format!("{}\n({status}, {})", shown.join("\n"), path.display()),
    })
}

/// Says what takes so long. Straight to standard error, because the test harness keeps what the print macros write
/// until the test has ended.
fn announce(step: &str) {
    // Nothing depends on anybody reading it.
    let _ = writeln!(io::stderr(), "deployment: {step}");
}

fn log_path(workspace: &Workspace, step: &str) -> PathBuf {
    workspace
        .scratch()
        .join(format!("{}.log", step.replace(' ', "-")))
}
