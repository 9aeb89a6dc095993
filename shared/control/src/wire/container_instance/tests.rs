use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};

use super::*;

const ARN: &str = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/40f0e62c";

fn with_fields(fields: &str) -> String {
    format!(r#"{{"containerInstances": [{{"containerInstanceArn": "{ARN}"{fields}}}]}}"#)
}

fn only(json: &str) -> InstanceReport {
    let mut described = decode_container_instances(json).unwrap();
    assert_eq!(described.reports.len(), 1);
    described.reports.remove(0)
}

fn refusal(json: &str) -> String {
    decode_container_instances(json).unwrap_err().to_string()
}

/// As the AWS CLI prints it, values that a resource does not have included.
const WHOLE: &str = r#",
  "ec2InstanceId": "i-0123456789abcdef0", "version": 412, "status": "ACTIVE", "agentConnected": true,
  "versionInfo": {"agentVersion": "1.86.2", "agentHash": "*1a2b", "dockerVersion": "DockerVersion: 25"},
  "registeredAt": "2016-12-06T16:41:06.991000-08:00", "runningTasksCount": 3, "pendingTasksCount": 1,
  "agentUpdateStatus": null, "attachments": [], "tags": [],
  "registeredResources": [
    {"name": "CPU", "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": 4096},
    {"name": "MEMORY", "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": 15566},
    {"name": "PORTS", "type": "STRINGSET", "doubleValue": 0.0, "longValue": 0, "integerValue": 0,
     "stringSetValue": ["22", "2375", "51678"]},
    {"name": "PORTS_UDP", "type": "STRINGSET", "doubleValue": 0.0, "longValue": 0, "integerValue": 0, "stringSetValue": []},
    {"name": "GPU", "type": "STRINGSET", "stringSetValue": ["GPU-a", "GPU-b"]},
    {"name": "QUBITS", "type": "INTEGER", "integerValue": 7}],
  "remainingResources": [
    {"name": "CPU", "type": "INTEGER", "integerValue": 1024},
    {"name": "MEMORY", "type": "INTEGER", "integerValue": 566},
    {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22", "2375", "51678", "8080"]}],
  "attributes": [{"name": "ecs.instance-type", "value": "g2.2xlarge"}, {"name": "ecs.capability.task-eni"}]"#;

#[test]
fn an_instance_is_read_whole() {
    let report = only(&with_fields(WHOLE));
    assert_eq!(
        report.ec2_instance_id.map(|id| id.to_string()).as_deref(),
        Some("i-0123456789abcdef0")
    );
    assert_eq!((report.version.get(), report.running_tasks), (412, 3));
    assert_eq!(report.agent_version.as_deref(), Some("1.86.2"));
    assert_eq!(
        report.registered_at,
        Timestamp::parse_iso8601("2016-12-07T00:41:06.991Z")
    );
    assert_eq!(report.registered.cpu, CpuUnits::new(4096));
    assert_eq!(report.registered.gpu, GpuCount::new(2));
    assert_eq!(report.remaining.memory, MemoryMib::new(566));
    assert_eq!(
        report.remaining.ports_taken.tcp.iter().collect::<Vec<_>>(),
        [22, 2375, 8080, 51678]
    );
    let attributes = report.attributes.unwrap();
    assert_eq!(attributes.value("ecs.instance-type"), Some("g2.2xlarge"));
    assert_eq!(attributes.get("ecs.capability.task-eni"), Some(None));
}

#[test]
fn what_is_left_out_is_that_of_an_empty_instance_that_takes_tasks() {
    let report = only(&with_fields(r#", "status": null, "attributes": null"#));
    assert_eq!(
        (report.status, report.agent),
        (InstanceStatus::Active, AgentConnection::Connected)
    );
    assert_eq!(report.registered, Resources::default());
    let registered = r#", "registeredResources": [{"name": "CPU", "integerValue": 1024}, {"name": "MEMORY", "integerValue": 512}]"#;
    let report = only(&with_fields(registered));
    assert_eq!(report.remaining, report.registered);
    assert_eq!(report.remaining.memory, MemoryMib::new(512));
}

#[test]
fn the_instances_keep_their_order_whether_pages_or_bare_lists_hold_them() {
    let arns = |json: &str| -> Vec<String> {
        let described = decode_container_instances(json).unwrap();
        described
            .reports
            .iter()
            .map(|report| report.instance.id().to_owned())
            .collect()
    };
    let one = |id: &str| {
        format!(r#"{{"containerInstanceArn": "arn:aws:ecs:us-east-1:1:container-instance/{id}"}}"#)
    };
    let page = |ids: &[&str]| {
        let items: Vec<String> = ids.iter().map(|id| one(id)).collect();
        format!(
            r#"{{"containerInstances": [{}], "failures": []}}"#,
            items.join(",")
        )
    };
    assert_eq!(arns(&page(&["b", "a"])), ["b", "a"]);
    assert_eq!(
        arns(&format!("[{},{}]", page(&["c", "a"]), page(&["b"]))),
        ["c", "a", "b"]
    );
    assert_eq!(arns(&format!("[{},{}]", one("z"), one("y"))), ["z", "y"]);
    assert!(arns(r#"{"containerInstances": []}"#).is_empty());
}

#[test]
fn times_are_texts_or_seconds() {
    let at = |value: &str| {
        only(&with_fields(&format!(r#", "registeredAt": {value}"#)))
            .registered_at
            .unwrap()
    };
    let expected = Timestamp::parse_iso8601("2016-12-07T00:41:06.991Z").unwrap();
    assert_eq!(at("1481071266.991"), expected);
    assert_eq!(at("1481071266.9918"), expected);
    assert_eq!(at(r#""2016-12-06 16:41:06.991000-08:00""#), expected);
    assert_eq!(at("1481071266"), Timestamp::from_millis(1_481_071_266_000));
    assert_eq!(at("1481071266.5"), Timestamp::from_millis(1_481_071_266_500));
    assert_eq!(at("-0.25"), Timestamp::from_millis(-250));
}

#[test]
fn failures_are_kept() {
    let described = decode_container_instances(
        r#"{"containerInstances": [], "failures": [{"arn": "gone", "reason": "MISSING", "detail": null}]}"#,
    );
    let failure = DescribeFailure {
        arn: "gone".to_owned(),
        reason: "MISSING".to_owned(),
    };
    assert_eq!(described.unwrap().failures, [failure]);
}

#[test]
fn what_is_wrong_is_refused_with_its_place_and_what_was_expected() {
    for (fields, expected) in [
        (
            r#", "status": "ACTIV""#,
            "containerInstances[0].status: `ACTIV` is not known here: give `ACTIVE`, ",
        ),
        (
            r#", "agentConnected": "yes""#,
            "containerInstances[0].agentConnected: `yes` is a text: give `true` or `false`",
        ),
        (
            r#", "registeredAt": "soon""#,
            "containerInstances[0].registeredAt: `soon` is no time: give one such as",
        ),
        (
            r#", "registeredAt": 1e9"#,
            "containerInstances[0].registeredAt: `1e9` is no time",
        ),
        (
            r#", "attributes": [{"value": "x"}]"#,
            "containerInstances[0].attributes[0].name: missing",
        ),
        (
            r#", "ec2InstanceId": "i 1""#,
            "containerInstances[0].ec2InstanceId: `i 1` is not a EC2 instance id",
        ),
        (
            r#", "remainingResources": [{"name": "CPU", "integerValue": -1}]"#,
            "containerInstances[0].remainingResources[0]: CPU: `-1` is out of range",
        ),
        (
            r#", "remainingResources": [{"name": "CPU", "type": "INTEGER"}]"#,
            "containerInstances[0].remainingResources[0].integerValue: missing",
        ),
        (
            r#", "registeredResources": [{"name": "CPU", "integerValue": 1}]"#,
            "containerInstances[0].registeredResources: has no `MEMORY`",
        ),
    ] {
        let refusal = refusal(&with_fields(fields));
        assert!(refusal.starts_with(expected), "{refusal}");
        assert!(refusal.contains("(line 1, column "), "{refusal}");
    }
}

#[test]
fn another_text_is_told_from_the_expected_one() {
    for (json, expected) in [
        (
            "",
            "not JSON: expected a value, but the text ends (line 1, column 1)",
        ),
        (
            "An error occurred",
            "not JSON: expected a value, but found `A` (line 1, column 1)",
        ),
        ("3", EXPECTED),
        ("{}", "an empty object"),
        (
            r#"{"tasks": [], "failures": []}"#,
            "found an object with `tasks` and `failures`",
        ),
        (
            r#"{"containerInstanceArns": ["a"]}"#,
            "ask describe-container-instances about these",
        ),
        (
            r#"{"containerInstances": {}}"#,
            "containerInstances: `{...}` is an object: give a list of",
        ),
        (
            r#"[{"status": "ACTIVE"}]"#,
            "[0].containerInstanceArn: missing: give the ARN",
        ),
        (r#"["a"]"#, "[0]: `a` is a text: give a container instance"),
    ] {
        let refusal = refusal(json);
        assert!(refusal.contains(expected), "{json}: {refusal}");
    }
}

#[test]
fn an_instance_that_is_listed_twice_is_refused() {
    let one = format!(r#"{{"containerInstanceArn": "{ARN}"}}"#);
    let refusal = refusal(&format!("[{one},{one}]"));
    assert!(
        refusal.starts_with("[1].containerInstanceArn: `arn:"),
        "{refusal}"
    );
    assert!(refusal.contains("is listed twice"), "{refusal}");
}
