//! Runs the binary.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The cluster of the launch post's examples, as `tests/clusters/launch-post.json` has it.
pub(crate) const LAUNCH_POST: &str = "launch-post.json";
/// Seven instances that each stand for a reason not to place a task there, in `tests/clusters/mixed.json`.
pub(crate) const MIXED: &str = "mixed.json";

/// What the binary did.
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn path(cluster: &str) -> String {
    format!("{}/tests/clusters/{cluster}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs `berth` with this text as its standard input.
pub(crate) fn berth(arguments: &[&str], input: &str) -> Answer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    let command = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its arguments does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Answer {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The ids that `instances` lists.
pub(crate) fn listed(cluster: &str, filter: &str) -> Vec<String> {
    let answer = berth(
        &[
            "instances",
            "--from",
            &path(cluster),
            "--filter",
            filter,
            "--json",
        ],
        "",
    );
    assert_eq!(answer.code, Some(0), "{filter}: {}", answer.err);
    ids(&serde_json::from_str(&answer.out).unwrap())
}

/// What `place --json` answers about a task.
pub(crate) fn place_json(cluster: &str, task: &str, options: &[&str]) -> Value {
    let answer = place(cluster, task, &[options, &["--json"]].concat());
    assert_eq!(answer.code, Some(0), "{task}: {}", answer.err);
    serde_json::from_str(&answer.out).unwrap()
}

/// The ids of the instances where the copies of a task would go, when all of them go somewhere.
pub(crate) fn placed(cluster: &str, task: &str, options: &[&str]) -> Vec<String> {
    let answer = place_json(cluster, task, options);
    assert_eq!(answer["hold"], Value::Null, "{answer:#}");
    ids(&answer["placements"])
}

pub(crate) fn place(cluster: &str, task: &str, options: &[&str]) -> Answer {
    berth(
        &[&["place", "--from", &path(cluster), "--task", "-"], options].concat(),
        task,
    )
}

/// The ids at the end of ARNs.
pub(crate) fn ids(arns: &Value) -> Vec<String> {
    let arns = arns.as_array().unwrap().iter();
    arns.map(|arn| arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned())
        .collect()
}
