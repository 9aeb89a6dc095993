//! `berth` and `berth simulate` as a user calls them.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn berth(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_berth"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file of this test's own.
fn file(name: &str, content: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn story(name: &str) -> String {
    format!("{}/workloads/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn without_arguments_the_story_is_told_and_compared() {
    let output = berth(&[]);
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(shown.contains("0:10:00  20 (priority 90) submitted"), "{shown}");
    let calls = shown
        .lines()
        .find(|line| line.starts_with("RunTask calls"))
        .unwrap();
    assert_eq!(calls.split_whitespace().nth(2), Some("120"), "{calls}");
    // It does not go to a terminal, so there are no colours and no progress bar.
    assert!(!shown.contains('\u{1b}') && output.stderr.is_empty());
}

#[test]
fn json_is_one_object_and_nothing_else() {
    let arguments = [
        "simulate",
        "--tasks",
        &story("story.csv"),
        "--instances",
        &story("story.instances.csv"),
        "--json",
    ];
    let output = berth(&arguments);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["schedulers"][0]["name"], "berth");
    assert_eq!(json["schedulers"][0]["refused"], 0);
    assert_eq!(text(&output.stdout).trim_end().lines().count(), 1);
    assert!(output.stderr.is_empty());
}

#[test]
fn bad_files_are_both_named_with_their_problems_and_nothing_is_played() {
    let tasks = file(
        "bad.tasks.csv",
        "submit_s,duration_s,cpu_units,memory_mib,gpu,priority,user,count,constraint\n0,300,100,lots,0,10,1,1,\n",
    );
    let instances = file("bad.instances.csv", "id,az,instance_type,cpu_units,memory\n");
    let output = berth(&["simulate", "--tasks", &tasks, "--instances", &instances]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let complaint = text(&output.stderr);
    assert!(
        complaint.contains("bad.tasks.csv: line 2, column 4 (`memory_mib`): `lots` is not a whole number"),
        "{complaint}"
    );
    assert!(
        complaint.contains("bad.instances.csv: line 1, column 5 (`memory`): unknown column"),
        "{complaint}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let output = berth(&[
        "simulate",
        "--tasks",
        "no-such.csv",
        "--instances",
        &story("story.instances.csv"),
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).starts_with("error: no-such.csv: cannot be read: "),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_local_run_needs_no_crate_of_aws() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "berth-simulator",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", text(&tree.stderr));
    let crates = text(&tree.stdout);
    assert!(crates.contains("berth-scheduler"), "{crates}");
    let of_aws: Vec<&str> = crates
        .lines()
        .filter(|line| line.starts_with("aws") || line.starts_with("lambda_runtime"))
        .collect();
    assert!(of_aws.is_empty(), "{of_aws:?}");
}

#[test]
fn the_policies_are_compared_as_json_and_drawn() {
    let picture = file("policies.svg", "");
    let output = berth(&[
        "policies",
        "--replicas",
        "1",
        "--hours",
        "1",
        "--flood-instances",
        "2",
        "--json",
        "--plot",
        &picture,
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let variants = |story: usize| json["stories"][story]["variants"].as_array().unwrap().len();
    assert_eq!(
        (json["replicas"].as_u64(), variants(0), variants(1)),
        (Some(1), 5, 6)
    );
    let drawn = std::fs::read_to_string(&picture).unwrap();
    assert!(
        drawn.starts_with("<svg ") && drawn.contains("reserve, ends unknown"),
        "{drawn}"
    );
}

#[test]
fn an_unknown_policy_is_refused_with_the_known_ones() {
    let (tasks, instances) = (story("story.csv"), story("story.instances.csv"));
    let output = berth(&[
        "simulate",
        "--tasks",
        &tasks,
        "--instances",
        &instances,
        "--policy",
        "fifo",
    ]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("fifo") && said.contains("strict"), "{said}");
}
