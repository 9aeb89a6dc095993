//! Container instances.

use std::sync::Arc;

use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::demand::{read_count, read_port};
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, Ec2InstanceId};
use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};
use berth_scheduler::report::InstanceStatus;
use berth_scheduler::resources::PortSet;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Paging, cluster_of, instance_of, names, required};
use crate::ecs::SimulatedEcs;
use crate::ecs::definition::Document;
use crate::ecs::error::EcsError;
use crate::ecs::fleet::Deregistration;
use crate::ecs::instance::{Instance, Registration, VersionInfo, capabilities};
use crate::endpoint::protocol::{read, set};
use crate::endpoint::render::{Form, instance_json};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RegisterContainerInstance {
    cluster: Option<String>,
    instance_identity_document: Option<String>,
    total_resources: Vec<Resource>,
    version_info: Option<Versions>,
    container_instance_arn: Option<String>,
    attributes: Vec<super::attribute::Attribute>,
    platform_devices: Vec<PlatformDevice>,
    tags: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Resource {
    name: Option<String>,
    integer_value: Option<i64>,
    long_value: Option<i64>,
    double_value: Option<f64>,
    string_set_value: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Versions {
    agent_version: Option<String>,
    agent_hash: Option<String>,
    docker_version: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PlatformDevice {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

/// What EC2 says about the instance the agent runs on.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct IdentityDocument {
    instance_id: Option<String>,
    instance_type: Option<String>,
    availability_zone: Option<String>,
    image_id: Option<String>,
    architecture: Option<String>,
}

pub(super) fn register(ecs: &mut SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: RegisterContainerInstance = read(parameters)?;
    let cluster = cluster_of(given.cluster.as_deref())?;
    let registration = registration(ecs, &given)?;
    let arn = match &given.container_instance_arn {
        Some(name) => {
            let arn = instance_of(ecs, &cluster, name)?;
            ecs.register_again(&cluster, &arn, &registration)?;
            arn
        }
        None => ecs.register_instance(&cluster, registration)?,
    };
    answer_one(ecs, &cluster, &arn)
}

fn registration(ecs: &SimulatedEcs, given: &RegisterContainerInstance) -> Result<Registration, EcsError> {
    let invalid = |text: &str| EcsError::client(format!("instanceIdentityDocument: {text}"));
    let identity: IdentityDocument = match given.instance_identity_document.as_deref() {
        Some(text) => serde_json::from_str(text).map_err(|error| invalid(&error.to_string()))?,
        None => IdentityDocument::default(),
    };
    let id = identity
        .instance_id
        .ok_or_else(|| invalid("give a JSON text with an `instanceId`"))?;
    let id = Ec2InstanceId::parse(&id).map_err(|error| invalid(&error.to_string()))?;
    let zone = identity
        .availability_zone
        .unwrap_or(format!("{}a", ecs.settings.region));
    let instance_type = identity.instance_type.unwrap_or("m5.large".to_owned());
    let mut registration = Registration::new(id, &instance_type, &zone);
    if let Some(image) = identity.image_id {
        registration.attributes.insert("ecs.ami-id", Some(image));
    }
    if let Some(architecture) = identity.architecture {
        registration
            .attributes
            .insert("ecs.cpu-architecture", Some(architecture));
    }
    // An agent lists what it can do. Whoever lists nothing gets all of it.
    let listed = |name: &str| name.contains("ecs.capability.") && name != "ecs.capability.external";
    if given.attributes.iter().any(|attribute| listed(&attribute.name)) {
        let all = capabilities();
        let own = registration
            .attributes
            .iter()
            .filter(|(name, _)| all.get(name).is_none());
        registration.attributes = own.collect();
    }
    for attribute in &given.attributes {
        let (name, value) = attribute.checked()?;
        registration.attributes.insert(name, value);
    }
    registration.tags.clone_from(&given.tags);
    if let Some(versions) = &given.version_info {
        registration.versions = versions.read();
    }
    take_resources(&mut registration, given)?;
    Ok(registration)
}

impl Versions {
    fn read(&self) -> VersionInfo {
        let known = VersionInfo::default();
        VersionInfo {
            agent_hash: self.agent_hash.clone().unwrap_or(known.agent_hash),
            agent_version: self.agent_version.clone().unwrap_or(known.agent_version),
            docker_version: self.docker_version.clone().unwrap_or(known.docker_version),
        }
    }
}

fn take_resources(
    registration: &mut Registration,
    given: &RegisterContainerInstance,
) -> Result<(), EcsError> {
    let gpus = given
        .platform_devices
        .iter()
        .filter(|device| device.kind == "GPU");
    registration.gpu_ids = gpus.map(|device| Arc::from(device.id.as_str())).collect();
    let invalid = |error: berth_scheduler::demand::FieldError| EcsError::invalid(error.to_string());
    for resource in &given.total_resources {
        let name = resource.name.as_deref().unwrap_or_default();
        let field = format!("totalResources.{name}");
        let amount = || read_count(&field, resource.amount()).map_err(invalid);
        let ports = || resource.ports(&field);
        match name {
            "CPU" => registration.cpu = CpuUnits::new(amount()?),
            "MEMORY" => registration.memory = MemoryMib::new(amount()?),
            "PORTS" | "PORTS_TCP" => registration.ports_taken.tcp = ports()?,
            "PORTS_UDP" => registration.ports_taken.udp = ports()?,
            "GPU" => match &resource.string_set_value {
                Some(ids) => registration.gpu_ids = ids.iter().map(|id| Arc::from(id.as_str())).collect(),
                None => {
                    let (cpu, memory) = (registration.cpu, registration.memory);
                    let sized = registration
                        .clone()
                        .with_resources(cpu, memory, GpuCount::new(amount()?));
                    registration.gpu_ids = sized.gpu_ids;
                }
            },
            _ => {}
        }
    }
    Ok(())
}

impl Resource {
    /// The value of whichever type was given; the others are absent or 0.
    fn amount(&self) -> i64 {
        let integers = [self.integer_value, self.long_value]
            .into_iter()
            .flatten()
            .find(|it| *it != 0);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "saturates, and the amount is checked later"
        )]
        let double = self.double_value.map(|value| value as i64);
        integers.or(double).unwrap_or(0)
    }

    fn ports(&self, field: &str) -> Result<PortSet, EcsError> {
        let ports = self.string_set_value.iter().flatten().map(|text| {
            let number = text.parse::<i64>().unwrap_or(-1);
            read_port(field, number).map_err(|error| EcsError::invalid(error.to_string()))
        });
        ports.collect()
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeregisterContainerInstance {
    cluster: Option<String>,
    container_instance: Option<String>,
    force: bool,
}

pub(super) fn deregister(ecs: &mut SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: DeregisterContainerInstance = read(parameters)?;
    let cluster = cluster_of(given.cluster.as_deref())?;
    let name = required(given.container_instance, "Container instance")?;
    let arn = instance_of(ecs, &cluster, &name)?;
    let mode = if given.force {
        Deregistration::Forced
    } else {
        Deregistration::WhenEmpty
    };
    ecs.deregister_instance(&cluster, &arn, mode)?;
    answer_one(ecs, &cluster, &arn)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UpdateContainerInstancesState {
    cluster: Option<String>,
    container_instances: Option<Vec<String>>,
    status: Option<String>,
}

pub(super) fn update_state(ecs: &mut SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: UpdateContainerInstancesState = read(parameters)?;
    let cluster = cluster_of(given.cluster.as_deref())?;
    let status = match given.status.as_deref() {
        Some("ACTIVE") => InstanceStatus::Active,
        Some("DRAINING") => InstanceStatus::Draining,
        other => {
            let status = other.unwrap_or_default();
            return Err(EcsError::invalid(format!(
                "status: `{status}` is not valid: give `ACTIVE` or `DRAINING`"
            )));
        }
    };
    let names = names(given.container_instances, "Container instances")?;
    if names.len() > 10 {
        return Err(EcsError::invalid(
            "Container instances can have at most 10 items.",
        ));
    }
    let (mut changed, mut failures) = (Vec::new(), Vec::new());
    for name in &names {
        match instance_of(ecs, &cluster, name) {
            Ok(arn) => match ecs.set_instance_status(&cluster, &arn, status) {
                Ok(()) => changed.push(arn),
                Err(_) => failures.push(json!({ "arn": arn.as_str(), "reason": "INACTIVE" })),
            },
            Err(_) => failures.push(missing(ecs, &cluster, name)?),
        }
    }
    let entry = ecs.cluster(&cluster)?;
    let instances = changed.iter().filter_map(|arn| entry.instances.get(arn));
    let instances: Vec<_> = instances
        .map(|instance| instance_json(entry, instance, Form::Answer))
        .collect();
    Ok(json!({ "containerInstances": instances, "failures": failures }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListContainerInstances {
    cluster: Option<String>,
    filter: Option<String>,
    status: Option<String>,
}

pub(super) fn list(ecs: &SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: ListContainerInstances = read(parameters)?;
    let cluster = ecs.cluster(&cluster_of(given.cluster.as_deref())?)?;
    let status = given.status.as_deref().map(|text| {
        InstanceStatus::parse(text).ok_or_else(|| {
            EcsError::invalid(format!(
                "status: `{text}` is not valid: give `ACTIVE`, `DRAINING`, `REGISTERING`, `DEREGISTERING` or `REGISTRATION_FAILED`"
            ))
        })
    });
    let status = status.transpose()?;
    let filter = given
        .filter
        .as_deref()
        .filter(|text| !text.is_empty())
        .map(|text| Expression::parse(text).map_err(|error| EcsError::invalid(format!("filter: {error}"))));
    let filter = filter.transpose()?;
    let wanted = |instance: &&Instance| {
        // INACTIVE instances are only listed when asked for.
        let by_status = status.map_or(instance.status != InstanceStatus::Inactive, |it| {
            instance.status == it
        });
        by_status && filter.as_ref().is_none_or(|filter| ecs.matches(instance, filter))
    };
    let instances = cluster
        .instances
        .values()
        .map(|instance| (instance.arn.as_str(), instance));
    let write = |instance: &Instance| json!(instance.arn.as_str());
    Paging::of(parameters)?.answer("containerInstanceArns", instances, wanted, write)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DescribeContainerInstances {
    cluster: Option<String>,
    container_instances: Option<Vec<String>>,
    include: Vec<String>,
}

pub(super) fn describe(ecs: &SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: DescribeContainerInstances = read(parameters)?;
    let name = cluster_of(given.cluster.as_deref())?;
    let cluster = ecs.cluster(&name)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for wanted in names(given.container_instances, "Container instance")? {
        let Some(instance) = cluster.find_instance(&wanted) else {
            failures.push(missing(ecs, &name, &wanted)?);
            continue;
        };
        let mut json = instance_json(cluster, instance, Form::Answer);
        let tags = given.include.iter().any(|include| include == "TAGS");
        set(
            &mut json,
            "tags",
            if tags { json!(instance.tags) } else { json!([]) },
        );
        found.push(json);
    }
    Ok(json!({ "containerInstances": found, "failures": failures }))
}

fn missing(ecs: &SimulatedEcs, cluster: &ClusterName, name: &str) -> Result<Value, EcsError> {
    ecs.cluster(cluster)?;
    Ok(json!({ "arn": ecs.instance_arn_text(cluster, name), "reason": "MISSING" }))
}

fn answer_one(
    ecs: &SimulatedEcs,
    cluster: &ClusterName,
    arn: &ContainerInstanceArn,
) -> Result<Value, EcsError> {
    let cluster = ecs.cluster(cluster)?;
    let instance = cluster.instances.get(arn);
    Ok(
        json!({ "containerInstance": instance.map(|instance| instance_json(cluster, instance, Form::Answer)) }),
    )
}
