//! The detail of `ECS Container Instance State Change`.

use std::borrow::Cow;

use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::id::{ContainerInstanceArn, Ec2InstanceId};
use berth_scheduler::report::{AgentConnection, InstanceReport, InstanceStatus, ReportSource};
use berth_scheduler::resources::Resources;
use serde::Deserialize;

use super::field::{FieldError, Scalar, cut};
use super::{Skipped, report_version, same_home};
use crate::wire::resources::ResourceReader;

/// Longest agent version that is kept, in characters.
const AGENT_VERSION_CHARS_MAX: usize = 64;
/// Longest resource name that is repeated in an explanation, in characters.
const NAME_CHARS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct InstanceDetail<'a> {
    #[serde(borrow, default)]
    cluster_arn: Scalar<'a>,
    #[serde(borrow, default)]
    container_instance_arn: Scalar<'a>,
    #[serde(borrow, default)]
    ec2_instance_id: Scalar<'a>,
    #[serde(borrow, default)]
    status: Scalar<'a>,
    #[serde(borrow, default)]
    agent_connected: Scalar<'a>,
    #[serde(borrow, default)]
    version: Scalar<'a>,
    #[serde(borrow, default)]
    version_info: Option<VersionInfo<'a>>,
    #[serde(borrow, default)]
    updated_at: Scalar<'a>,
    #[serde(borrow, default)]
    registered_at: Scalar<'a>,
    #[serde(borrow, default)]
    running_tasks_count: Scalar<'a>,
    #[serde(borrow, default)]
    registered_resources: Option<Vec<ResourceEntry<'a>>>,
    #[serde(borrow, default)]
    remaining_resources: Option<Vec<ResourceEntry<'a>>>,
    #[serde(borrow, default)]
    attributes: Option<Vec<AttributeEntry<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct VersionInfo<'a> {
    #[serde(borrow, default)]
    agent_version: Scalar<'a>,
}

#[derive(Deserialize)]
#[serde(expecting = "an attribute")]
struct AttributeEntry<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
}

/// One resource. Events give only the value that its type names; answers of the API fill the others with 0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a resource")]
struct ResourceEntry<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default, rename = "type")]
    value_type: Scalar<'a>,
    #[serde(borrow, default)]
    integer_value: Scalar<'a>,
    #[serde(borrow, default)]
    long_value: Scalar<'a>,
    #[serde(borrow, default)]
    double_value: Scalar<'a>,
    #[serde(borrow, default)]
    string_set_value: Option<Vec<Scalar<'a>>>,
}

impl InstanceDetail<'_> {
    pub(super) fn cluster_arn(&self) -> Result<&str, FieldError> {
        self.cluster_arn.needed_text("detail.clusterArn")
    }

    pub(super) fn report(&self, skipped: &mut Skipped) -> Result<InstanceReport, FieldError> {
        let status = self.status()?;
        let registered = read_resources(
            "detail.registeredResources",
            self.registered_resources.as_deref(),
            status,
            skipped,
        )?;
        let remaining = read_resources(
            "detail.remainingResources",
            self.remaining_resources.as_deref(),
            status,
            skipped,
        )?;
        let agent_version = self.version_info.as_ref().map(|info| &info.agent_version);
        let running_tasks = self
            .running_tasks_count
            .count("detail.runningTasksCount", u32::MAX.into())?;
        Ok(InstanceReport {
            instance: self.instance()?,
            ec2_instance_id: self.ec2_instance_id()?,
            status,
            agent: if self.agent_connected.needed_flag("detail.agentConnected")? {
                AgentConnection::Connected
            } else {
                AgentConnection::Disconnected
            },
            agent_version: agent_version
                .and_then(|version| skipped.optional_text(version, AGENT_VERSION_CHARS_MAX)),
            version: report_version(&self.version)?,
            updated_at: skipped.optional_time(&self.updated_at),
            registered_at: skipped.optional_time(&self.registered_at),
            registered,
            remaining,
            running_tasks: running_tasks
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(0),
            attributes: self.attributes.as_deref().map(attribute_set),
            source: ReportSource::Event,
        })
    }

    fn instance(&self) -> Result<ContainerInstanceArn, FieldError> {
        const FIELD: &str = "detail.containerInstanceArn";
        let arn = self.container_instance_arn.needed_text(FIELD)?;
        let instance = ContainerInstanceArn::parse(arn).map_err(|error| FieldError::new(FIELD, error))?;
        same_home(FIELD, arn, self.cluster_arn()?)?;
        Ok(instance)
    }

    fn ec2_instance_id(&self) -> Result<Option<Ec2InstanceId>, FieldError> {
        const FIELD: &str = "detail.ec2InstanceId";
        let text = self.ec2_instance_id.text(FIELD)?;
        text.map(|text| Ec2InstanceId::parse(text).map_err(|error| FieldError::new(FIELD, error)))
            .transpose()
    }

    fn status(&self) -> Result<InstanceStatus, FieldError> {
        const FIELD: &str = "detail.status";
        let text = self.status.needed_text(FIELD)?;
        InstanceStatus::parse(text)
            .ok_or_else(|| FieldError::new(FIELD, format_args!("`{}` is not a known status", self.status)))
    }
}

fn attribute_set(entries: &[AttributeEntry<'_>]) -> AttributeSet {
    entries
        .iter()
        .map(|entry| (entry.name.as_ref(), entry.value.as_deref()))
        .collect()
}

/// Whether an instance with this status has containers or takes some, so that its amounts matter.
fn has_room(status: InstanceStatus) -> bool {
    match status {
        InstanceStatus::Active | InstanceStatus::Draining => true,
        InstanceStatus::Registering
        | InstanceStatus::RegistrationFailed
        | InstanceStatus::Deregistering
        | InstanceStatus::Inactive => false,
    }
}

fn read_resources(
    field: &'static str,
    entries: Option<&[ResourceEntry<'_>]>,
    status: InstanceStatus,
    skipped: &mut Skipped,
) -> Result<Resources, FieldError> {
    let mut reader = ResourceReader::default();
    for entry in entries.unwrap_or_default() {
        take_entry(&mut reader, entry).map_err(|reason| {
            FieldError::new(format!("{field}.{}", cut(&entry.name, NAME_CHARS_MAX)), reason)
        })?;
    }
    // Reading a missing amount as zero would make a working instance look full.
    if let Some(name) = reader.missing().filter(|_| has_room(status)) {
        return Err(FieldError::missing(format!("{field}.{name}")));
    }
    let (resources, skipped_resources) = reader.finish();
    skipped.resources.add(skipped_resources);
    Ok(resources)
}

fn take_entry(reader: &mut ResourceReader, entry: &ResourceEntry<'_>) -> Result<(), String> {
    let name = entry.name.as_ref();
    let taken = match entry.value() {
        ResourceValue::Set(texts) => {
            let texts: Vec<Cow<'_, str>> = texts.iter().map(Scalar::shown).collect();
            reader.take_set(name, texts.iter().map(AsRef::as_ref))
        }
        ResourceValue::Amount(amount) => match amount.whole() {
            Some(whole) => reader.take_amount(name, whole),
            None if ResourceReader::knows(name) => return Err(format!("`{amount}` is not a whole number")),
            None => reader.take_amount(name, 0),
        },
    };
    taken.map_err(|error| error.to_string())
}

enum ResourceValue<'e, 'a> {
    Amount(&'e Scalar<'a>),
    Set(&'e [Scalar<'a>]),
}

impl<'a> ResourceEntry<'a> {
    /// The value that the entry's type names; without a type, the first there is.
    fn value(&self) -> ResourceValue<'_, 'a> {
        let set = self.string_set_value.as_deref();
        let amounts = [&self.integer_value, &self.long_value, &self.double_value];
        let value_type = match &self.value_type {
            Scalar::Text(text) => text.as_ref(),
            _ => "",
        };
        match (value_type, set) {
            ("INTEGER", _) => ResourceValue::Amount(&self.integer_value),
            ("LONG", _) => ResourceValue::Amount(&self.long_value),
            ("DOUBLE", _) => ResourceValue::Amount(&self.double_value),
            ("STRINGSET", set) => ResourceValue::Set(set.unwrap_or_default()),
            (_, Some(set)) => ResourceValue::Set(set),
            (_, None) => ResourceValue::Amount(
                amounts
                    .into_iter()
                    .find(|value| **value != Scalar::Absent)
                    .unwrap_or(&Scalar::Absent),
            ),
        }
    }
}
