//! The container instances of a scenario.

use std::collections::BTreeMap;

use berth_scheduler::id::Ec2InstanceId;
use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};

use super::csv::{self, Field, InputError, Problems};
use crate::ecs::instance::Registration;

/// The columns of a fleet.
const COLUMNS: [&str; 6] = ["id", "az", "instance_type", "cpu_units", "memory_mib", "gpu"];

/// Amounts are 32-bit integers in ECS's API.
const AMOUNT_MAX: u32 = 0x7fff_ffff;

/// More GPUs than any instance has.
const GPUS_MAX: u32 = 1_024;

/// Characters of an attribute's value at most.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Attribute.html>
const ATTRIBUTE_CHARACTERS_MAX: usize = 128;

/// Container instances of one cluster.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>
const INSTANCES_MAX: usize = 5_000;

/// The container instances of a cluster.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The instances, in the order of the file.
    pub instances: Vec<FleetInstance>,
}

/// One container instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetInstance {
    /// The EC2 instance below it, which is also its name.
    pub id: Ec2InstanceId,
    /// Its availability zone.
    pub zone: String,
    /// Its EC2 instance type.
    pub instance_type: String,
    /// Its CPU units.
    pub cpu: CpuUnits,
    /// Its memory for tasks.
    pub memory: MemoryMib,
    /// Its GPUs.
    pub gpu: GpuCount,
}

impl Fleet {
    /// Reads a fleet in CSV. `file` is its name in messages.
    ///
    /// # Errors
    /// Every problem, with line and column.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, InputError> {
        let mut problems = Problems::of(file);
        let mut fleet = Self {
            instances: Vec::new(),
        };
        let Some(text) = csv::text_of(bytes, &mut problems) else {
            return problems.finish(fleet);
        };
        let rows = csv::rows(text, COLUMNS, &[], &mut problems);
        let rows_found = rows.len();
        let mut lines = BTreeMap::new();
        for row in rows {
            let [id, rest @ ..] = row;
            let instance = read_instance(&id, rest, &mut problems);
            if let Some(first) = lines.insert(id.text.to_string(), id.line) {
                let id_text = csv::shown(&id.text);
                problems.in_field(
                    &id,
                    format!("`{id_text}` is in line {first} too: give every instance an id of its own"),
                );
            }
            fleet.instances.extend(instance);
        }
        let mut whole = Problems::of(file);
        if rows_found == 0 {
            whole.in_file("no container instance: give at least one line below the header");
        } else if rows_found > INSTANCES_MAX {
            whole.in_file(format!(
                "{rows_found} container instances: give at most {INSTANCES_MAX}, ECS's own limit"
            ));
        }
        problems.finish(()).and_then(|()| whole.finish(fleet))
    }
}

impl FleetInstance {
    /// What it registers with at ECS.
    pub fn registration(&self) -> Registration {
        Registration::new(self.id.clone(), &self.instance_type, &self.zone).with_resources(
            self.cpu,
            self.memory,
            self.gpu,
        )
    }
}

fn read_instance(id: &Field<'_>, rest: [Field<'_>; 5], problems: &mut Problems) -> Option<FleetInstance> {
    let [zone, instance_type, cpu, memory, gpu] = rest;
    let parsed_id = Ec2InstanceId::parse(&id.text);
    if let Err(error) = &parsed_id {
        problems.in_field(id, error.to_string());
    }
    let zone = read_attribute(&zone, problems);
    let instance_type = read_attribute(&instance_type, problems);
    let cpu = cpu.whole(0..=AMOUNT_MAX, problems);
    let memory = memory.whole(1..=AMOUNT_MAX, problems);
    let gpu = gpu.whole(0..=GPUS_MAX, problems);
    Some(FleetInstance {
        id: parsed_id.ok()?,
        zone: zone?,
        instance_type: instance_type?,
        cpu: CpuUnits::new(cpu?),
        memory: MemoryMib::new(memory?),
        gpu: GpuCount::new(gpu?),
    })
}

fn read_attribute(field: &Field<'_>, problems: &mut Problems) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_/\\.@: ".contains(c);
    let length = field.text.chars().count();
    if (1..=ATTRIBUTE_CHARACTERS_MAX).contains(&length) && field.text.chars().all(good) {
        return Some(field.text.to_string());
    }
    let value = csv::shown(&field.text);
    problems.in_field(
        field,
        format!("`{value}` cannot be an attribute's value: give 1 to {ATTRIBUTE_CHARACTERS_MAX} letters, digits or -_/\\.@: "),
    );
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: &str) -> Result<Fleet, String> {
        let text = format!("id,az,instance_type,cpu_units,memory_mib,gpu\n{rows}");
        Fleet::parse("fleet.csv", text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_instance_registers_with_what_its_line_says() {
        let fleet = read("i-1,us-east-1a,g4dn.xlarge,4096,15000,1").unwrap();
        let registration = fleet.instances[0].registration();
        assert_eq!(
            (
                registration.cpu.get(),
                registration.memory.get(),
                registration.gpu_ids.len()
            ),
            (4096, 15_000, 1)
        );
        assert_eq!(
            registration.attributes.value("ecs.instance-type"),
            Some("g4dn.xlarge")
        );
        assert_eq!(
            registration.attributes.value("ecs.availability-zone"),
            Some("us-east-1a")
        );
    }

    #[test]
    fn a_bad_instance_is_named_with_line_and_column() {
        for (rows, expected) in [
            ("i 1,a,t,1,1,0", "line 2, column 1 (`id`): "),
            (
                "i-1,,t,1,1,0",
                "line 2, column 2 (`az`): `` cannot be an attribute's value",
            ),
            (
                "i-1,a,t,1,0,0",
                "line 2, column 5 (`memory_mib`): `0` is out of range",
            ),
            (
                "i-1,a,t,1,1,0\n\ni-1,a,t,1,1,0",
                "line 4, column 1 (`id`): `i-1` is in line 2 too",
            ),
            (
                "",
                "fleet.csv: no container instance: give at least one line below the header",
            ),
        ] {
            let error = read(rows).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
