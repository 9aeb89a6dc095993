//! Whatever happens in whatever order, the two accounts of every instance stay right.

use std::collections::BTreeMap;

use berth_scheduler::report::{AgentConnection, InstanceStatus};

use super::super::fleet::Deregistration;
use super::super::instance::Instance;
use super::super::mix;
use super::super::task::{Stage, Task};
use super::*;

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 += 1;
        usize::try_from(mix(self.0) >> 33).unwrap() % sides
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() {
            None
        } else {
            items.get(self.roll(items.len()))
        }
    }
}

fn something_happens(lab: &mut Lab, dice: &mut Dice, number: usize) {
    let cluster = lab.cluster.clone();
    let instances: Vec<_> = lab.ecs.clusters[&cluster].instances.keys().cloned().collect();
    let tasks: Vec<_> = lab.ecs.tasks.values().map(|task| task.arn.clone()).collect();
    match (dice.roll(20), dice.pick(&instances)) {
        (0, _) => {
            lab.instance(
                &format!("i-{number}"),
                256 + u32::try_from(dice.roll(512)).unwrap(),
            );
        }
        (1..=8, pinned) => {
            let family = ["small", "large", "gpu", "web", "private"][dice.roll(5)];
            let mut request = lab.request(family);
            request.count = u32::try_from(1 + dice.roll(4)).unwrap();
            if family == "private" {
                request.network = super::super::launch::NetworkConfiguration::Subnets(Vec::new());
            }
            if dice.roll(2) == 0
                && let Some(pinned) = pinned
            {
                request.target = Target::Pinned(pinned.clone());
            }
            request.duration_ms = Some(u64::try_from(dice.roll(30_000)).unwrap());
            request.client_token = (dice.roll(2) == 0).then(|| Arc::from(format!("t{}", dice.roll(40))));
            // A conflict of tokens and a cluster without instances are fine, too.
            let _ = lab.ecs.run_task(&request);
        }
        (9..=12, _) => {
            if let Some(task) = dice.pick(&tasks) {
                lab.ecs.stop_task(&cluster, task.as_str(), "asked to").unwrap();
            }
        }
        (13, Some(instance)) => {
            let agent = [AgentConnection::Connected, AgentConnection::Disconnected][dice.roll(2)];
            let _ = lab.ecs.set_agent(&cluster, instance, agent);
        }
        (14, Some(instance)) => {
            let status = [InstanceStatus::Active, InstanceStatus::Draining][dice.roll(2)];
            let _ = lab.ecs.set_instance_status(&cluster, instance, status);
        }
        (15, Some(instance)) if dice.roll(4) == 0 => {
            lab.ecs
                .deregister_instance(&cluster, instance, Deregistration::Forced)
                .unwrap();
        }
        (16, Some(instance)) if dice.roll(4) == 0 => {
            lab.ecs.terminate_instance(&cluster, instance).unwrap();
        }
        _ => {
            let later = lab
                .ecs
                .now()
                .saturating_add_millis(u64::try_from(dice.roll(8_000)).unwrap());
            lab.ecs.advance_to(later);
        }
    }
}

/// Cpu, memory and GPUs of some tasks together.
fn sum<'a>(tasks: impl Iterator<Item = &'a Task>) -> [u32; 3] {
    tasks.fold([0; 3], |[cpu, memory, gpu], task| {
        let demand = &task.demand;
        [
            cpu + demand.cpu.get(),
            memory + demand.memory.get(),
            gpu + demand.gpu.get(),
        ]
    })
}

fn check(lab: &Lab, instance: &Instance) {
    let on_it = || {
        lab.ecs
            .tasks
            .values()
            .filter(|task| task.instance == instance.arn)
    };
    let staged = |stages: &'static [Stage]| on_it().filter(move |task| stages.contains(&task.stage));
    let wanted = || staged(&[Stage::Queued, Stage::Starting, Stage::Running]);
    let held = || staged(&[Stage::Starting, Stage::Running, Stage::Stopping]);
    let amounts = |it: &berth_scheduler::resources::Resources| [it.cpu.get(), it.memory.get(), it.gpu.get()];
    let registered = amounts(&instance.registered);

    let expected: Vec<_> = registered
        .iter()
        .zip(sum(wanted()))
        .map(|(all, used)| all - used)
        .collect();
    assert_eq!(
        amounts(&instance.remaining).to_vec(),
        expected,
        "what ECS says remains"
    );
    for (used, all) in sum(held()).iter().zip(registered) {
        assert!(*used <= all, "containers use more than there is");
    }
    let mut gpus: Vec<_> = wanted().flat_map(|task| task.gpu_ids.iter().cloned()).collect();
    gpus.extend(instance.gpu_free.iter().cloned());
    gpus.sort();
    assert_eq!(gpus, instance.gpu_ids, "each GPU is free or with one task");
    let web = held().filter(|task| !task.demand.ports.is_empty()).count();
    assert!(web <= 1, "two containers cannot have the same port");
    let count = |stages| u32::try_from(staged(stages).count()).unwrap();
    assert_eq!(instance.running, count(&[Stage::Running]));
    assert_eq!(instance.pending, count(&[Stage::Queued, Stage::Starting]));
}

fn check_index(lab: &Lab) {
    let cluster = &lab.ecs.clusters[&lab.cluster];
    let mut expected = BTreeMap::<_, std::collections::BTreeSet<_>>::new();
    for instance in cluster
        .instances
        .values()
        .filter(|instance| instance.is_candidate())
    {
        expected
            .entry(instance.remaining.memory)
            .or_default()
            .insert(instance.arn.clone());
    }
    assert_eq!(cluster.by_memory, expected);
}

#[test]
fn both_accounts_of_an_instance_and_all_versions_stay_right() {
    for seed in 0..20 {
        let mut lab = lab();
        lab.define_memory("small", 64);
        lab.define_memory("large", 200);
        lab.define("gpu", |it| {
            it.containers[0].gpu = GpuRequest::Devices(GpuCount::new(1))
        });
        lab.define("web", |it| {
            let http = PortMapping {
                container_port: Some(80),
                host_port: Some(80),
                protocol: Protocol::Tcp,
            };
            it.containers[0].port_mappings = vec![http];
        });
        lab.define("private", |it| it.network_mode = NetworkMode::Awsvpc);
        lab.instance("i-1", 512);
        let mut dice = Dice(seed * 1_000_000);
        let mut versions = BTreeMap::new();
        for number in 10..200 {
            something_happens(&mut lab, &mut dice, number);
            lab.ecs.clusters[&lab.cluster]
                .instances
                .values()
                .for_each(|instance| check(&lab, instance));
            check_index(&lab);
            for event in lab.ecs.take_events() {
                let (arn, version) = match event {
                    EcsEvent::Instance { report, .. } => (report.instance.to_string(), report.version),
                    EcsEvent::Task { report, .. } => (report.task.to_string(), report.version),
                };
                let before = versions.insert(arn, version.get()).unwrap_or(0);
                assert_eq!(version.get(), before + 1, "each event is the next version");
            }
        }
    }
}
