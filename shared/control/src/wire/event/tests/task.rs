use berth_scheduler::id::{AttemptId, ReportVersion, TaskGroup};
use berth_scheduler::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};
use berth_scheduler::report::TaskStatus;

use super::*;

#[test]
fn a_task_event_tells_what_the_task_takes_and_whose_it_is() {
    let (report, skipped) = task(&task_event());
    assert!(skipped.is_empty());
    assert_eq!(report.instance.unwrap().id(), "abc");
    assert_eq!((report.status, report.end), (TaskStatus::Running, None));
    assert_eq!(report.version, ReportVersion::new(3));
    assert_eq!(report.attempt, AttemptId::from_started_by("berth/2/etl-1"));
    assert_eq!(report.group, TaskGroup::parse("family:etl").unwrap());
    assert_eq!(report.created_at.unwrap().to_string(), "2026-11-21T09:00:00.100Z");
    let demand = report.demand;
    assert_eq!(
        (demand.cpu, demand.memory),
        (CpuUnits::new(128), MemoryMib::new(256))
    );
    assert_eq!((demand.gpu, demand.eni), (GpuCount::new(1), EniCount::ZERO));
    assert_eq!(demand.ports.tcp.iter().collect::<Vec<_>>(), [8080]);
    assert_eq!(demand.ports.udp.iter().collect::<Vec<_>>(), [5353]);
}

#[test]
fn the_size_of_the_task_counts_before_the_sizes_of_its_containers() {
    for (cpu, memory, units, mib) in [
        (json!("512"), json!("1024"), 512, 1024),
        (json!(512), json!(1024.0), 512, 1024),
        (json!("512.0"), json!(" 1024 "), 512, 1024),
        (json!("1 vCPU"), json!("2GB"), 1024, 2048),
        (json!(".25 vcpu"), json!("0.5 GB"), 256, 512),
        (json!("512"), json!(null), 512, 256),
        (json!(""), json!("1024"), 128, 1024),
    ] {
        let event = with(with(task_event(), "cpu", cpu), "memory", memory);
        let demand = task(&event).0.demand;
        assert_eq!(
            (demand.cpu, demand.memory),
            (CpuUnits::new(units), MemoryMib::new(mib)),
            "{event}"
        );
    }
}

#[test]
fn the_status_of_a_task_follows_from_where_it_is_and_where_it_should_be() {
    for (last, desired, expected) in [
        ("PROVISIONING", "RUNNING", TaskStatus::Running),
        ("PENDING", "RUNNING", TaskStatus::Running),
        ("RUNNING", "RUNNING", TaskStatus::Running),
        ("SOMETHING_NEW", "RUNNING", TaskStatus::Running),
        ("PENDING", "STOPPED", TaskStatus::Stopping),
        ("RUNNING", "STOPPED", TaskStatus::Stopping),
        ("DEPROVISIONING", "STOPPED", TaskStatus::Stopping),
        ("STOPPED", "STOPPED", TaskStatus::Stopped),
        ("STOPPED", "RUNNING", TaskStatus::Stopped),
        ("DELETED", "STOPPED", TaskStatus::Stopped),
    ] {
        let event = with(
            with(task_event(), "lastStatus", json!(last)),
            "desiredStatus",
            json!(desired),
        );
        assert_eq!(task(&event).0.status, expected, "{last} {desired}");
    }
}

#[test]
fn a_stopped_task_tells_how_it_ended() {
    let stopped = |codes: Value| {
        let mut event = with(task_event(), "lastStatus", json!("STOPPED"));
        event = with(event, "stopCode", json!("EssentialContainerExited"));
        event = with(event, "stoppedReason", json!("x".repeat(5_000)));
        event = with(event, "stoppedAt", json!("2026-11-21T09:10:00Z"));
        task(&with(event, "containers", codes)).0.end.unwrap()
    };
    let end = stopped(json!([{"exitCode": 0}, {}, {"exitCode": 137}, {"exitCode": 1}]));
    assert_eq!(end.exit_code, Some(137));
    assert_eq!(end.stop_code.as_deref(), Some("EssentialContainerExited"));
    assert_eq!(end.stopped_reason.unwrap().len(), 1_000);
    assert_eq!(end.stopped_at.unwrap().to_string(), "2026-11-21T09:10:00.000Z");
    assert_eq!(
        stopped(json!([{"exitCode": 0}, {"exitCode": 0}])).exit_code,
        Some(0)
    );
    assert_eq!(
        stopped(json!([{"exitCode": 1e30}, {"exitCode": "1"}])).exit_code,
        None
    );
    assert_eq!(stopped(json!([])).exit_code, None);
}

#[test]
fn an_interface_counts_on_ec2_only() {
    let eni = |kind: &str, launch_type: Value| {
        let event = with(
            task_event(),
            "attachments",
            json!([{"id": "1", "type": kind, "status": "ATTACHED"}]),
        );
        task(&with(event, "launchType", launch_type)).0.demand.eni.get()
    };
    assert_eq!(eni("eni", json!("EC2")), 1);
    assert_eq!(eni("ElasticNetworkInterface", json!("EC2")), 1);
    assert_eq!(eni("ElasticNetworkInterface", json!(null)), 1);
    assert_eq!(eni("AmazonElasticBlockStorage", json!("EC2")), 0);
    assert_eq!(eni("eni", json!("FARGATE")), 0);
}

#[test]
fn tasks_of_others_and_tasks_on_no_instance_are_reported_as_such() {
    let event = without(
        with(task_event(), "startedBy", json!("ecs-svc/417")),
        "containerInstanceArn",
    );
    let (report, _) = task(&with(event, "group", json!("service:web")));
    assert_eq!((report.attempt, report.instance), (None, None));
    assert_eq!(report.group, TaskGroup::parse("service:web").unwrap());
    assert_eq!(task(&without(task_event(), "startedBy")).0.attempt, None);
}

#[test]
fn a_task_event_that_would_harm_its_record_is_unusable_and_names_the_field() {
    let good = task_event;
    let other_cluster = "arn:aws:ecs:us-east-1:123456789012:task/staging/t1";
    let other_region = "arn:aws:ecs:eu-west-1:123456789012:container-instance/default/abc";
    for (event, field) in [
        (without(good(), "version"), "detail.version"),
        (with(good(), "version", json!(-1)), "detail.version"),
        (without(good(), "taskArn"), "detail.taskArn"),
        (with(good(), "taskArn", json!(other_cluster)), "detail.taskArn"),
        (
            with(good(), "containerInstanceArn", json!(other_region)),
            "detail.containerInstanceArn",
        ),
        (
            with(good(), "containerInstanceArn", json!(7)),
            "detail.containerInstanceArn",
        ),
        (without(good(), "clusterArn"), "detail.clusterArn"),
        (without(good(), "lastStatus"), "detail.lastStatus"),
        (without(good(), "desiredStatus"), "detail.desiredStatus"),
        (without(good(), "taskDefinitionArn"), "detail.taskDefinitionArn"),
        (with(good(), "group", json!("x".repeat(300))), "detail.group"),
        (
            with(good(), "startedBy", json!(["berth/1/a"])),
            "detail.startedBy",
        ),
        (with(good(), "cpu", json!("-5")), "detail.cpu"),
        (with(good(), "cpu", json!("lots")), "detail.cpu"),
        (with(good(), "cpu", json!("0.5")), "detail.cpu"),
        (with(good(), "cpu", json!("99999999999999999999")), "detail.cpu"),
        (with(good(), "memory", json!("1 TB")), "detail.memory"),
        (with(good(), "memory", json!(true)), "detail.memory"),
        (
            with(good(), "containers", json!([{"cpu": -1}])),
            "detail.containers.cpu",
        ),
        (
            with(good(), "containers", json!([{"memory": {}}])),
            "detail.containers.memory",
        ),
        (with(good(), "containers", json!({"0": {}})), "detail.containers"),
    ] {
        assert_eq!(unusable(&event).0, field, "{event}");
    }
}
