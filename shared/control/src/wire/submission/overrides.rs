//! `overrides`: what a run changes about its task definition, as far as the deployment allows it.

use std::collections::BTreeSet;

use berth_scheduler::demand::{read_cpu, read_memory};

use crate::settings::{ALLOWED_OVERRIDES_VARIABLE, Override, Settings};
use crate::wire::overrides::{
    ContainerOverride, EnvironmentFile, EnvironmentVariable, ResourceRequirement, TaskOverrides,
};
use crate::wire::refusal::Refusal;
use crate::wire::strict_json::field::Field;

/// Characters of all overrides at most, as JSON.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html>
const OVERRIDES_CHARACTERS_MAX: usize = 8_192;

/// Containers of a task definition at most.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
const CONTAINERS_MAX: usize = 10;

/// Environment variables of a submission at most; our own limit, ample within 8,192 characters.
const ENVIRONMENT_VARIABLES_MAX: usize = 200;

/// Environment files of a container at most.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/use-environment-file.html>
const ENVIRONMENT_FILES_MAX: usize = 10;

/// Words of a command at most; more cannot be written in 8,192 characters.
const COMMAND_WORDS_MAX: usize = 4_096;

/// More GPUs than any instance has.
const GPUS_MAX: u32 = 1_024;

/// An ARN at most.
const ARN_CHARACTERS_MAX: usize = 2_048;

/// Amounts are 32-bit integers in ECS's API.
const AMOUNT_MAX: i64 = 0x7fff_ffff;

/// Refuses the field unless the deployment allows the override.
pub(super) fn require_allowed(
    field: &Field<'_>,
    wanted: Override,
    settings: &Settings,
) -> Result<(), Refusal> {
    if settings.allowed_overrides.allows(wanted) {
        return Ok(());
    }
    Err(field.refuse_key(&format!(
        "this deployment does not allow this override: leave it out, or add `{}` to the parameter \
         `AllowedOverrides` (environment variable {ALLOWED_OVERRIDES_VARIABLE})",
        wanted.name()
    )))
}

/// Reads `overrides`.
pub(super) fn decode_overrides(field: &Field<'_>, settings: &Settings) -> Result<TaskOverrides, Refusal> {
    let mut overrides = TaskOverrides::default();
    for (name, part) in field.object("an object with RunTask's overrides")?.fields() {
        match name {
            "containerOverrides" => overrides.container_overrides = decode_containers(&part, settings)?,
            "cpu" => {
                require_allowed(&part, Override::Resources, settings)?;
                overrides.cpu = Some(decode_size(&part, |text| {
                    read_cpu("", text).map(drop).map_err(|e| e.expected)
                })?);
            }
            "memory" => {
                require_allowed(&part, Override::Resources, settings)?;
                overrides.memory = Some(decode_size(&part, |text| {
                    read_memory("", text).map(drop).map_err(|e| e.expected)
                })?);
            }
            "taskRoleArn" => {
                require_allowed(&part, Override::TaskRole, settings)?;
                overrides.task_role_arn = Some(decode_role(&part)?);
            }
            "executionRoleArn" => {
                require_allowed(&part, Override::ExecutionRole, settings)?;
                overrides.execution_role_arn = Some(decode_role(&part)?);
            }
            "ephemeralStorage" => {
                return Err(part.refuse_key("not supported: it is for Fargate; leave it out"));
            }
            "inferenceAcceleratorOverrides" => {
                return Err(part.refuse_key("not supported: Elastic Inference has ended; leave it out"));
            }
            _ => {
                return Err(part.unknown(&[
                    "containerOverrides",
                    "cpu",
                    "memory",
                    "taskRoleArn",
                    "executionRoleArn",
                ]));
            }
        }
    }
    check_size(field, &overrides)?;
    Ok(overrides)
}

fn check_size(field: &Field<'_>, overrides: &TaskOverrides) -> Result<(), Refusal> {
    // Texts, numbers and lists only: there is nothing in it that could fail to become JSON.
    let characters = serde_json::to_string(overrides).map_or(0, |json| json.chars().count());
    if characters <= OVERRIDES_CHARACTERS_MAX {
        return Ok(());
    }
    Err(field.refuse(&format!(
        "the overrides have {characters} characters as JSON: give at most {OVERRIDES_CHARACTERS_MAX}"
    )))
}

/// A task's CPU or memory. It is kept as written: RunTask takes the same forms.
fn decode_size(
    field: &Field<'_>,
    read: impl FnOnce(&str) -> Result<(), &'static str>,
) -> Result<String, Refusal> {
    let text = field.text("a text such as `\"1024\"`")?;
    read(text).map_err(|expected| field.refuse_value("is not an amount", expected))?;
    Ok(text.to_owned())
}

fn decode_role(field: &Field<'_>) -> Result<String, Refusal> {
    let give = "the ARN of a role, such as `arn:aws:iam::123456789012:role/NAME`";
    let arn = field.line(ARN_CHARACTERS_MAX, give)?;
    let is_role = arn.starts_with("arn:") && arn.contains(":iam::") && arn.contains(":role/");
    if is_role {
        Ok(arn.to_owned())
    } else {
        Err(field.refuse_value("is no role", give))
    }
}

fn decode_containers(field: &Field<'_>, settings: &Settings) -> Result<Vec<ContainerOverride>, Refusal> {
    let mut containers: Vec<ContainerOverride> = Vec::new();
    let mut names = BTreeSet::new();
    let mut variables = 0_usize;
    for item in field.items(CONTAINERS_MAX, "containers")? {
        let container = decode_container(&item, settings)?;
        variables = variables.saturating_add(container.environment.len());
        if variables > ENVIRONMENT_VARIABLES_MAX {
            return Err(item.refuse(&format!(
                "the overrides have more than {ENVIRONMENT_VARIABLES_MAX} environment variables: give fewer"
            )));
        }
        if !names.insert(container.name.clone()) {
            let name = container.name.unwrap_or_default();
            return Err(item.refuse(&format!(
                "container `{name}` is named twice: give each container once"
            )));
        }
        containers.push(container);
    }
    Ok(containers)
}

const CONTAINER_FIELDS: [&str; 8] = [
    "name",
    "command",
    "environment",
    "environmentFiles",
    "cpu",
    "memory",
    "memoryReservation",
    "resourceRequirements",
];

fn decode_container(item: &Field<'_>, settings: &Settings) -> Result<ContainerOverride, Refusal> {
    let object = item.object("an object with the name of a container and its overrides")?;
    let mut container = ContainerOverride::default();
    for (name, field) in object.fields() {
        let needs = match name {
            "command" => Some(Override::Command),
            "environment" => Some(Override::Environment),
            "environmentFiles" => Some(Override::EnvironmentFiles),
            "cpu" | "memory" | "memoryReservation" | "resourceRequirements" => Some(Override::Resources),
            _ => None,
        };
        if let Some(wanted) = needs {
            require_allowed(&field, wanted, settings)?;
        }
        match name {
            "name" => container.name = Some(field.line(255, "the name of a container")?.to_owned()),
            "command" => container.command = Some(decode_command(&field)?),
            "environment" => container.environment = decode_environment(&field)?,
            "environmentFiles" => container.environment_files = decode_environment_files(&field)?,
            "cpu" => container.cpu = Some(field.whole_number(0..=AMOUNT_MAX)?),
            "memory" => container.memory = Some(field.whole_number(1..=AMOUNT_MAX)?),
            "memoryReservation" => container.memory_reservation = Some(field.whole_number(1..=AMOUNT_MAX)?),
            "resourceRequirements" => container.resource_requirements = decode_requirements(&field)?,
            _ => return Err(field.unknown(&CONTAINER_FIELDS)),
        }
    }
    if container.name.is_none() {
        return Err(object.missing("name", "the name of a container in the task definition"));
    }
    Ok(container)
}

fn decode_command(field: &Field<'_>) -> Result<Vec<String>, Refusal> {
    let words = field.items(COMMAND_WORDS_MAX, "texts")?;
    words
        .iter()
        .map(|word| Ok(word.secret_text()?.to_owned()))
        .collect()
}

fn decode_environment(field: &Field<'_>) -> Result<Vec<EnvironmentVariable>, Refusal> {
    field
        .items(ENVIRONMENT_VARIABLES_MAX, "environment variables")?
        .iter()
        .map(decode_variable)
        .collect()
}

fn decode_variable(item: &Field<'_>) -> Result<EnvironmentVariable, Refusal> {
    let object = item.object("an object with `name` and `value`")?;
    let mut variable = EnvironmentVariable::default();
    for (name, field) in object.fields() {
        match name {
            "name" => {
                let name = field.line(OVERRIDES_CHARACTERS_MAX, "the name of an environment variable")?;
                if name.contains('=') {
                    return Err(field.refuse_value("has an equals sign", "the name alone"));
                }
                variable.name = Some(name.to_owned());
            }
            "value" => variable.value = Some(field.secret_text()?.to_owned()),
            _ => return Err(field.unknown(&["name", "value"])),
        }
    }
    match variable {
        EnvironmentVariable { name: None, .. } => {
            Err(object.missing("name", "the name of an environment variable"))
        }
        EnvironmentVariable { value: None, .. } => Err(object.missing("value", "a text")),
        variable => Ok(variable),
    }
}

fn decode_environment_files(field: &Field<'_>) -> Result<Vec<EnvironmentFile>, Refusal> {
    field
        .items(ENVIRONMENT_FILES_MAX, "environment files")?
        .iter()
        .map(decode_environment_file)
        .collect()
}

fn decode_environment_file(item: &Field<'_>) -> Result<EnvironmentFile, Refusal> {
    let object = item.object("an object with `type` and `value`")?;
    let give = "the ARN of an object in S3, such as `arn:aws:s3:::BUCKET/KEY.env`";
    let (mut kind, mut value) = (None, None);
    for (name, field) in object.fields() {
        match name {
            "type" => kind = Some(field.choice(&[("s3", "s3")])?.to_owned()),
            "value" => {
                let arn = field.line(ARN_CHARACTERS_MAX, give)?;
                if !arn.starts_with("arn:") || !arn.contains(":s3:") {
                    return Err(field.refuse_value("is no object in S3", give));
                }
                value = Some(arn.to_owned());
            }
            _ => return Err(field.unknown(&["type", "value"])),
        }
    }
    let value = value.ok_or_else(|| object.missing("value", give))?;
    let kind = kind.ok_or_else(|| object.missing("type", "`s3`"))?;
    Ok(EnvironmentFile { value, kind })
}

/// One entry of each type can be given, and there is one type.
fn decode_requirements(field: &Field<'_>) -> Result<Vec<ResourceRequirement>, Refusal> {
    field
        .items(1, "resource requirements")?
        .iter()
        .map(decode_requirement)
        .collect()
}

fn decode_requirement(item: &Field<'_>) -> Result<ResourceRequirement, Refusal> {
    let object = item.object("an object with `type` and `value`")?;
    let (mut kind, mut value) = (None, None);
    for (name, field) in object.fields() {
        match name {
            "type" => kind = Some(field.choice(&[("GPU", "GPU")])?.to_owned()),
            "value" => value = Some(decode_gpus(&field)?),
            _ => return Err(field.unknown(&["type", "value"])),
        }
    }
    let kind = kind.ok_or_else(|| object.missing("type", "`GPU`"))?;
    let value = value.ok_or_else(|| object.missing("value", "the number of GPUs, as a text"))?;
    Ok(ResourceRequirement { value, kind })
}

fn decode_gpus(field: &Field<'_>) -> Result<String, Refusal> {
    let give = format!("the number of GPUs as a text, from `\"1\"` to `\"{GPUS_MAX}\"`");
    let text = field.text(&give)?;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(gpus) if is_number && (1..=GPUS_MAX).contains(&gpus) => Ok(text.to_owned()),
        _ => Err(field.refuse_value("is not a number of GPUs", &give)),
    }
}
