use std::sync::Arc;

use berth_control::ports::Pin;
use berth_control::wire::submission::LaunchRequest;
use berth_scheduler::id::{
    AttemptId, AttemptNumber, ClusterName, ContainerInstanceArn, Ec2InstanceId, TaskDefinitionArn, TaskId,
};
use serde_json::{Value, json};

use super::*;

/// The input for a request that was stored as this JSON.
fn input(request: Value) -> RunTaskInput {
    let request: LaunchRequest = serde_json::from_value(request).unwrap();
    let instance = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/a1";
    let definition = "arn:aws:ecs:us-east-1:123456789012:task-definition/etl:12";
    let call = LaunchCall {
        cluster: ClusterName::parse("default").unwrap(),
        attempt: AttemptId {
            task: TaskId::parse("etl/2").unwrap(),
            number: AttemptNumber::new(3),
        },
        client_token: "token".to_owned(),
        pin: Pin {
            instance: ContainerInstanceArn::parse(instance).unwrap(),
            ec2_instance_id: Ec2InstanceId::parse("i-0abc").unwrap(),
        },
        task_definition: TaskDefinitionArn::parse(definition).unwrap(),
        request: Arc::new(request),
    };
    input_of(&call).unwrap().build().unwrap()
}

fn expressions(input: &RunTaskInput) -> Vec<(&str, Option<&str>)> {
    let constraints = input.placement_constraints().iter();
    constraints
        .map(|it| (it.r#type().unwrap().as_str(), it.expression()))
        .collect()
}

#[test]
fn a_launch_is_for_one_task_on_one_instance_under_its_own_token() {
    let input = input(json!({"launchType": "EC2"}));
    assert_eq!(input.count(), Some(1));
    assert_eq!(input.cluster(), Some("default"));
    assert_eq!(
        input.task_definition(),
        Some("arn:aws:ecs:us-east-1:123456789012:task-definition/etl:12")
    );
    assert_eq!(input.client_token(), Some("token"));
    assert_eq!(input.started_by(), Some("berth/3/etl/2"));
    assert_eq!(input.launch_type(), Some(&LaunchType::Ec2));
    assert_eq!(
        expressions(&input),
        [("memberOf", Some("ec2InstanceId == i-0abc"))]
    );
}

#[test]
fn what_the_user_left_out_is_left_out() {
    let input = input(json!({}));
    assert!(
        input.overrides().is_none() && input.network_configuration().is_none() && input.group().is_none()
    );
    assert!(input.tags().is_empty() && input.placement_strategy().is_empty());
    assert!(input.propagate_tags().is_none());
    assert!(input.enable_ecs_managed_tags().is_none() && input.enable_execute_command().is_none());
    assert!(input.capacity_provider_strategy().is_empty() && input.platform_version().is_none());
}

#[test]
fn the_users_constraints_hold_together_with_the_pin() {
    let input = input(json!({"placementConstraints": [
        {"type": "distinctInstance"}, {"type": "memberOf", "expression": "attribute:stack == prod"}
    ]}));
    assert_eq!(
        expressions(&input),
        [
            ("distinctInstance", None),
            (
                "memberOf",
                Some("(attribute:stack == prod) and ec2InstanceId == i-0abc")
            )
        ]
    );
}

#[test]
fn everything_the_user_asked_for_is_passed_on() {
    let input = input(json!({
        "launchType": "EXTERNAL", "group": "nightly", "enableECSManagedTags": true, "propagateTags": "TASK_DEFINITION",
        "enableExecuteCommand": true, "tags": [{"key": "team", "value": "data"}],
        "networkConfiguration": {"awsvpcConfiguration": {
            "subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"
        }},
        "overrides": {"cpu": "256", "memory": "512", "taskRoleArn": "role-a", "executionRoleArn": "role-b",
            "containerOverrides": [{
            "name": "app", "command": ["run"], "cpu": 10, "memory": 20, "memoryReservation": 15,
            "environment": [{"name": "A", "value": "1"}], "environmentFiles": [{"value": "arn", "type": "s3"}],
            "resourceRequirements": [{"value": "1", "type": "GPU"}]
        }]}
    }));
    assert_eq!(input.launch_type(), Some(&LaunchType::External));
    assert_eq!(input.group(), Some("nightly"));
    assert_eq!(
        (input.enable_ecs_managed_tags(), input.enable_execute_command()),
        (Some(true), Some(true))
    );
    assert_eq!(
        input.propagate_tags(),
        Some(&types::PropagateTags::TaskDefinition)
    );
    let [tag] = input.tags() else { panic!() };
    assert_eq!((tag.key(), tag.value()), (Some("team"), Some("data")));
    let network = input
        .network_configuration()
        .unwrap()
        .awsvpc_configuration()
        .unwrap();
    assert_eq!(
        (network.subnets(), network.security_groups()),
        (&["subnet-1".to_owned()][..], &["sg-1".to_owned()][..])
    );
    assert_eq!(network.assign_public_ip(), Some(&AssignPublicIp::Disabled));
    let overrides = input.overrides().unwrap();
    assert_eq!((overrides.cpu(), overrides.memory()), (Some("256"), Some("512")));
    assert_eq!(
        (overrides.task_role_arn(), overrides.execution_role_arn()),
        (Some("role-a"), Some("role-b"))
    );
    let [container] = overrides.container_overrides() else {
        panic!()
    };
    assert_eq!(
        (container.name(), container.command()),
        (Some("app"), &["run".to_owned()][..])
    );
    assert_eq!(
        (
            container.cpu(),
            container.memory(),
            container.memory_reservation()
        ),
        (Some(10), Some(20), Some(15))
    );
    let [variable] = container.environment() else {
        panic!()
    };
    assert_eq!((variable.name(), variable.value()), (Some("A"), Some("1")));
    let [file] = container.environment_files() else {
        panic!()
    };
    assert_eq!((file.value(), file.r#type()), ("arn", &EnvironmentFileType::S3));
    let [gpu] = container.resource_requirements() else {
        panic!()
    };
    assert_eq!((gpu.value(), gpu.r#type()), ("1", &ResourceType::Gpu));
}
