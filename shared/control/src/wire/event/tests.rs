use serde_json::{Value, json};

use super::*;

mod instance;
mod properties;
mod task;

fn clusters() -> Vec<ClusterName> {
    ["default", "gpu"]
        .map(|name| ClusterName::parse(name).unwrap())
        .to_vec()
}

fn decode(event: &Value) -> DecodedEvent {
    decode_event(&event.to_string(), &clusters())
}

fn event(kind: &str, detail: Value) -> Value {
    json!({
        "version": "0", "id": "1", "detail-type": kind, "source": "aws.ecs", "account": "123456789012",
        "time": "2026-11-21T09:00:00Z", "region": "us-east-1", "resources": [], "detail": detail,
    })
}

fn instance_event() -> Value {
    event(
        INSTANCE_KIND,
        json!({
            "clusterArn": "arn:aws:ecs:us-east-1:123456789012:cluster/default",
            "containerInstanceArn": "arn:aws:ecs:us-east-1:123456789012:container-instance/default/abc",
            "ec2InstanceId": "i-1", "status": "ACTIVE", "version": 7, "agentConnected": true,
            "registeredResources": [
                {"name": "CPU", "type": "INTEGER", "integerValue": 2048},
                {"name": "MEMORY", "type": "INTEGER", "integerValue": 3884},
                {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22", "51678"]},
                {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
                {"name": "GPU", "type": "STRINGSET", "stringSetValue": ["GPU-1", "GPU-2"]},
            ],
            "remainingResources": [
                {"name": "CPU", "type": "INTEGER", "integerValue": 512},
                {"name": "MEMORY", "type": "INTEGER", "integerValue": 700},
                {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["51678", "22", "8080"]},
                {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": ["53"]},
                {"name": "GPU", "type": "STRINGSET", "stringSetValue": ["GPU-2"]},
            ],
            "attributes": [{"name": "ecs.instance-type", "value": "t3.medium"}, {"name": "ecs.capability.x"}],
            "versionInfo": {"agentVersion": "1.99.0"}, "runningTasksCount": 3,
            "updatedAt": "2026-11-21T09:00:00.75Z", "registeredAt": "2026-11-21T08:00:00Z",
        }),
    )
}

fn task_event() -> Value {
    event(
        TASK_KIND,
        json!({
            "clusterArn": "arn:aws:ecs:us-east-1:123456789012:cluster/default",
            "taskArn": "arn:aws:ecs:us-east-1:123456789012:task/default/t1",
            "containerInstanceArn": "arn:aws:ecs:us-east-1:123456789012:container-instance/default/abc",
            "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/etl:12",
            "version": 3, "lastStatus": "RUNNING", "desiredStatus": "RUNNING", "launchType": "EC2",
            "createdAt": "2026-11-21T09:00:00.1Z", "startedBy": "berth/2/etl-1",
            "containers": [
                {"name": "a", "cpu": "100", "memory": "300", "memoryReservation": "200", "gpuIds": ["GPU-1"],
                 "networkBindings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
                                     {"hostPort": 5353, "containerPort": 53, "protocol": "udp"},
                                     {"hostPort": 0, "containerPort": 81, "protocol": "tcp"}]},
                {"name": "b", "cpu": "28", "memory": "56"},
            ],
        }),
    )
}

fn with(mut event: Value, field: &str, value: Value) -> Value {
    event["detail"][field] = value;
    event
}

fn without(mut event: Value, field: &str) -> Value {
    event["detail"].as_object_mut().unwrap().remove(field).unwrap();
    event
}

fn instance(event: &Value) -> (InstanceReport, Skipped) {
    match decode(event) {
        DecodedEvent::Instance { report, skipped, .. } => (*report, skipped),
        other => panic!("{other:?}"),
    }
}

fn task(event: &Value) -> (TaskReport, Skipped) {
    match decode(event) {
        DecodedEvent::Task { report, skipped, .. } => (*report, skipped),
        other => panic!("{other:?}"),
    }
}

/// The field that keeps an event from being used, with the reason.
fn unusable(event: &Value) -> (String, String) {
    match decode(event) {
        DecodedEvent::Ignored(IgnoredEvent::Unusable { field, reason }) => (field, reason),
        other => panic!("{event} gave {other:?}"),
    }
}

#[test]
fn times_may_have_any_precision_or_be_seconds_since_1970() {
    for (value, expected) in [
        (json!("2026-11-21T09:00:00Z"), "2026-11-21T09:00:00.000Z"),
        (json!("2026-11-21T09:00:00.6Z"), "2026-11-21T09:00:00.600Z"),
        (
            json!("2026-11-21T09:00:00.123456789Z"),
            "2026-11-21T09:00:00.123Z",
        ),
        (json!(1_795_251_600), "2026-11-21T09:00:00.000Z"),
        (json!(1_795_251_600.25), "2026-11-21T09:00:00.250Z"),
    ] {
        let (report, _) = instance(&with(instance_event(), "updatedAt", value));
        assert_eq!(report.updated_at.unwrap().to_string(), expected);
    }
}

#[test]
fn an_explanation_names_the_value_and_what_is_expected() {
    let event = with(instance_event(), "version", json!(-5));
    let DecodedEvent::Ignored(ignored) = decode(&event) else {
        panic!()
    };
    assert_eq!(ignored.kind(), "unusable");
    assert_eq!(
        ignored.to_string(),
        "detail.version: `-5` is not a whole number from 0 to 1000000000000"
    );
    let long = with(instance_event(), "status", json!("X".repeat(100_000)));
    assert!(unusable(&long).1.len() < 400);
}

#[test]
fn texts_that_are_no_event_are_unusable() {
    for text in [
        "",
        "null",
        "[]",
        "\"ECS Task State Change\"",
        "7",
        "{",
        "{\"detail\": {}",
        "\u{0}",
        "{\"a\":1}x",
    ] {
        let decoded = decode_event(text, &clusters());
        assert!(
            matches!(decoded, DecodedEvent::Ignored(IgnoredEvent::Unusable { .. })),
            "{text}: {decoded:?}"
        );
    }
    assert_eq!(unusable(&json!({})).0, "detail-type");
    assert_eq!(unusable(&json!({"detail-type": INSTANCE_KIND})).0, "detail");
    assert_eq!(
        unusable(&event(
            INSTANCE_KIND,
            json!(["arn:aws:ecs:us-east-1:1:cluster/default"])
        ))
        .0,
        "detail"
    );
    let bomb = format!("{{\"detail-type\": {}", "[".repeat(1_000_000));
    assert!(matches!(
        decode_event(&bomb, &clusters()),
        DecodedEvent::Ignored(_)
    ));
    let twice = r#"{"detail-type": "ECS Task State Change", "detail": {"version": 1, "version": 2}}"#;
    assert!(matches!(
        decode_event(twice, &clusters()),
        DecodedEvent::Ignored(_)
    ));
}

#[test]
fn other_kinds_and_other_clusters_are_told_apart() {
    let service = event("ECS Service Action", json!({"eventName": "SERVICE_STEADY_STATE"}));
    assert_eq!(
        decode(&service),
        DecodedEvent::Ignored(IgnoredEvent::OtherKind {
            source: "aws.ecs".to_owned(),
            detail_type: "ECS Service Action".to_owned(),
        })
    );
    let staging = "arn:aws:ecs:us-east-1:123456789012:cluster/staging";
    for event in [instance_event(), task_event()] {
        let cluster = ClusterName::parse("staging").unwrap();
        assert_eq!(
            decode(&with(event, "clusterArn", json!(staging))),
            DecodedEvent::Ignored(IgnoredEvent::OtherCluster { cluster })
        );
    }
}
