//! What happens around Berth: other people's tasks, instances that come and go, outages.

use berth_scheduler::id::{ClusterName, ContainerInstanceArn, Ec2InstanceId};
use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};
use berth_scheduler::report::{AgentConnection, InstanceStatus};

use super::agenda::Due;
use super::fault::FaultKind;
use super::workload::Machine;
use super::world::{Service, World, short};
use crate::ecs::fleet::Deregistration;
use crate::ecs::instance::Registration;
use crate::ecs::launch::{RunTaskRequest, Target};

/// Chaos throws its dice this often, in milliseconds.
pub(super) const CHAOS_EVERY_MS: u64 = 10_000;

/// The task definition of other people's tasks: what they take is in their requests' overrides.
pub(super) const FOREIGN_FAMILIES: [(&str, u32); 3] =
    [("foreign-small", 60), ("foreign", 200), ("foreign-large", 450)];

/// What chaos makes good later.
#[derive(Clone, Debug)]
pub(super) enum Later {
    Activate(ClusterName, ContainerInstanceArn),
    Connect(ClusterName, ContainerInstanceArn),
    /// Deregister what was terminated without ECS's knowledge, and register a new instance.
    Replace(ClusterName, ContainerInstanceArn),
}

impl World {
    /// Registers an instance.
    pub(super) fn register(&self, cluster: &ClusterName, machine: &Machine) {
        let number = self.draw(u64::MAX);
        let Ok(id) = Ec2InstanceId::parse(&format!("i-{number:017x}")) else {
            return;
        };
        let registration = Registration::new(id, machine.instance_type, "us-east-1a").with_resources(
            CpuUnits::new(machine.cpu),
            MemoryMib::new(machine.memory_mib),
            GpuCount::new(machine.gpu),
        );
        let registered = self
            .ecs
            .with_ecs(|ecs| ecs.register_instance(cluster, registration));
        if let Ok(arn) = registered {
            self.note(|| {
                format!(
                    "an instance registers: {} with {} MiB",
                    short(arn.id()),
                    machine.memory_mib
                )
            });
            self.referee.borrow_mut().registered(arn, machine.instance_type);
        }
        self.observe_ecs();
    }

    /// Throws the dice for everything that does not belong to a call.
    pub(super) fn throw_chaos(&self) {
        self.plan_in(CHAOS_EVERY_MS, Due::Chaos);
        self.change_weather();
        for cluster in &self.clusters {
            if self.hits(FaultKind::ForeignTask) {
                self.start_foreign(cluster);
            }
            if self.hits(FaultKind::TaskStopped) {
                self.stop_one_of_ours(cluster);
            }
            for kind in [
                FaultKind::InstanceDrained,
                FaultKind::InstanceTerminated,
                FaultKind::AgentLost,
                FaultKind::RegisteredAgain,
                FaultKind::EventsClogged,
            ] {
                if self.hits(kind)
                    && let Some(instance) = self.some_instance(cluster, kind)
                {
                    self.disturb_instance(kind, cluster, &instance);
                }
            }
        }
        for cluster in &self.clusters {
            if self.hits(FaultKind::RecordDamaged) {
                self.damage_a_record(cluster);
            }
        }
        if self.hits(FaultKind::DefinitionGone) {
            let number = self.fault_number(FaultKind::DefinitionGone, self.workload.families.len() as u64);
            let name = format!("family-{number}:1");
            self.note(|| format!("`{name}` is deregistered"));
            let _gone_already = self.ecs.with_ecs(|ecs| ecs.deregister_task_definition(&name));
        }
        self.observe_ecs();
    }

    fn damage_a_record(&self, cluster: &ClusterName) {
        let names = self.ledger.names(cluster);
        let number = self.fault_number(FaultKind::RecordDamaged, names.len() as u64);
        let Some(name) = names.get(usize::try_from(number).unwrap_or(0)) else {
            return;
        };
        self.note(|| format!("damaged: {name}"));
        // The reservations can still be read. Whoever is not among them, and was stopped more than an hour ago,
        // could not be found any more.
        self.ledger.damage(cluster, name, |record| {
            if let Some(fields) = record.as_object_mut() {
                fields.retain(|field, _| !["registered", "shape", "group"].contains(&field.as_str()));
            }
        });
        // What is left out until it is repaired may be what a wake-up was for.
        self.disturb();
    }

    fn change_weather(&self) {
        if self.hits(FaultKind::Throttle) {
            let until = self
                .now()
                .saturating_add_millis(1_000 + self.fault_number(FaultKind::Throttle, 40_000));
            self.weather.borrow_mut().throttled_until = Some(until);
        }
        if self.hits(FaultKind::Outage) {
            self.begin_outage();
        }
    }

    /// Services go down, most often for minutes, now and then for longer than ECS remembers a client token.
    pub(super) fn begin_outage(&self) {
        if self
            .weather
            .borrow()
            .outage
            .as_ref()
            .is_some_and(|(until, _)| *until > self.now())
        {
            return;
        }
        let minutes = |from: u64, to: u64| (from * 60_000, to * 60_000);
        let (least_ms, most_ms) = match self.fault_number(FaultKind::Outage, 4) {
            0 => minutes(62, 80),
            1 => minutes(5, 80),
            _ => minutes(0, 5),
        };
        let lasts_ms = least_ms + self.fault_number(FaultKind::Outage, most_ms - least_ms);
        let of = match self.fault_number(FaultKind::Outage, 3) {
            0 => vec![Service::Ecs],
            1 => vec![Service::Ledger],
            _ => vec![Service::Ecs, Service::Ledger, Service::Queues],
        };
        self.note(|| format!("an outage of {of:?} for {} s", lasts_ms / 1_000));
        self.weather.borrow_mut().outage = Some((self.now().saturating_add_millis(lasts_ms), of));
    }

    fn some_instance(&self, cluster: &ClusterName, kind: FaultKind) -> Option<ContainerInstanceArn> {
        let known = self
            .ecs
            .with_ecs(|ecs| ecs.describe_instances(cluster).unwrap_or_default());
        let number = self.fault_number(kind, known.len() as u64);
        known
            .into_iter()
            .nth(usize::try_from(number).unwrap_or(0))
            .map(|report| report.instance)
    }

    fn disturb_instance(&self, kind: FaultKind, cluster: &ClusterName, instance: &ContainerInstanceArn) {
        self.note(|| format!("{}: {}", kind.name(), short(instance.id())));
        let (cluster, instance) = (cluster.clone(), instance.clone());
        let wait_ms = 1_000 + self.fault_number(kind, 200_000);
        // An instance that is gone by now can refuse any of these; then nothing happens.
        let _refused = self.ecs.with_ecs(|ecs| match kind {
            FaultKind::InstanceDrained => {
                self.plan_in(
                    wait_ms,
                    Due::Later(Later::Activate(cluster.clone(), instance.clone())),
                );
                ecs.set_instance_status(&cluster, &instance, InstanceStatus::Draining)
            }
            FaultKind::AgentLost => {
                self.plan_in(
                    wait_ms,
                    Due::Later(Later::Connect(cluster.clone(), instance.clone())),
                );
                ecs.set_agent(&cluster, &instance, AgentConnection::Disconnected)
            }
            FaultKind::InstanceTerminated => {
                self.plan_in(
                    wait_ms,
                    Due::Later(Later::Replace(cluster.clone(), instance.clone())),
                );
                ecs.terminate_instance(&cluster, &instance)
            }
            FaultKind::RegisteredAgain => {
                let changes = [("rack".to_owned(), Some(format!("r{wait_ms}")))];
                ecs.put_attributes(&cluster, &instance, &changes)
                    .and_then(|()| ecs.set_agent(&cluster, &instance, AgentConnection::Disconnected))
                    .and_then(|()| ecs.set_agent(&cluster, &instance, AgentConnection::Connected))
            }
            _ => {
                let until = self.now().saturating_add_millis(wait_ms * 2);
                self.weather.borrow_mut().clogged.insert(instance, until);
                Ok(())
            }
        });
    }

    /// Makes good what chaos did.
    pub(super) fn make_good(&self, later: Later) {
        // Whatever cannot be made good has been overtaken by something worse.
        let _overtaken = self.ecs.with_ecs(|ecs| match &later {
            Later::Activate(cluster, instance) => {
                ecs.set_instance_status(cluster, instance, InstanceStatus::Active)
            }
            Later::Connect(cluster, instance) => ecs.set_agent(cluster, instance, AgentConnection::Connected),
            Later::Replace(cluster, instance) => {
                ecs.deregister_instance(cluster, instance, Deregistration::Forced)
            }
        });
        self.observe_ecs();
        if let Later::Replace(cluster, _) = &later {
            let memory_mib = 600 + u32::try_from(self.draw(1_000)).unwrap_or(0);
            self.register(
                cluster,
                &Machine {
                    memory_mib,
                    ..Machine::LARGEST_PLAIN
                },
            );
        }
    }

    fn start_foreign(&self, cluster: &ClusterName) {
        let number = self.fault_number(FaultKind::ForeignTask, FOREIGN_FAMILIES.len() as u64);
        let family = FOREIGN_FAMILIES
            .iter()
            .cycle()
            .nth(usize::try_from(number).unwrap_or(0));
        let Some((family, _)) = family else { return };
        let mut request = RunTaskRequest::new(cluster.clone(), *family);
        request.duration_ms = Some(2_000 + self.fault_number(FaultKind::ForeignTask, 200_000));
        if let Some(instance) = self.some_instance(cluster, FaultKind::ForeignTask) {
            request.target = Target::Pinned(instance);
        }
        let answer = self.ecs.with_ecs(|ecs| ecs.run_task(&request));
        self.note(|| format!("somebody starts `{family}`: {answer:?}"));
        self.observe_ecs();
    }

    fn stop_one_of_ours(&self, cluster: &ClusterName) {
        let live = self
            .ecs
            .with_ecs(|ecs| ecs.describe_tasks(cluster).unwrap_or_default());
        let live: Vec<_> = live
            .into_iter()
            .filter(|task| task.attempt.is_some() && task.end.is_none())
            .collect();
        let number = self.fault_number(FaultKind::TaskStopped, live.len() as u64);
        if let Some(task) = live.get(usize::try_from(number).unwrap_or(0)) {
            self.note(|| format!("somebody stops {}", short(task.task.as_str())));
            let _gone = self
                .ecs
                .with_ecs(|ecs| ecs.stop_task(cluster, task.task.as_str(), "by hand"));
        }
    }

    /// Faults end: what is broken is repaired, and every cluster has room for everything that ever fits.
    pub(super) fn calm_down(&self) {
        self.note(|| "faults end".to_owned());
        self.faults.borrow_mut().end();
        *self.weather.borrow_mut() = super::world::Weather::default();
        for cluster in &self.clusters {
            let foreign = self
                .ecs
                .with_ecs(|ecs| ecs.describe_tasks(cluster).unwrap_or_default());
            for task in foreign
                .iter()
                .filter(|task| task.attempt.is_none() && task.end.is_none())
            {
                let _gone = self
                    .ecs
                    .with_ecs(|ecs| ecs.stop_task(cluster, task.task.as_str(), "calm"));
            }
            let instances = self
                .ecs
                .with_ecs(|ecs| ecs.describe_instances(cluster).unwrap_or_default());
            for report in instances {
                let arn = report.instance;
                let healed = self.ecs.with_ecs(|ecs| {
                    ecs.set_instance_status(cluster, &arn, InstanceStatus::Active)
                        .and_then(|()| ecs.set_agent(cluster, &arn, AgentConnection::Connected))
                });
                if healed.is_err() {
                    let forced = Deregistration::Forced;
                    let _gone = self
                        .ecs
                        .with_ecs(|ecs| ecs.deregister_instance(cluster, &arn, forced));
                }
            }
            self.observe_ecs();
            self.register(cluster, &Machine::LARGEST);
            self.register(cluster, &Machine::LARGEST_PLAIN);
        }
        let events = self.agenda.borrow_mut().take_events();
        for (event, tries) in events {
            let wait_ms = self.draw(30_000);
            self.plan_in(wait_ms, Due::Event(event, tries));
        }
        self.redrive();
    }

    /// Somebody puts the submissions in the dead-letter queue back.
    pub(super) fn redrive(&self) {
        let redriven = self.sqs.borrow_mut().redrive(self.now());
        for number in redriven {
            let wait_ms = self.draw(30_000);
            self.plan_in(wait_ms, Due::Message(number));
        }
    }
}
