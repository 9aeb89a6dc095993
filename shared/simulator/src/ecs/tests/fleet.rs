use berth_scheduler::report::{AgentConnection, InstanceStatus};

use super::super::fleet::Deregistration;
use super::*;

fn versions(lab: &mut Lab) -> Vec<(u64, InstanceStatus, AgentConnection)> {
    let version = |event| match event {
        EcsEvent::Instance { report, .. } => Some((report.version.get(), report.status, report.agent)),
        EcsEvent::Task { .. } => None,
    };
    lab.ecs.take_events().into_iter().filter_map(version).collect()
}

#[test]
fn a_draining_instance_takes_nothing_and_keeps_its_tasks() {
    let mut lab = lab();
    let one = lab.instance("i-1", 512);
    let other = lab.instance("i-2", 10);
    lab.define_memory("etl", 100);
    let task = lab.run_one("etl");
    lab.ecs.take_events();
    lab.ecs
        .set_instance_status(&lab.cluster, &one, InstanceStatus::Draining)
        .unwrap();
    lab.ecs
        .set_instance_status(&lab.cluster, &one, InstanceStatus::Draining)
        .unwrap();
    assert_eq!(
        versions(&mut lab),
        [(3, InstanceStatus::Draining, AgentConnection::Connected)]
    );
    let answer = lab.run("etl");
    assert_eq!(
        (answer.tasks.len(), answer.failures[0].arn.as_str()),
        (0, other.as_str())
    );
    lab.advance_to_second(30);
    assert_eq!(lab.last_status(&task), "RUNNING");
    lab.ecs
        .set_instance_status(&lab.cluster, &one, InstanceStatus::Active)
        .unwrap();
    lab.run_one("etl");
}

#[test]
fn an_instance_without_agent_is_refused_with_that_reason_and_reports_late() {
    let mut lab = lab();
    let instance = lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    let task = lab.run_one("etl");
    lab.ecs
        .set_agent(&lab.cluster, &instance, AgentConnection::Disconnected)
        .unwrap();
    assert_eq!(reasons(&lab.run("etl")), ["AGENT"]);
    lab.ecs.take_events();
    lab.advance_to_second(50);
    assert_eq!(
        (lab.last_status(&task), lab.ecs.take_events().len()),
        ("PENDING", 0)
    );
    lab.ecs
        .set_agent(&lab.cluster, &instance, AgentConnection::Connected)
        .unwrap();
    assert_eq!(lab.last_status(&task), "RUNNING");
    lab.run_one("etl");
}

#[test]
fn an_instance_with_tasks_is_deregistered_by_force_only() {
    let mut lab = lab();
    let instance = lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    let task = lab.run_one("etl");
    let error = lab
        .ecs
        .deregister_instance(&lab.cluster, &instance, Deregistration::WhenEmpty)
        .unwrap_err();
    assert_eq!(error.message, "Found running tasks on the instance.");
    lab.ecs.take_events();
    lab.ecs
        .deregister_instance(&lab.cluster, &instance, Deregistration::Forced)
        .unwrap();
    assert_eq!(
        versions(&mut lab),
        [(3, InstanceStatus::Inactive, AgentConnection::Disconnected)]
    );
    assert_eq!(lab.task(&task).status, TaskStatus::Stopped);
    assert!(lab.ecs.describe_instances(&lab.cluster).unwrap().is_empty());
    assert_eq!(lab.report(&instance).status, InstanceStatus::Inactive);
}

#[test]
fn a_terminated_instance_leaves_only_when_its_agent_was_connected() {
    let mut lab = lab();
    let seen = lab.instance("i-1", 512);
    let unseen = lab.instance("i-2", 512);
    lab.define_memory("etl", 500);
    let task = lab.run_one("etl");
    let other = lab.run_one("etl");
    let on_seen = if lab.task(&task).instance.as_ref() == Some(&seen) {
        task
    } else {
        other
    };
    lab.ecs.terminate_instance(&lab.cluster, &seen).unwrap();
    let end = lab.task(&on_seen).end.unwrap();
    assert_eq!(
        end.stopped_reason.as_deref(),
        Some("Host EC2 (instance i-1) terminated.")
    );
    assert_eq!(lab.report(&seen).status, InstanceStatus::Inactive);
    assert_eq!(lab.memory_left(&seen), 512);

    lab.ecs
        .set_agent(&lab.cluster, &unseen, AgentConnection::Disconnected)
        .unwrap();
    lab.ecs.terminate_instance(&lab.cluster, &unseen).unwrap();
    lab.advance_to_second(10_000);
    assert_eq!(
        (lab.report(&unseen).status, lab.memory_left(&unseen)),
        (InstanceStatus::Active, 12)
    );
    assert!(
        lab.ecs
            .set_agent(&lab.cluster, &unseen, AgentConnection::Connected)
            .is_err()
    );
}

#[test]
fn attributes_change_without_event_or_version() {
    let mut lab = lab();
    let instance = lab.instance("i-1", 512);
    lab.ecs.take_events();
    let stack = ("stack".to_owned(), Some("prod".to_owned()));
    lab.ecs.put_attributes(&lab.cluster, &instance, &[stack]).unwrap();
    assert!(lab.ecs.take_events().is_empty());
    let report = lab.report(&instance);
    assert_eq!(
        (report.version.get(), report.attributes.unwrap().value("stack")),
        (1, Some("prod"))
    );

    let many: Vec<_> = (0..10).map(|number| (format!("a{number}"), None)).collect();
    let error = lab
        .ecs
        .put_attributes(&lab.cluster, &instance, &many)
        .unwrap_err();
    assert_eq!(error.kind.code(), "AttributeLimitExceededException");
    lab.ecs
        .delete_attributes(&lab.cluster, &instance, &["stack".to_owned()])
        .unwrap();
    lab.ecs.put_attributes(&lab.cluster, &instance, &many).unwrap();
}

#[test]
fn external_machines_take_external_tasks_only() {
    let mut lab = lab();
    let instance = lab.instance("i-1", 512);
    let external = ("ecs.capability.external".to_owned(), None);
    lab.ecs
        .put_attributes(&lab.cluster, &instance, &[external])
        .unwrap();
    lab.define_memory("etl", 100);
    assert!(lab.run("etl").tasks.is_empty());
    let launch_type = super::super::launch::LaunchType::External;
    assert_eq!(
        lab.ecs
            .run_task(&RunTaskRequest {
                launch_type,
                ..lab.request("etl")
            })
            .unwrap()
            .tasks
            .len(),
        1
    );
}

#[test]
fn a_cluster_with_instances_cannot_be_deleted() {
    let mut lab = lab();
    let instance = lab.instance("i-1", 512);
    assert!(lab.ecs.delete_cluster(&lab.cluster).is_err());
    lab.ecs
        .deregister_instance(&lab.cluster, &instance, Deregistration::WhenEmpty)
        .unwrap();
    lab.ecs.delete_cluster(&lab.cluster).unwrap();
    let error = lab.ecs.run_task(&lab.request("etl")).unwrap_err();
    assert_eq!(error.kind.code(), "ClusterNotFoundException");
}
