//! Input that cannot be used: exit code 2, nothing on standard output, and on standard error what is wrong,
//! where, and what was expected.

use crate::berth::{Answer, LAUNCH_POST, berth, path, place};

fn problem(answer: Answer) -> String {
    assert_eq!(
        (answer.code, answer.out.as_str()),
        (Some(2), ""),
        "{}",
        answer.err
    );
    answer.err
}

#[test]
fn a_broken_expression_is_shown_with_a_caret_under_the_place() {
    let answer = berth(
        &[
            "instances",
            "--from",
            &path(LAUNCH_POST),
            "--filter",
            "attribute:stack = prod",
        ],
        "",
    );
    assert_eq!(
        problem(answer),
        "error: --filter is not an expression:\n\
         attribute:stack = prod\n\
         \u{20}               ^\n\
         unknown operator `=`: expected one of `==`, `!=`, `>`, `>=`, `<`, `<=`, `exists`, `!exists`, `in`, `!in`, `=~`, \
         `!~`; did you mean `==`?\n"
    );
    for filter in [
        "",
        "attribute:",
        "stack == prod",
        "attribute:a =~ (",
        "attribute:a =~ (?=b)",
        "(attribute:a exists",
    ] {
        let answer = berth(
            &[
                "instances",
                "--from",
                &path(LAUNCH_POST),
                "--filter",
                filter,
                "--json",
            ],
            "",
        );
        let problem = problem(answer);
        assert!(problem.contains('^'), "{filter}: {problem}");
    }
}

#[test]
fn a_file_that_holds_no_container_instances_is_named_with_the_place() {
    let answer = berth(&["instances", "--from", "/no/such/file.json"], "");
    assert!(problem(answer).starts_with("error: /no/such/file.json: cannot be read: "));
    for (text, expected) in [
        (
            "",
            "standard input: not JSON: expected a value, but the text ends (line 1, column 1)",
        ),
        (
            "{\n  \"containerInstances\": [}",
            "standard input: containerInstances[0]: not JSON: expected a value, but found `}` (line 2, column 26)",
        ),
        (
            r#"{"clusters": []}"#,
            "standard input: expected the output of `aws ecs describe-container-instances`: an object with the list `containerInstances`, found an object with `clusters`",
        ),
        (
            r#"{"containerInstances": [{"status": "ACTIVE"}]}"#,
            "standard input: containerInstances[0].containerInstanceArn: missing",
        ),
        (
            r#"{"containerInstances": [{"containerInstanceArn": 7}]}"#,
            "standard input: containerInstances[0].containerInstanceArn: `7` is a number",
        ),
    ] {
        let problem = problem(berth(&["instances", "--from", "-"], text));
        assert!(problem.contains(expected), "{text}: {problem}");
    }
}

#[test]
fn a_task_that_cannot_be_used_is_refused_by_the_field() {
    for (task, expected) in [
        ("", "standard input: not JSON: "),
        ("[]", "expected a task: an object with the fields of RunTask"),
        (
            r#"{"cpu": 1, "placementConstraint": []}"#,
            "placementConstraint: unknown field: give fields of RunTask, ",
        ),
        (
            r#"{"count": 1}"#,
            "nothing tells what the task takes: give `--task-definition FILE`",
        ),
        (
            r#"{"taskDefinition": "etl:12"}"#,
            "nothing tells what the task takes",
        ),
        (
            r#"{"cpu": "much"}"#,
            "cpu: `much` is not valid: give CPU units such as `256`, or vCPUs such as `1 vCPU`",
        ),
        (
            r#"{"cpu": 1, "count": 0}"#,
            "count: `0` is not a count: give a whole number from 1 to 10000",
        ),
        (r#"{"cpu": 1, "gpu": -1}"#, "gpu: `-1` is not a number of GPUs"),
        (r#"{"cpu": 1, "launchType": "FARGATE"}"#, "launchType: `FARGATE`"),
        (
            r#"{"cpu": 1, "family": "a b"}"#,
            "family: `a b` is not a task definition",
        ),
        (
            r#"{"containerDefinitions": [{"name": "a", "cpu": "1"}]}"#,
            "standard input: containerDefinitions[0].cpu: invalid type: string",
        ),
        (
            r#"{"taskDefinition": {"cpu": "1"}, "cpu": 2}"#,
            "cpu: given beside a task definition, which has its own",
        ),
        (r#"{"cpu": 1, "status": "INACTIVE"}"#, "is not ACTIVE"),
        (
            r#"{"cpu": 1, "overrides": {"memry": "1"}}"#,
            "overrides.memry: unknown field",
        ),
        (
            r#"{"cpu": 1, "overrides": {"containerOverrides": [{"name": "x"}]}}"#,
            "container override `x`",
        ),
        (
            r#"{"cpu": 1, "placementStrategy": [{"type": "spread"}]}"#,
            "placementStrategy[0].field: missing",
        ),
        (
            r#"{"cpu": 1, "placementConstraints": [{"type": "memberOf", "expression": "attribute:a = b"}]}"#,
            "unknown operator `=`: expected one of `==`, `!=`, `>`, `>=`, `<`, `<=`, `exists`, `!exists`, `in`, `!in`, \
             `=~`, `!~`; did you mean `==`?\nattribute:a = b\n            ^\n",
        ),
    ] {
        let problem = problem(place(LAUNCH_POST, task, &[]));
        assert!(problem.contains(expected), "{task}: {problem}");
    }
}

#[test]
fn options_that_contradict_the_task_or_are_out_of_range_are_refused() {
    let task = r#"{"cpu": 1, "placementStrategy": [{"type": "random"}]}"#;
    for (options, expected) in [
        (&["--count", "0"][..], "1..=10000"),
        (&["--count", "10001"], "1..=10000"),
        (
            &["--template", "spread"],
            "expected one of `az-balanced-spread`, `az-balanced-binpack`, `binpack`, `one-task-per-host`",
        ),
        (
            &["--template", "binpack"],
            "placementStrategy: given, and the template `binpack` has strategies of its own",
        ),
        (
            &["--task-definition", "/no/such/file.json"],
            "/no/such/file.json: cannot be read",
        ),
    ] {
        let problem = problem(place(LAUNCH_POST, task, options));
        assert!(problem.contains(expected), "{options:?}: {problem}");
    }
}

#[test]
fn more_than_ten_constraints_are_too_many_with_those_of_the_task_definition() {
    let constraint = r#"{"type": "memberOf", "expression": "attribute:a exists"}"#;
    let ten = [constraint; 10].join(",");
    let inline = format!(r#"{{"cpu": "1", "memory": "1", "placementConstraints": [{constraint}]}}"#);
    let task = format!(r#"{{"placementConstraints": [{ten}], "taskDefinition": {inline}}}"#);
    let problem = problem(place(LAUNCH_POST, &task, &[]));
    assert!(
        problem.contains("placementConstraints: 11 are too many: give at most 10"),
        "{problem}"
    );
}

#[test]
fn standard_input_is_one_file() {
    let problem = problem(berth(&["place", "--from", "-", "--task", "-"], "{}"));
    assert_eq!(
        problem,
        "error: standard input: named for two files: give one of them by its path\n"
    );
}

#[test]
fn placement_needs_to_know_what_the_instances_have() {
    let arn = "arn:aws:ecs:us-east-1:123456789012:container-instance/demo/one";
    let cluster = format!(r#"[{{"containerInstanceArn": "{arn}"}}]"#);
    let options = ["place", "--from", "-", "--task", &path(LAUNCH_POST)];
    let problem = problem(berth(&options, &cluster));
    assert!(
        problem.contains(&format!("standard input: `{arn}` has no registeredResources")),
        "{problem}"
    );
}
