//! Seeded workloads for the benchmarks: the same clusters and tasks in every run.

use std::sync::Arc;

use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::id::{ContainerInstanceArn, Ec2InstanceId, IdError, ReportVersion};
use berth_scheduler::instance::{InstanceRecord, Observed, observe};
use berth_scheduler::quantity::{CpuUnits, MemoryMib};
use berth_scheduler::report::{AgentConnection, InstanceReport, InstanceStatus, ReportSource};
use berth_scheduler::resources::{Demand, Resources};
use berth_scheduler::snapshot::{InstanceView, Snapshot};

/// What a workload is made with when there is nothing wrong with it.
pub type Made<T> = Result<T, IdError>;

/// Numbers that look random and are the same every time (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number from `from` up to `to`, both included.
    pub fn roll(&mut self, from: u32, to: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::from(to.saturating_sub(from)).saturating_add(1);
        let side = (z ^ (z >> 31)) % sides;
        from.saturating_add(u32::try_from(side).unwrap_or(u32::MAX))
    }
}

/// Instance types with their vCPUs and GiB.
const TYPES: [(&str, u32, u32); 10] = [
    ("t3.medium", 2, 4),
    ("t3.large", 2, 8),
    ("m5.large", 2, 8),
    ("m5.xlarge", 4, 16),
    ("m5.2xlarge", 8, 32),
    ("c5.xlarge", 4, 8),
    ("c5.2xlarge", 8, 16),
    ("r5.xlarge", 4, 32),
    ("g2.2xlarge", 8, 15),
    ("g2.8xlarge", 32, 60),
];

const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];

/// Capabilities that a usual agent reports.
const CAPABILITIES: usize = 24;

/// What an instance of a cluster is like.
#[derive(Clone, Debug)]
pub struct InstanceSketch {
    /// Its type.
    pub instance_type: &'static str,
    /// Its zone.
    pub zone: &'static str,
    /// CPU units free.
    pub cpu: u32,
    /// MiB free.
    pub memory: u32,
    /// The value of the attribute `rack`, when it has one.
    pub rack: Option<String>,
}

/// The usual cluster: ten types, three zones, all of it free.
pub fn usual(instances: u32) -> Vec<InstanceSketch> {
    let mut dice = Dice::new(u64::from(instances));
    let sketch = |_| {
        let (instance_type, vcpus, gib) = pick(&TYPES, dice.roll(0, 9), ("t3.medium", 2, 4));
        InstanceSketch {
            instance_type,
            zone: pick(&ZONES, dice.roll(0, 2), "us-east-1a"),
            cpu: vcpus.saturating_mul(1024),
            // The operating system and the agent take some.
            memory: gib.saturating_mul(1024).saturating_sub(gib.saturating_mul(32)),
            rack: None,
        }
    };
    (0..instances).map(sketch).collect()
}

fn pick<T: Copy>(from: &[T], position: u32, otherwise: T) -> T {
    from.get(position as usize).copied().unwrap_or(otherwise)
}

/// A snapshot of these instances, with about thirty attributes each.
///
/// # Errors
/// Never: all ids are well formed.
pub fn snapshot(sketches: &[InstanceSketch]) -> Made<Snapshot> {
    let views: Made<Vec<InstanceView>> = sketches
        .iter()
        .enumerate()
        .map(|(number, sketch)| view(number, sketch))
        .collect();
    Ok(Snapshot::new(views?))
}

fn view(number: usize, sketch: &InstanceSketch) -> Made<InstanceView> {
    let mut attributes: AttributeSet = (0..CAPABILITIES)
        .map(|it| (format!("ecs.capability.feature-{it}"), None::<String>))
        .collect();
    for (name, value) in [
        ("ecs.instance-type", sketch.instance_type),
        ("ecs.availability-zone", sketch.zone),
        ("ecs.os-type", "linux"),
        ("ecs.cpu-architecture", "x86_64"),
        ("ecs.ami-id", "ami-0123456789abcdef0"),
    ] {
        attributes.insert(name, Some(value.to_owned()));
    }
    if let Some(rack) = &sketch.rack {
        attributes.insert("rack", Some(rack.clone()));
    }
    let resources = Resources {
        cpu: CpuUnits::new(sketch.cpu),
        memory: MemoryMib::new(sketch.memory),
        ..Resources::default()
    };
    let arn = format!("arn:aws:ecs:us-east-1:123456789012:container-instance/default/{number:032x}");
    let report = InstanceReport {
        instance: ContainerInstanceArn::parse(&arn)?,
        ec2_instance_id: Some(Ec2InstanceId::parse(&format!("i-{number:017x}"))?),
        status: InstanceStatus::Active,
        agent: AgentConnection::Connected,
        agent_version: Some("1.86.2".to_owned()),
        version: ReportVersion::new(1),
        updated_at: None,
        registered_at: None,
        registered: resources.clone(),
        remaining: resources,
        running_tasks: 0,
        attributes: Some(attributes.clone()),
        source: ReportSource::Event,
    };
    Ok(InstanceView {
        record: Arc::new(first_record(&report)),
        attributes: Arc::new(attributes),
    })
}

fn first_record(report: &InstanceReport) -> InstanceRecord {
    loop {
        // With nothing stored, a report is always news.
        if let Observed::Updated(record) = observe(None, report) {
            return *record;
        }
    }
}

/// The demands of the usual tasks: 0.1 to 1 vCPU, 100 to 2,048 MiB.
pub fn demands(count: usize) -> Vec<Demand> {
    let mut dice = Dice::new(11);
    let demand = |cpu, memory| Demand {
        cpu: CpuUnits::new(cpu),
        memory: MemoryMib::new(memory),
        ..Demand::default()
    };
    (0..count)
        .map(|_| demand(dice.roll(102, 1024), dice.roll(100, 2048)))
        .collect()
}
