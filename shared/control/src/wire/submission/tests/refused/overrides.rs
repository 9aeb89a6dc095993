//! Overrides: what is not allowed, and what is wrong.

use super::*;

#[test]
fn overrides_that_could_give_a_submitter_more_rights_are_refused_by_default() {
    check_parts(&[
        (
            r#""overrides": {"taskRoleArn": "arn:aws:iam::1:role/admin"}"#,
            "overrides.taskRoleArn",
            "add `task-role`",
        ),
        (
            r#""overrides": {"taskRoleArn": null}"#,
            "overrides.taskRoleArn",
            "add `task-role`",
        ),
        (
            r#""overrides": {"executionRoleArn": "arn:aws:iam::1:role/admin"}"#,
            "overrides.executionRoleArn",
            "add `execution-role`",
        ),
        (
            r#""overrides": {"ephemeralStorage": {"sizeInGiB": 100}}"#,
            "overrides.ephemeralStorage",
            "Fargate",
        ),
        (
            r#""overrides": {"inferenceAcceleratorOverrides": []}"#,
            "overrides.inferenceAcceleratorOverrides",
            "Elastic Inference has ended",
        ),
        (
            r#""overrides": {"containerOverrides": [{"name": "app", "command": ["sh", "-c", "curl x"]}]}"#,
            "overrides.containerOverrides[0].command",
            "add `command` to the parameter `AllowedOverrides` (environment variable BERTH_ALLOWED_OVERRIDES)",
        ),
        (
            r#""overrides": {"containerOverrides": [{"name": "a"}, {"command": []}]}"#,
            "overrides.containerOverrides[1].command",
            "add `command`",
        ),
        (
            r#""overrides": {"containerOverrides": [{"environmentFiles": []}]}"#,
            "overrides.containerOverrides[0].environmentFiles",
            "add `environment-files`",
        ),
    ]);
}

/// Overrides of the task.
const TASK_LEVEL: &[Case] = &[
    (r#""overrides": []"#, "overrides", "is a list: give an object"),
    (r#""overrides": null"#, "overrides", "is null"),
    (
        r#""overrides": {"cpu": 256}"#,
        "overrides.cpu",
        "`256` is a number: give a text",
    ),
    (
        r#""overrides": {"cpu": "lots"}"#,
        "overrides.cpu",
        "`lots` is not an amount: give CPU units",
    ),
    (
        r#""overrides": {"cpu": "-1"}"#,
        "overrides.cpu",
        "is not an amount",
    ),
    (
        r#""overrides": {"cpu": "1 GB"}"#,
        "overrides.cpu",
        "is not an amount",
    ),
    (
        r#""overrides": {"memory": "1 vCPU"}"#,
        "overrides.memory",
        "is not an amount: give MiB",
    ),
    (
        r#""overrides": {"memory": "99999999999999"}"#,
        "overrides.memory",
        "is not an amount",
    ),
    (
        r#""overrides": {"Memory": "512"}"#,
        "overrides.Memory",
        "did you mean `memory`?",
    ),
    (
        r#""overrides": {"containerOverride": []}"#,
        "overrides.containerOverride",
        "did you mean `containerOverrides`?",
    ),
    (
        r#""overrides": {"environment": []}"#,
        "overrides.environment",
        "unknown field",
    ),
    (
        r#""overrides": {"containerOverrides": {}}"#,
        "overrides.containerOverrides",
        "give a list",
    ),
];

/// Overrides of a container; the field is relative to it.
const CONTAINER_LEVEL: &[Case] = &[
    ("\"app\"", "", "is a text: give an object"),
    ("{}", ".name", "missing: give the name of a container"),
    (r#"{"cpu": 1}"#, ".name", "missing"),
    (r#"{"name": ""}"#, ".name", "is empty"),
    (r#"{"name": 7}"#, ".name", "is a number"),
    (r#"{"name": "a\u0000b"}"#, ".name", "control character"),
    (
        r#"{"name": "app", "comand": ["x"]}"#,
        ".comand",
        "did you mean `command`?",
    ),
    (r#"{"name": "app", "image": "x"}"#, ".image", "unknown field"),
    (
        r#"{"name": "app", "privileged": true}"#,
        ".privileged",
        "unknown field",
    ),
    (r#"{"name": "app", "cpu": -1}"#, ".cpu", "out of range"),
    (r#"{"name": "app", "cpu": "256"}"#, ".cpu", "is a text"),
    (r#"{"name": "app", "cpu": 4294967296}"#, ".cpu", "out of range"),
    (r#"{"name": "app", "memory": 0}"#, ".memory", "out of range"),
    (r#"{"name": "app", "memory": 0.5}"#, ".memory", "whole number"),
    (
        r#"{"name": "app", "memoryReservation": 0}"#,
        ".memoryReservation",
        "out of range",
    ),
    (
        r#"{"name": "app", "environment": {"A": "b"}}"#,
        ".environment",
        "is an object",
    ),
    (
        r#"{"name": "app", "environment": ["A=b"]}"#,
        ".environment[0]",
        "is a text",
    ),
    (
        r#"{"name": "app", "environment": [{"value": "b"}]}"#,
        ".environment[0].name",
        "missing",
    ),
    (
        r#"{"name": "app", "environment": [{"name": "A"}]}"#,
        ".environment[0].value",
        "missing",
    ),
    (
        r#"{"name": "app", "environment": [{"name": "A=", "value": ""}]}"#,
        ".environment[0].name",
        "equals sign",
    ),
    (
        r#"{"name": "app", "environment": [{"name": "", "value": ""}]}"#,
        ".environment[0].name",
        "is empty",
    ),
    (
        r#"{"name": "app", "environment": [{"name": "A", "value": 5}]}"#,
        ".environment[0].value",
        "is a number",
    ),
    (
        r#"{"name": "app", "environment": [{"Name": "A"}]}"#,
        ".environment[0].Name",
        "did you mean `name`?",
    ),
    (
        r#"{"name": "app", "resourceRequirements": [{"type": "GPU"}]}"#,
        ".resourceRequirements[0].value",
        "missing",
    ),
    (
        r#"{"name": "app", "resourceRequirements": [{"type": "GPU", "value": 1}]}"#,
        ".resourceRequirements[0].value",
        "`1` is a number: give the number of GPUs as a text",
    ),
    (
        r#"{"name": "app", "resourceRequirements": [{"type": "GPU", "value": "0"}]}"#,
        ".resourceRequirements[0].value",
        "is not a number of GPUs",
    ),
    (
        r#"{"name": "app", "resourceRequirements": [{"type": "GPU", "value": "ALL"}]}"#,
        ".resourceRequirements[0].value",
        "is not a number of GPUs",
    ),
    (
        r#"{"name": "app", "resourceRequirements": [{"type": "GPU", "value": "+1"}]}"#,
        ".resourceRequirements[0].value",
        "is not a number of GPUs",
    ),
    (
        r#"{"name": "app", "resourceRequirements": [{"type": "InferenceAccelerator", "value": "x"}]}"#,
        ".resourceRequirements[0].type",
        "give `GPU`",
    ),
    (
        r#"{"name": "app", "resourceRequirements": [{"type": "GPU", "value": "1"}, {"type": "GPU", "value": "1"}]}"#,
        ".resourceRequirements",
        "has 2 entries",
    ),
];

#[test]
fn overrides_are_as_runtask_takes_them() {
    check_parts(TASK_LEVEL);
    let in_container = |part: &str| format!(r#"{{"overrides": {{"containerOverrides": [{part}]}}}}"#);
    for (part, rest, piece) in CONTAINER_LEVEL {
        check_body(
            &in_container(part),
            &format!("overrides.containerOverrides[0]{rest}"),
            piece,
        );
    }
}

#[test]
fn too_much_is_refused_whole() {
    let variables = |count: usize| {
        let variables: Vec<String> = (0..count)
            .map(|n| format!(r#"{{"name":"V{n}","value":""}}"#))
            .collect();
        variables.join(",")
    };
    let container = |name: &str, part: &str| format!(r#"{{"name": "{name}", "environment": [{part}]}}"#);
    let containers = |list: &str| format!(r#"{{"overrides": {{"containerOverrides": [{list}]}}}}"#);
    check_body(
        &containers(&container("app", &variables(201))),
        "overrides.containerOverrides[0].environment",
        "has 201 entries: give a list of at most 200",
    );
    let two = [container("a", &variables(150)), container("b", &variables(51))].join(",");
    check_body(
        &containers(&two),
        "overrides.containerOverrides[1]",
        "more than 200 environment variables",
    );
    let large = format!(r#"{{"name": "A", "value": "{}"}}"#, "x".repeat(8_192));
    check_body(
        &containers(&container("app", &large)),
        "overrides",
        "give at most 8192",
    );
    let twice = [container("app", ""), container("app", "")].join(",");
    check_body(
        &containers(&twice),
        "overrides.containerOverrides[1]",
        "container `app` is named twice",
    );
    let eleven: Vec<String> = (0..11).map(|n| format!(r#"{{"name": "c{n}"}}"#)).collect();
    check_body(
        &containers(&eleven.join(",")),
        "overrides.containerOverrides",
        "has 11 entries",
    );
}

#[test]
fn allowed_overrides_are_still_checked() {
    for (part, field, piece) in [
        (r#""taskRoleArn": "admin""#, "taskRoleArn", "`admin` is no role"),
        (
            r#""taskRoleArn": "arn:aws:iam::123456789012:user/x""#,
            "taskRoleArn",
            "is no role",
        ),
        (r#""executionRoleArn": """#, "executionRoleArn", "is empty"),
        (
            r#""containerOverrides": [{"name": "a", "command": "ls"}]"#,
            "containerOverrides[0].command",
            "is a text",
        ),
        (
            r#""containerOverrides": [{"name": "a", "command": [1]}]"#,
            "containerOverrides[0].command[0]",
            "a number",
        ),
        (
            r#""containerOverrides": [{"name": "a", "environmentFiles": [{"type": "s3", "value": "/etc/passwd"}]}]"#,
            "containerOverrides[0].environmentFiles[0].value",
            "is no object in S3",
        ),
        (
            r#""containerOverrides": [{"name": "a", "environmentFiles": [{"type": "file", "value": "x"}]}]"#,
            "containerOverrides[0].environmentFiles[0].type",
            "give `s3`",
        ),
        (
            r#""containerOverrides": [{"name": "a", "environmentFiles": [{"type": "s3"}]}]"#,
            "containerOverrides[0].environmentFiles[0].value",
            "missing",
        ),
    ] {
        let refusal = decode_with(&format!("{{\"overrides\": {{{part}}}}}"), &permissive()).unwrap_err();
        assert_eq!(refusal.field, Some(format!("overrides.{field}")), "{part}");
        assert!(refusal.reason.contains(piece), "{part}: {}", refusal.reason);
    }
}
