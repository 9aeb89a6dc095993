//! The output of `aws ecs describe-container-instances`, as a file or an answer of the API has it.
//!
//! ECS adds fields over time, so unknown ones are left out. What is left out of the output, by `--query` or by
//! hand, has the value of an instance that can take tasks: ACTIVE, with a connected agent, and empty. What is
//! there must be right, and is refused at its place otherwise: a wrong answer would be no help to anybody.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeContainerInstances.html>

use std::collections::BTreeSet;

use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::id::{ContainerInstanceArn, Ec2InstanceId, ReportVersion};
use berth_scheduler::report::{AgentConnection, InstanceReport, InstanceStatus, ReportSource};
use berth_scheduler::resources::Resources;
use berth_scheduler::timestamp::Timestamp;

use super::refusal::{Position, Refusal};
use super::resources::{AMOUNT_MAX, ResourceReader};
use super::strict_json::field::{Field, Object, list_of, root};
use super::strict_json::{self, Value};

/// Container instances in one text at most: far more than the 5,000 of ECS's quota for a cluster.
const INSTANCES_MAX: usize = 100_000;
/// Calls whose answers are in one text at most.
const PAGES_MAX: usize = 10_000;
/// Attributes of an instance at most; the ECS agent sets a few dozen, and ten are the user's.
const ATTRIBUTES_MAX: usize = 1_000;
/// Resources of an instance, and entries in a set of one, at most.
const RESOURCES_MAX: usize = 1_000;

const PAGE_FIELD: &str = "containerInstances";
const EXPECTED: &str = "expected the output of `aws ecs describe-container-instances`: an object with the list `containerInstances`";

/// What one or several calls of DescribeContainerInstances said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribedInstances {
    /// The instances, in the order of the text. Those without any resource in the text have none here.
    pub reports: Vec<InstanceReport>,
    /// What ECS could not describe.
    pub failures: Vec<DescribeFailure>,
}

/// A container instance that ECS could not describe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeFailure {
    /// The instance as the call named it.
    pub arn: String,
    /// Why, in ECS's word, such as `MISSING`.
    pub reason: String,
}

/// Reads the output of `aws ecs describe-container-instances`, a list of such outputs (a call describes 100
/// instances at most), or only the list of instances in one.
///
/// ```
/// use berth_control::wire::container_instance::decode_container_instances;
///
/// let arn = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/40f0e62c";
/// let output = format!(r#"{{"containerInstances": [{{"containerInstanceArn": "{arn}", "status": "DRAINING"}}]}}"#);
/// let described = decode_container_instances(&output)?;
/// assert_eq!(described.reports[0].status.as_str(), "DRAINING");
///
/// let refusal = decode_container_instances(&output.replace("DRAINING", "DRY")).unwrap_err();
/// assert_eq!(refusal.field.as_deref(), Some("containerInstances[0].status"));
/// # Ok::<(), berth_control::wire::refusal::Refusal>(())
/// ```
///
/// # Errors
/// The first problem in the text: its place, and what was expected there.
pub fn decode_container_instances(json: &str) -> Result<DescribedInstances, Refusal> {
    let node = strict_json::parse(json).map_err(|error| Refusal {
        position: Some(Position::of_offset(json, error.offset)),
        reason: if error.path.is_empty() {
            error.reason
        } else {
            format!("{}: {}", error.path, error.reason)
        },
        field: Some(error.path).filter(|path| !path.is_empty()),
    })?;
    let mut reader = Reader::default();
    let top = root(json, &node);
    match &node.value {
        Value::Array(_) => {
            for item in top.items(INSTANCES_MAX.max(PAGES_MAX), "container instances")? {
                let object = item.object("a container instance, or an object with `containerInstances`")?;
                if object.has(PAGE_FIELD) {
                    reader.page(&object)?;
                } else {
                    reader.instance(&object)?;
                }
            }
        }
        Value::Object(_) => {
            let page = top.object(EXPECTED)?;
            if !page.has(PAGE_FIELD) {
                return Err(Refusal::without_position(None, no_instances(&page)));
            }
            reader.page(&page)?;
        }
        _ => return Err(Refusal::without_position(None, EXPECTED)),
    }
    Ok(reader.described)
}

fn no_instances(page: &Object<'_>) -> String {
    let found: Vec<&str> = page.fields().map(|(name, _)| name).take(5).collect();
    if found.contains(&"containerInstanceArns") {
        return format!(
            "{EXPECTED}, found `containerInstanceArns`, the output of list-container-instances: ask \
             describe-container-instances about these"
        );
    }
    let found: Vec<String> = found.into_iter().map(super::suggestion::shown).collect();
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    if found.is_empty() {
        format!("{EXPECTED}, found an empty object")
    } else {
        format!(
            "{EXPECTED}, found an object with {}",
            list_of(&found).replace(" or ", " and ")
        )
    }
}

#[derive(Default)]
struct Reader {
    described: DescribedInstances,
    seen: BTreeSet<ContainerInstanceArn>,
}

impl Reader {
    fn page(&mut self, page: &Object<'_>) -> Result<(), Refusal> {
        for (name, field) in given(page) {
            match name {
                PAGE_FIELD => {
                    for item in field.items(INSTANCES_MAX, "container instances")? {
                        self.instance(&item.object("a container instance")?)?;
                    }
                }
                "failures" => {
                    for item in field.items(INSTANCES_MAX, "failures")? {
                        let failure = read_failure(&item.object("an object with `arn` and `reason`")?)?;
                        self.described.failures.push(failure);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn instance(&mut self, object: &Object<'_>) -> Result<(), Refusal> {
        let report = read_instance(object)?;
        // Overlapping pages would show room that is there once as if it were there twice.
        if !self.seen.insert(report.instance.clone()) {
            let reason = format!("`{}` is listed twice: list each instance once", report.instance);
            return Err(object.refuse_default("containerInstanceArn", &reason));
        }
        self.described.reports.push(report);
        Ok(())
    }
}

/// The fields that have a value: null is how some tools write that there is none.
fn given<'o, 'a: 'o>(object: &'o Object<'a>) -> impl Iterator<Item = (&'a str, Field<'a>)> + 'o {
    object
        .fields()
        .filter(|(_, field)| !matches!(field.value(), Value::Null))
}

fn read_failure(object: &Object<'_>) -> Result<DescribeFailure, Refusal> {
    let mut failure = DescribeFailure::default();
    for (name, field) in given(object) {
        match name {
            "arn" => field.text("an ARN")?.clone_into(&mut failure.arn),
            "reason" => field.text("a reason")?.clone_into(&mut failure.reason),
            _ => {}
        }
    }
    Ok(failure)
}

/// What was read of an instance so far.
#[derive(Default)]
struct Draft {
    instance: Option<ContainerInstanceArn>,
    ec2_instance_id: Option<Ec2InstanceId>,
    status: Option<InstanceStatus>,
    agent: Option<AgentConnection>,
    agent_version: Option<String>,
    version: u64,
    registered_at: Option<Timestamp>,
    registered: Option<Resources>,
    remaining: Option<Resources>,
    running_tasks: u32,
    attributes: AttributeSet,
}

fn read_instance(object: &Object<'_>) -> Result<InstanceReport, Refusal> {
    let mut draft = Draft::default();
    for (name, field) in given(object) {
        draft.read(name, &field)?;
    }
    let instance = draft
        .instance
        .ok_or_else(|| object.missing("containerInstanceArn", "the ARN of a container instance"))?;
    let registered = draft
        .registered
        .or_else(|| draft.remaining.clone())
        .unwrap_or_default();
    Ok(InstanceReport {
        instance,
        ec2_instance_id: draft.ec2_instance_id,
        status: draft.status.unwrap_or(InstanceStatus::Active),
        agent: draft.agent.unwrap_or(AgentConnection::Connected),
        agent_version: draft.agent_version,
        version: ReportVersion::new(draft.version),
        updated_at: None,
        registered_at: draft.registered_at,
        remaining: draft.remaining.unwrap_or_else(|| registered.clone()),
        registered,
        running_tasks: draft.running_tasks,
        attributes: Some(draft.attributes),
        source: ReportSource::default(),
    })
}

impl Draft {
    fn read(&mut self, name: &str, field: &Field<'_>) -> Result<(), Refusal> {
        match name {
            "containerInstanceArn" => {
                let arn = field.parsed("the ARN of a container instance", ContainerInstanceArn::parse)?;
                self.instance = Some(arn);
            }
            "ec2InstanceId" => {
                let id = field.text("the id of an EC2 instance")?;
                if !id.is_empty() {
                    self.ec2_instance_id =
                        Some(field.parsed("the id of an EC2 instance", Ec2InstanceId::parse)?);
                }
            }
            "status" => self.status = Some(read_status(field)?),
            "agentConnected" => {
                self.agent = Some(if field.switch()? {
                    AgentConnection::Connected
                } else {
                    AgentConnection::Disconnected
                });
            }
            "versionInfo" => self.agent_version = read_agent_version(field)?,
            "version" => self.version = field.whole_number(0..=i64::MAX)?,
            "registeredAt" => self.registered_at = Some(read_time(field)?),
            "runningTasksCount" => self.running_tasks = field.whole_number(0..=i64::from(AMOUNT_MAX))?,
            "registeredResources" => self.registered = read_resources(field)?,
            "remainingResources" => self.remaining = read_resources(field)?,
            "attributes" => self.attributes = read_attributes(field)?,
            _ => {}
        }
        Ok(())
    }
}

fn read_status(field: &Field<'_>) -> Result<InstanceStatus, Refusal> {
    use InstanceStatus::{Active, Deregistering, Draining, Inactive, Registering, RegistrationFailed};
    let known = [
        Active,
        Draining,
        Registering,
        RegistrationFailed,
        Deregistering,
        Inactive,
    ];
    field.choice(&known.map(|status| (status.as_str(), status)))
}

fn read_agent_version(field: &Field<'_>) -> Result<Option<String>, Refusal> {
    let info = field.object("an object with `agentVersion`")?;
    let version = given(&info).find(|(name, _)| *name == "agentVersion");
    version
        .map(|(_, field)| Ok(field.text("a version such as `1.86.2`")?.to_owned()))
        .transpose()
}

fn read_attributes(field: &Field<'_>) -> Result<AttributeSet, Refusal> {
    let mut attributes = AttributeSet::default();
    for item in field.items(ATTRIBUTES_MAX, "attributes")? {
        let object = item.object("an object with `name` and `value`")?;
        let (mut name, mut value) = (None, None);
        for (key, field) in given(&object) {
            match key {
                "name" => name = Some(field.text("the name of an attribute")?),
                "value" => value = Some(field.text("the value of an attribute")?.to_owned()),
                _ => {}
            }
        }
        let name = name.ok_or_else(|| object.missing("name", "the name of an attribute"))?;
        attributes.insert(name, value);
    }
    Ok(attributes)
}

/// The instant: ISO 8601 as the AWS CLI writes it, also with a space as Python does, or seconds since 1970.
fn read_time(field: &Field<'_>) -> Result<Timestamp, Refusal> {
    let time = match field.value() {
        Value::Text(text) => Timestamp::parse_iso8601(&text.replacen(' ', "T", 1)),
        Value::Number(number) => epoch_millis(number).map(Timestamp::from_millis),
        _ => None,
    };
    time.ok_or_else(|| {
        field.refuse_value(
            "is no time",
            "one such as `2026-11-21T10:00:00Z`, or seconds since 1970",
        )
    })
}

/// Decimal seconds in milliseconds; finer digits are dropped.
fn epoch_millis(seconds: &str) -> Option<i64> {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let thousandths: String = fraction.chars().chain("00".chars()).take(3).collect();
    let thousandths: i64 = thousandths.parse().ok()?;
    let whole: i64 = whole.parse().ok()?;
    let sign = if seconds.starts_with('-') { -1 } else { 1 };
    whole
        .checked_mul(1_000)?
        .checked_add(thousandths.checked_mul(sign)?)
}

/// `None` when the list is empty, as it is for instances that are being registered.
fn read_resources(field: &Field<'_>) -> Result<Option<Resources>, Refusal> {
    let entries = field.items(RESOURCES_MAX, "resources")?;
    if entries.is_empty() {
        return Ok(None);
    }
    let mut reader = ResourceReader::default();
    for entry in entries {
        take_resource(&mut reader, &entry)?;
    }
    match reader.missing() {
        Some(name) => Err(field.refuse(&format!("has no `{name}`: give the instance's resources whole"))),
        None => Ok(Some(reader.finish().0)),
    }
}

fn take_resource(reader: &mut ResourceReader, entry: &Field<'_>) -> Result<(), Refusal> {
    let object = entry.object("a resource: an object with `name`, `type` and a value")?;
    let fields: Vec<(&str, Field<'_>)> = given(&object).collect();
    let find = |wanted: &str| {
        fields
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, field)| field)
    };
    let name = find("name").ok_or_else(|| object.missing("name", "the name of a resource"))?;
    let name = name.text("the name of a resource")?;
    let set = find("stringSetValue");
    let integer = find("integerValue").or(find("longValue")).or(find("doubleValue"));
    // The API fills the values that a resource does not have with 0, so its type decides where there is one.
    let (set, amount) = match find("type").map(Field::value) {
        Some(Value::Text(text)) => match text.as_ref() {
            "STRINGSET" => (set, None),
            "INTEGER" => (None, find("integerValue")),
            "LONG" => (None, find("longValue")),
            "DOUBLE" => (None, find("doubleValue")),
            _ => (set, integer),
        },
        _ => (set, integer),
    };
    let taken = match (set, amount) {
        (Some(set), _) => {
            let items = set.items(RESOURCES_MAX, "texts")?;
            let texts: Result<Vec<&str>, Refusal> = items.iter().map(|item| item.text("a text")).collect();
            reader.take_set(name, texts?)
        }
        (None, Some(amount)) => reader.take_amount(name, whole(amount)?),
        (None, None) if ResourceReader::knows(name) => {
            return Err(object.missing("integerValue", "the amount, or `stringSetValue` for a set"));
        }
        (None, None) => Ok(()),
    };
    taken.map_err(|error| entry.refuse(&format!("{name}: {error}")))
}

/// A whole number, also when it is written as `4.0`.
fn whole(field: &Field<'_>) -> Result<i128, Refusal> {
    let number = match field.value() {
        Value::Number(number) => number.strip_suffix(".0").unwrap_or(number).parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| field.refuse_value("is not an amount", "a whole number"))
}

#[cfg(test)]
mod tests;
