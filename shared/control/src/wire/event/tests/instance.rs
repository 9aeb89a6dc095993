use berth_scheduler::id::ReportVersion;
use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};
use berth_scheduler::report::{AgentConnection, InstanceStatus};

use super::*;

#[test]
fn an_instance_event_tells_all_of_the_instance() {
    let (report, skipped) = instance(&instance_event());
    assert!(skipped.is_empty());
    assert_eq!(report.instance.id(), "abc");
    assert_eq!(report.ec2_instance_id.unwrap().as_str(), "i-1");
    assert_eq!(
        (report.status, report.agent),
        (InstanceStatus::Active, AgentConnection::Connected)
    );
    assert_eq!((report.version, report.running_tasks), (ReportVersion::new(7), 3));
    assert_eq!(report.agent_version.as_deref(), Some("1.99.0"));
    assert_eq!(report.updated_at.unwrap().to_string(), "2026-11-21T09:00:00.750Z");
    assert_eq!(
        report.registered_at.unwrap().to_string(),
        "2026-11-21T08:00:00.000Z"
    );
    assert_eq!(
        (report.registered.cpu, report.remaining.cpu),
        (CpuUnits::new(2048), CpuUnits::new(512))
    );
    assert_eq!(
        (report.registered.memory, report.remaining.memory),
        (MemoryMib::new(3884), MemoryMib::new(700))
    );
    assert_eq!(
        (report.registered.gpu, report.remaining.gpu),
        (GpuCount::new(2), GpuCount::new(1))
    );
    assert_eq!(
        report.remaining.ports_taken.tcp.iter().collect::<Vec<_>>(),
        [22, 8080, 51678]
    );
    assert_eq!(report.remaining.ports_taken.udp.iter().collect::<Vec<_>>(), [53]);
    let attributes = report.attributes.unwrap();
    assert_eq!(attributes.value("ecs.instance-type"), Some("t3.medium"));
    assert_eq!(attributes.get("ecs.capability.x"), Some(None));
}

#[test]
fn what_an_instance_event_may_leave_out_is_not_needed() {
    let mut event = instance_event();
    for optional in [
        "ec2InstanceId",
        "attributes",
        "versionInfo",
        "runningTasksCount",
        "updatedAt",
        "registeredAt",
    ] {
        event = without(event, optional);
    }
    let (report, skipped) = instance(&event);
    assert_eq!(
        (report.ec2_instance_id, report.attributes, report.agent_version),
        (None, None, None)
    );
    assert_eq!(
        (report.updated_at, report.registered_at, report.running_tasks),
        (None, None, 0)
    );
    assert!(skipped.is_empty());
    let (first, _) = instance(&with(instance_event(), "attributes", json!([])));
    assert!(first.attributes.unwrap().is_empty());
}

#[test]
fn unknown_fields_and_resources_are_left_out_and_counted() {
    let mut event = with(instance_event(), "thermalHeadroom", json!({"celsius": [21]}));
    event["replay-name"] = json!("x");
    let resources = event["detail"]["remainingResources"].as_array_mut().unwrap();
    resources.push(json!({"name": "QUBITS", "type": "COMPLEX", "complexValue": {"re": 1}}));
    resources.push(json!({"name": "QUBITS_2", "type": "DOUBLE", "doubleValue": 0.5, "unit": "q"}));
    resources[2]["stringSetValue"] = json!(["22", "no port", 8080, null, {"port": 1}]);
    let (report, skipped) = instance(&event);
    assert_eq!(skipped.resources.unknown_names, ["QUBITS", "QUBITS_2"]);
    assert_eq!(
        (skipped.resources.unknown_count, skipped.resources.invalid_ports),
        (2, 3)
    );
    assert_eq!(
        report.remaining.ports_taken.tcp.iter().collect::<Vec<_>>(),
        [22, 8080]
    );
}

#[test]
fn optional_values_that_are_wrong_are_left_out_and_counted() {
    let event = with(instance_event(), "updatedAt", json!("yesterday"));
    let event = with(event, "registeredAt", json!({"year": 2026}));
    let event = with(event, "versionInfo", json!({"agentVersion": 1.99}));
    let (report, skipped) = instance(&event);
    assert_eq!(
        (report.updated_at, report.registered_at, report.agent_version),
        (None, None, None)
    );
    assert_eq!(skipped.invalid_values, 3);
}

#[test]
fn an_amount_is_read_from_the_value_that_its_type_names() {
    for entry in [
        json!({"name": "CPU", "type": "INTEGER", "integerValue": 512}),
        json!({"name": "CPU", "type": "INTEGER", "integerValue": 512.0}),
        json!({"name": "CPU", "type": "LONG", "integerValue": 0, "longValue": 512, "doubleValue": 0.0}),
        json!({"name": "CPU", "type": "DOUBLE", "integerValue": 0, "longValue": 0, "doubleValue": 512.0}),
        json!({"name": "CPU", "integerValue": 512}),
    ] {
        let mut event = instance_event();
        event["detail"]["remainingResources"][0] = entry;
        assert_eq!(instance(&event).0.remaining.cpu, CpuUnits::new(512), "{event}");
    }
    let mut event = instance_event();
    event["detail"]["registeredResources"][4] = json!({"name": "GPU", "type": "INTEGER", "integerValue": 4});
    assert_eq!(instance(&event).0.registered.gpu, GpuCount::new(4));
}

#[test]
fn an_instance_that_is_gone_needs_no_resources() {
    for status in ["INACTIVE", "DEREGISTERING", "REGISTERING", "REGISTRATION_FAILED"] {
        let event = without(
            with(instance_event(), "status", json!(status)),
            "remainingResources",
        );
        let (report, _) = instance(&event);
        assert_eq!(
            (report.status.as_str(), report.remaining.cpu),
            (status, CpuUnits::ZERO)
        );
    }
}

#[test]
fn an_instance_event_that_would_harm_its_record_is_unusable_and_names_the_field() {
    let arn_of = |place: &str| {
        json!(format!("arn:aws:ecs:us-east-1:{place}/abc").replace('@', ":container-instance/"))
    };
    for (field, value) in [
        ("version", json!(null)),
        ("version", json!(-1)),
        ("version", json!(1.5)),
        ("version", json!("7")),
        ("version", json!(u64::MAX)),
        ("version", json!(1e300)),
        ("version", json!([7])),
        ("containerInstanceArn", json!("abc")),
        ("containerInstanceArn", arn_of("999999999999@default")),
        ("containerInstanceArn", arn_of("123456789012@staging")),
        ("clusterArn", json!("default")),
        ("clusterArn", json!("arn:aws:s3:::default")),
        ("clusterArn", json!(5)),
        ("status", json!("SLEEPING")),
        ("agentConnected", json!("true")),
        ("ec2InstanceId", json!("i-1 or true")),
        ("runningTasksCount", json!(-3)),
        ("remainingResources", json!("many")),
    ] {
        let event = with(instance_event(), field, value);
        assert_eq!(unusable(&event).0, format!("detail.{field}"), "{event}");
    }
    let nameless = with(instance_event(), "attributes", json!([{"value": "nameless"}]));
    assert_eq!(unusable(&nameless).0, "detail.attributes[0]");
    // The same test with the right place shows that the wrong ones above are what makes the difference.
    instance(&with(
        instance_event(),
        "containerInstanceArn",
        arn_of("123456789012@default"),
    ));
}

#[test]
fn an_instance_event_needs_what_tells_which_and_how_full_the_instance_is() {
    for (field, missing) in [
        ("version", "detail.version"),
        ("containerInstanceArn", "detail.containerInstanceArn"),
        ("clusterArn", "detail.clusterArn"),
        ("status", "detail.status"),
        ("agentConnected", "detail.agentConnected"),
        ("registeredResources", "detail.registeredResources.CPU"),
        ("remainingResources", "detail.remainingResources.CPU"),
    ] {
        let unusable = unusable(&without(instance_event(), field));
        assert_eq!(unusable, (missing.to_owned(), "missing".to_owned()));
    }
}

#[test]
fn an_amount_that_cannot_be_makes_the_event_unusable() {
    for entry in [
        json!({"name": "CPU", "type": "INTEGER", "integerValue": -1}),
        json!({"name": "CPU", "type": "LONG", "longValue": 1_u64 << 40}),
        json!({"name": "CPU", "type": "LONG", "longValue": u64::MAX}),
        json!({"name": "CPU", "type": "INTEGER", "integerValue": "1024"}),
        json!({"name": "CPU", "type": "DOUBLE", "doubleValue": 0.5}),
        json!({"name": "CPU", "type": "INTEGER"}),
        json!({"name": "CPU", "type": "STRINGSET", "stringSetValue": ["1024"]}),
        json!({"name": "MEMORY", "type": "INTEGER", "integerValue": 700}),
    ] {
        let mut event = instance_event();
        event["detail"]["remainingResources"][0] = entry.clone();
        let name = entry["name"].as_str().unwrap();
        assert_eq!(
            unusable(&event).0,
            format!("detail.remainingResources.{name}"),
            "{event}"
        );
    }
}
