//! What good messages mean.

use serde_json::json;

use berth_scheduler::terms::Terms;

use super::*;
use crate::wire::terms::TermsForm;

/// Every field that works, none at its default.
pub(super) const FULL: &str = r#"{
    "id": "etl-2026-11-21",
    "priority": 50,
    "cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/batch",
    "taskDefinition": "etl:12",
    "count": 3,
    "launchType": "EXTERNAL",
    "placementConstraints": [
        {"type": "memberOf", "expression": "attribute:ecs.instance-type =~ g2.*"},
        {"type": "distinctInstance"}
    ],
    "placementStrategy": [
        {"type": "spread", "field": "attribute:ecs.availability-zone"},
        {"type": "spread", "field": "host"},
        {"type": "binpack", "field": "MEMORY"},
        {"type": "random"}
    ],
    "group": "nightly",
    "overrides": {
        "cpu": "1 vCPU",
        "memory": "512",
        "taskRoleArn": "arn:aws:iam::123456789012:role/etl",
        "executionRoleArn": "arn:aws:iam::123456789012:role/start/etl",
        "containerOverrides": [{
            "name": "app",
            "command": ["run", "--all", ""],
            "environment": [{"name": "DAY", "value": "2026-11-21"}, {"name": "EMPTY", "value": ""}],
            "environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::settings/etl.env"}],
            "cpu": 256,
            "memory": 512,
            "memoryReservation": 128,
            "resourceRequirements": [{"type": "GPU", "value": "2"}]
        }, {"name": "sidecar"}]
    },
    "tags": [{"key": "team", "value": "data"}, {"key": "cost center", "value": ""}],
    "enableECSManagedTags": true,
    "propagateTags": "TASK_DEFINITION",
    "networkConfiguration": {"awsvpcConfiguration": {
        "subnets": ["subnet-0a1b", "subnet-0c2d"],
        "securityGroups": ["sg-1"],
        "assignPublicIp": "DISABLED"
    }},
    "enableExecuteCommand": true
}"#;

#[test]
fn every_field_of_a_full_message_is_read() {
    let submission = decode_with(FULL, &permissive()).unwrap();
    assert_eq!(submission.id.as_str(), "etl-2026-11-21");
    assert_eq!(submission.priority.get(), 50);
    assert_eq!(submission.cluster.as_str(), "batch");
    assert_eq!(submission.task_definition.as_str(), "etl:12");
    assert_eq!(submission.count, 3);
    assert_eq!(submission.group.as_ref().map(TaskGroup::as_str), Some("nightly"));
    let [Constraint::MemberOf(expression), Constraint::DistinctInstance] = submission.constraints.as_slice()
    else {
        panic!("{:?}", submission.constraints)
    };
    assert_eq!(expression.as_written(), "attribute:ecs.instance-type =~ g2.*");
    assert_eq!(
        submission.strategies,
        [
            Strategy::Spread(SpreadField::Attribute("ecs.availability-zone".to_owned())),
            Strategy::Spread(SpreadField::InstanceId),
            Strategy::Binpack(BinpackField::Memory),
            Strategy::Random,
        ]
    );
}

#[test]
fn the_stored_request_is_what_was_asked_for() {
    let submission = decode_with(FULL, &permissive()).unwrap();
    let mut expected: serde_json::Value = serde_json::from_str(FULL).unwrap();
    for apart in [
        "id",
        "priority",
        "cluster",
        "taskDefinition",
        "count",
        "placementStrategy",
    ] {
        expected.as_object_mut().unwrap().remove(apart);
    }
    let stored = submission.request.to_json();
    assert_eq!(stored, expected);
    assert_eq!(LaunchRequest::from_json(&stored).unwrap(), *submission.request);
}

#[test]
fn what_is_left_out_has_its_default() {
    let submission = decode(r#"{"taskDefinition": "etl"}"#).unwrap();
    assert_eq!(submission.id.as_str(), "5fea7756-0ea4-451a-a703-a558b933e274");
    assert_eq!((submission.priority.get(), submission.count), (0, 1));
    assert_eq!(submission.cluster.as_str(), "default");
    assert_eq!(
        (&submission.group, submission.task_definition.family()),
        (&None, "etl")
    );
    assert!(submission.constraints.is_empty() && submission.strategies.is_empty());
    assert_eq!(submission.request.to_json(), json!({"launchType": "EC2"}));
}

#[test]
fn a_template_stands_for_constraints_and_strategies() {
    let of = |fields: &str| decode(&format!(r#"{{"taskDefinition": "etl", {fields}}}"#)).unwrap();
    let spread = of(r#""placementTemplate": "az-balanced-spread""#);
    let written_out = of(r#""placementStrategy": [
        {"type": "spread", "field": "attribute:ecs.availability-zone"}, {"type": "spread", "field": "instanceId"}]"#);
    assert_eq!(spread.strategies, written_out.strategies);
    assert_eq!(spread.content_hash, written_out.content_hash);
    let alone = of(r#""placementTemplate": "one-task-per-host", "placementStrategy": [{"type": "random"}]"#);
    assert_eq!(alone.constraints, [Constraint::DistinctInstance]);
    assert_eq!(alone.strategies, [Strategy::Random]);
    assert_eq!(
        alone.request.to_json()["placementConstraints"],
        json!([{"type": "distinctInstance"}])
    );
}

#[test]
fn a_submission_without_a_strategy_has_the_deployments_and_stays_the_same_when_that_changes() {
    let other = settings().with_default_strategy("binpack:memory").unwrap();
    let body = r#"{"taskDefinition": "etl"}"#;
    let packed = decode_with(body, &other).unwrap();
    assert_eq!(packed.strategies, [Strategy::Binpack(BinpackField::Memory)]);
    assert_eq!(packed.content_hash, decode(body).unwrap().content_hash);
    let chosen = r#"{"taskDefinition": "etl", "placementStrategy": [{"type": "random"}]}"#;
    assert_eq!(
        decode_with(chosen, &other).unwrap().strategies,
        [Strategy::Random]
    );
}

#[test]
fn empty_parts_mean_nothing() {
    let body = r#"{"taskDefinition": "etl", "overrides": {}, "tags": [], "networkConfiguration": {},
        "placementConstraints": [], "placementStrategy": [], "enableExecuteCommand": false}"#;
    assert_eq!(*decode(body).unwrap().request, LaunchRequest::default());
}

#[test]
fn the_largest_values_are_taken() {
    let tags: Vec<_> = (0..50)
        .map(|n| json!({"key": format!("{n:0>128}"), "value": "v".repeat(256)}))
        .collect();
    let constraints = vec![json!({"type": "memberOf", "expression": "runningTasksCount < 5"}); 9];
    let variables: Vec<_> = (0..200)
        .map(|n| json!({"name": format!("V{n}"), "value": ""}))
        .collect();
    let body = json!({
        "id": "i".repeat(100),
        "taskDefinition": format!("{}:4294967295", "f".repeat(240)),
        "group": "g".repeat(255),
        "priority": 1000,
        "count": 10,
        "tags": tags,
        "placementConstraints": constraints,
        "placementStrategy": vec![json!({"type": "random"}); 5],
        "overrides": {"containerOverrides": [{"name": "app", "environment": variables, "cpu": 0,
            "memory": 2_147_483_647}]},
    });
    let submission = decode(&body.to_string()).unwrap();
    assert_eq!((submission.priority.get(), submission.count), (1000, 10));
    assert_eq!(submission.constraints.len(), 9);
}

#[test]
fn a_body_of_exactly_64_kib_is_read() {
    let mut body = r#"{"taskDefinition": "etl"}"#.to_owned();
    body.push_str(&" ".repeat(BODY_BYTES_MAX - body.len()));
    assert!(decode(&body).is_ok());
    let refusal = decode(&format!("{body} ")).unwrap_err();
    assert_eq!(refusal.reason, "the body has 65537 bytes: give at most 65536");
    assert_eq!(
        refusal.position,
        Some(Position {
            line: 1,
            column: BODY_BYTES_MAX + 1
        })
    );
}

#[test]
fn secrets_are_in_no_debug_output() {
    let body = r#"{"taskDefinition": "etl", "overrides": {"containerOverrides": [
        {"name": "app", "command": ["hunter2"], "environment": [{"name": "PASSWORD", "value": "hunter2"}]}]}}"#;
    let debug = format!("{:?}", decode_with(body, &permissive()).unwrap());
    assert!(
        debug.contains("PASSWORD") && !debug.contains("hunter2"),
        "{debug}"
    );
}

#[test]
fn times_and_retries_are_read() {
    let body = r#"{
        "taskDefinition": "etl", "notBefore": "2026-11-21T22:00:00Z", "startBy": "2026-11-22T06:00:00+01:00",
        "timeoutSeconds": 3600, "retryStrategy": {
            "attempts": 3,
            "evaluateOnExit": [
                {"onStatusReason": "Host EC2*", "action": "RETRY"},
                {"onReason": "CannotPull*", "onExitCode": "1*", "action": "exit"}
            ],
            "onOutOfMemory": {"increasePercent": 50, "maximumMiB": 4096}
        }
    }"#;
    let submission = decode(body).unwrap();
    // As it is stored and could be sent again: instants in UTC, words in capitals.
    assert_eq!(
        serde_json::to_value(TermsForm::from(&submission.terms)).unwrap(),
        json!({
            "notBefore": "2026-11-21T22:00:00.000Z", "startBy": "2026-11-22T05:00:00.000Z", "timeoutSeconds": 3600,
            "retryStrategy": {
                "attempts": 3,
                "evaluateOnExit": [
                    {"onStatusReason": "Host EC2*", "action": "RETRY"},
                    {"onReason": "CannotPull*", "onExitCode": "1*", "action": "EXIT"}
                ],
                "onOutOfMemory": {"increasePercent": 50, "maximumMiB": 4096}
            }
        })
    );
    assert_eq!(TermsForm::from(&submission.terms).read(), Ok(submission.terms));
    let plain = decode(r#"{"taskDefinition": "etl", "retryStrategy": {}}"#).unwrap();
    assert_eq!(plain.terms, Terms::default());
    assert_ne!(submission.content_hash, plain.content_hash);
    let nothing = decode(r#"{"taskDefinition": "etl"}"#).unwrap();
    assert_eq!(plain.content_hash, nothing.content_hash);
}
