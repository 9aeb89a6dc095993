//! A launch as the input of RunTask.

use aws_sdk_ecs::error::BuildError;
use aws_sdk_ecs::operation::run_task::RunTaskInput;
use aws_sdk_ecs::operation::run_task::builders::RunTaskInputBuilder;
use aws_sdk_ecs::types::{
    self, AssignPublicIp, AwsVpcConfiguration, EnvironmentFileType, KeyValuePair, LaunchType,
    PlacementConstraintType, ResourceType,
};
use berth_control::ports::LaunchCall;
use berth_control::wire::overrides::{self, TaskOverrides};
use berth_control::wire::submission;

/// RunTask for one task on one instance. It is pinned by a constraint; a strategy would have nothing left
/// to choose.
pub(super) fn input_of(call: &LaunchCall) -> Result<RunTaskInputBuilder, BuildError> {
    let request = &call.request;
    let constraints = request.pinned_to(&call.pin.ec2_instance_id);
    let builder = RunTaskInput::builder()
        .cluster(call.cluster.as_str())
        .task_definition(call.task_definition.as_str())
        .count(1)
        .launch_type(match request.launch_type {
            submission::LaunchType::Ec2 => LaunchType::Ec2,
            submission::LaunchType::External => LaunchType::External,
        })
        .client_token(&call.client_token)
        .started_by(call.attempt.started_by())
        .set_group(request.group.as_ref().map(|group| group.as_str().to_owned()))
        .set_placement_constraints(Some(constraints.iter().map(constraint_of).collect()))
        .set_overrides(overrides_of(&request.overrides)?)
        .set_network_configuration(
            request
                .network_configuration
                .as_ref()
                .map(network_of)
                .transpose()?,
        )
        .set_tags(non_empty(request.tags.iter().map(tag_of).collect()))
        .set_enable_ecs_managed_tags(request.enable_ecs_managed_tags.then_some(true))
        .set_enable_execute_command(request.enable_execute_command.then_some(true))
        .set_propagate_tags(match request.propagate_tags {
            submission::PropagateTags::None => None,
            submission::PropagateTags::TaskDefinition => Some(types::PropagateTags::TaskDefinition),
        });
    Ok(builder)
}

fn non_empty<T>(values: Vec<T>) -> Option<Vec<T>> {
    (!values.is_empty()).then_some(values)
}

fn constraint_of(constraint: &submission::PlacementConstraint) -> types::PlacementConstraint {
    match constraint {
        submission::PlacementConstraint::DistinctInstance => types::PlacementConstraint::builder()
            .r#type(PlacementConstraintType::DistinctInstance)
            .build(),
        submission::PlacementConstraint::MemberOf { expression } => types::PlacementConstraint::builder()
            .r#type(PlacementConstraintType::MemberOf)
            .expression(expression)
            .build(),
    }
}

fn tag_of(tag: &submission::Tag) -> types::Tag {
    types::Tag::builder().key(&tag.key).value(&tag.value).build()
}

fn network_of(network: &submission::NetworkConfiguration) -> Result<types::NetworkConfiguration, BuildError> {
    let given = &network.awsvpc_configuration;
    let awsvpc = AwsVpcConfiguration::builder()
        .set_subnets(Some(given.subnets.iter().map(ToString::to_string).collect()))
        .set_security_groups(non_empty(given.security_groups.clone()))
        .set_assign_public_ip(given.assign_public_ip.map(|assign| match assign {
            submission::AssignPublicIp::Enabled => AssignPublicIp::Enabled,
            submission::AssignPublicIp::Disabled => AssignPublicIp::Disabled,
        }));
    Ok(types::NetworkConfiguration::builder()
        .awsvpc_configuration(awsvpc.build()?)
        .build())
}

fn overrides_of(given: &TaskOverrides) -> Result<Option<types::TaskOverride>, BuildError> {
    if *given == TaskOverrides::default() {
        return Ok(None);
    }
    let containers = given.container_overrides.iter().map(container_override_of);
    let builder = types::TaskOverride::builder()
        .set_container_overrides(non_empty(containers.collect::<Result<_, _>>()?))
        .set_cpu(given.cpu.clone())
        .set_memory(given.memory.clone())
        .set_task_role_arn(given.task_role_arn.clone())
        .set_execution_role_arn(given.execution_role_arn.clone());
    Ok(Some(builder.build()))
}

fn container_override_of(
    given: &overrides::ContainerOverride,
) -> Result<types::ContainerOverride, BuildError> {
    let environment = given.environment.iter().map(|variable| {
        KeyValuePair::builder()
            .set_name(variable.name.clone())
            .set_value(variable.value.clone())
            .build()
    });
    let files = given.environment_files.iter().map(|file| {
        types::EnvironmentFile::builder()
            .value(&file.value)
            .r#type(EnvironmentFileType::from(file.kind.as_str()))
            .build()
    });
    let requirements = given.resource_requirements.iter().map(|requirement| {
        types::ResourceRequirement::builder()
            .value(&requirement.value)
            .r#type(ResourceType::from(requirement.kind.as_str()))
            .build()
    });
    Ok(types::ContainerOverride::builder()
        .set_name(given.name.clone())
        .set_command(given.command.clone())
        .set_environment(non_empty(environment.collect()))
        .set_environment_files(non_empty(files.collect::<Result<_, _>>()?))
        .set_cpu(given.cpu)
        .set_memory(given.memory)
        .set_memory_reservation(given.memory_reservation)
        .set_resource_requirements(non_empty(requirements.collect::<Result<_, _>>()?))
        .build())
}

#[cfg(test)]
mod tests;
