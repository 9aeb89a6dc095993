//! The detail of `ECS Task State Change`.

use std::borrow::Cow;

use berth_scheduler::id::{AttemptId, ContainerInstanceArn, TaskArn, TaskDefinitionArn, TaskGroup};
use berth_scheduler::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};
use berth_scheduler::report::{TaskEnd, TaskReport, TaskStatus};
use berth_scheduler::resources::{Demand, HostPorts};
use serde::Deserialize;

use super::field::{FieldError, Scalar};
use super::{Skipped, report_version, same_home};
use crate::wire::resources::AMOUNT_MAX;

/// Longest stop code or reason that is kept, in characters.
const WORDS_CHARS_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
pub(super) struct TaskDetail<'a> {
    #[serde(borrow, default)]
    cluster_arn: Scalar<'a>,
    #[serde(borrow, default)]
    task_arn: Scalar<'a>,
    #[serde(borrow, default)]
    container_instance_arn: Scalar<'a>,
    #[serde(borrow, default)]
    task_definition_arn: Scalar<'a>,
    #[serde(borrow, default)]
    version: Scalar<'a>,
    #[serde(borrow, default)]
    last_status: Scalar<'a>,
    #[serde(borrow, default)]
    desired_status: Scalar<'a>,
    #[serde(borrow, default)]
    created_at: Scalar<'a>,
    #[serde(borrow, default)]
    group: Scalar<'a>,
    #[serde(borrow, default)]
    started_by: Scalar<'a>,
    #[serde(borrow, default)]
    launch_type: Scalar<'a>,
    #[serde(borrow, default)]
    cpu: Scalar<'a>,
    #[serde(borrow, default)]
    memory: Scalar<'a>,
    #[serde(borrow, default)]
    containers: Option<Vec<Container<'a>>>,
    #[serde(borrow, default)]
    attachments: Option<Vec<Attachment<'a>>>,
    #[serde(borrow, default)]
    stopped_at: Scalar<'a>,
    #[serde(borrow, default)]
    stop_code: Scalar<'a>,
    #[serde(borrow, default)]
    stopped_reason: Scalar<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a container")]
struct Container<'a> {
    #[serde(borrow, default)]
    cpu: Scalar<'a>,
    #[serde(borrow, default)]
    memory: Scalar<'a>,
    #[serde(borrow, default)]
    memory_reservation: Scalar<'a>,
    #[serde(borrow, default)]
    gpu_ids: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow, default)]
    network_bindings: Option<Vec<NetworkBinding<'a>>>,
    #[serde(borrow, default)]
    exit_code: Scalar<'a>,
    #[serde(borrow, default)]
    reason: Scalar<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a network binding")]
struct NetworkBinding<'a> {
    #[serde(borrow, default)]
    host_port: Scalar<'a>,
    #[serde(borrow, default)]
    protocol: Scalar<'a>,
}

#[derive(Deserialize)]
#[serde(expecting = "an attachment")]
struct Attachment<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Scalar<'a>,
}

impl TaskDetail<'_> {
    pub(super) fn cluster_arn(&self) -> Result<&str, FieldError> {
        self.cluster_arn.needed_text("detail.clusterArn")
    }

    pub(super) fn report(&self, skipped: &mut Skipped) -> Result<TaskReport, FieldError> {
        let status = self.status()?;
        Ok(TaskReport {
            task: self.task()?,
            instance: self.instance()?,
            version: report_version(&self.version)?,
            status,
            created_at: skipped.optional_time(&self.created_at),
            group: self.group()?,
            attempt: self
                .started_by
                .text("detail.startedBy")?
                .and_then(AttemptId::from_started_by),
            demand: self.demand(skipped)?,
            end: (status == TaskStatus::Stopped).then(|| self.end(skipped)),
        })
    }

    fn task(&self) -> Result<TaskArn, FieldError> {
        const FIELD: &str = "detail.taskArn";
        let arn = self.task_arn.needed_text(FIELD)?;
        let task = TaskArn::parse(arn).map_err(|error| FieldError::new(FIELD, error))?;
        same_home(FIELD, arn, self.cluster_arn()?)?;
        Ok(task)
    }

    /// `None` for a task on Fargate and for one that is not placed yet.
    fn instance(&self) -> Result<Option<ContainerInstanceArn>, FieldError> {
        const FIELD: &str = "detail.containerInstanceArn";
        let Some(arn) = self.container_instance_arn.text(FIELD)? else {
            return Ok(None);
        };
        let instance = ContainerInstanceArn::parse(arn).map_err(|error| FieldError::new(FIELD, error))?;
        same_home(FIELD, arn, self.cluster_arn()?)?;
        Ok(Some(instance))
    }

    /// ECS moves through more states than these and may skip any of them; only desiredStatus and the end
    /// matter for room.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html>
    fn status(&self) -> Result<TaskStatus, FieldError> {
        let last = self.last_status.needed_text("detail.lastStatus")?;
        let desired = self.desired_status.needed_text("detail.desiredStatus")?;
        Ok(match (last, desired) {
            ("STOPPED" | "DELETED", _) => TaskStatus::Stopped,
            (_, "STOPPED") => TaskStatus::Stopping,
            _ => TaskStatus::Running,
        })
    }

    /// The task's group: its family unless somebody chose another.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
    fn group(&self) -> Result<TaskGroup, FieldError> {
        const FIELD: &str = "detail.group";
        if let Some(group) = self.group.text(FIELD)?.filter(|group| !group.is_empty()) {
            return TaskGroup::parse(group).map_err(|error| FieldError::new(FIELD, error));
        }
        const FALLBACK: &str = "detail.taskDefinitionArn";
        let definition = TaskDefinitionArn::parse(self.task_definition_arn.needed_text(FALLBACK)?)
            .map_err(|error| FieldError::new(FALLBACK, error))?;
        TaskGroup::parse(&format!("family:{}", definition.family()))
            .map_err(|error| FieldError::new(FALLBACK, error))
    }

    /// What the task takes: its own size where it has one, else what its containers add up to.
    fn demand(&self, skipped: &mut Skipped) -> Result<Demand, FieldError> {
        let mut sums = Demand::default();
        let mut tcp = Vec::new();
        let mut udp = Vec::new();
        for container in self.containers.as_deref().unwrap_or_default() {
            let (cpu, memory) = container.size()?;
            sums.cpu = sums.cpu.saturating_add(cpu);
            sums.memory = sums.memory.saturating_add(memory);
            let gpus = container.gpu_ids.as_deref().map_or(0, <[_]>::len);
            sums.gpu = sums
                .gpu
                .saturating_add(GpuCount::new(u32::try_from(gpus).unwrap_or(u32::MAX)));
            for binding in container.network_bindings.as_deref().unwrap_or_default() {
                match binding.port(skipped) {
                    Some(Port::Tcp(port)) => tcp.push(port),
                    Some(Port::Udp(port)) => udp.push(port),
                    None => {}
                }
            }
        }
        Ok(Demand {
            cpu: size("detail.cpu", &self.cpu, "vcpu")?.map_or(sums.cpu, CpuUnits::new),
            memory: size("detail.memory", &self.memory, "gb")?.map_or(sums.memory, MemoryMib::new),
            gpu: sums.gpu,
            eni: self.eni(),
            ports: HostPorts {
                tcp: tcp.into_iter().collect(),
                udp: udp.into_iter().collect(),
            },
        })
    }

    /// A task in `awsvpc` mode has an interface of its own, which counts where instances have few: on EC2.
    fn eni(&self) -> EniCount {
        let on_ec2 = match &self.launch_type {
            Scalar::Absent => self.container_instance_arn != Scalar::Absent,
            Scalar::Text(launch_type) => launch_type == "EC2",
            _ => false,
        };
        let is_interface = |attachment: &Attachment<'_>| matches!(&attachment.kind, Scalar::Text(kind) if kind == "eni" || kind == "ElasticNetworkInterface");
        let has_interface = self
            .attachments
            .as_deref()
            .unwrap_or_default()
            .iter()
            .any(is_interface);
        EniCount::new(u32::from(on_ec2 && has_interface))
    }

    fn end(&self, skipped: &mut Skipped) -> TaskEnd {
        let (exit_code, container_reason) = self.container_end(skipped);
        TaskEnd {
            stopped_at: skipped.optional_time(&self.stopped_at),
            stop_code: skipped.optional_text(&self.stop_code, WORDS_CHARS_MAX),
            stopped_reason: skipped.optional_text(&self.stopped_reason, WORDS_CHARS_MAX),
            exit_code,
            container_reason,
        }
    }

    /// The exit code that tells most, the first that is not 0, else the first there is; and the reason of the
    /// container that has it, else the first reason there is.
    fn container_end(&self, skipped: &mut Skipped) -> (Option<i32>, Option<String>) {
        let mut first = (None, None);
        for container in self.containers.as_deref().unwrap_or_default() {
            let read = |code: &Scalar<'_>| code.whole().and_then(|code| i32::try_from(code).ok());
            let code = skipped.optional(&container.exit_code, read);
            let reason = skipped.optional_text(&container.reason, WORDS_CHARS_MAX);
            if code.is_some_and(|code| code != 0) {
                return (code, reason.or(first.1));
            }
            first = (first.0.or(code), first.1.or(reason));
        }
        first
    }
}

impl Container<'_> {
    /// A container without `memoryReservation` counts with its limit; one without `cpu` with nothing.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html>
    fn size(&self) -> Result<(CpuUnits, MemoryMib), FieldError> {
        let cpu = size("detail.containers.cpu", &self.cpu, "vcpu")?.unwrap_or(0);
        let memory = match size(
            "detail.containers.memoryReservation",
            &self.memory_reservation,
            "gb",
        )? {
            Some(reservation) => reservation,
            None => size("detail.containers.memory", &self.memory, "gb")?.unwrap_or(0),
        };
        Ok((CpuUnits::new(cpu), MemoryMib::new(memory)))
    }
}

enum Port {
    Tcp(u16),
    Udp(u16),
}

impl NetworkBinding<'_> {
    fn port(&self, skipped: &mut Skipped) -> Option<Port> {
        let read = |port: &Scalar<'_>| port.whole().and_then(|port| u16::try_from(port).ok());
        let port = skipped.optional(&self.host_port, read).filter(|port| *port > 0)?;
        match &self.protocol {
            Scalar::Text(protocol) if protocol.eq_ignore_ascii_case("udp") => Some(Port::Udp(port)),
            _ => Some(Port::Tcp(port)),
        }
    }
}

/// An amount of CPU units or MiB. ECS writes it as a text; a large unit, such as in `1 vCPU` or `0.5 GB`, is 1024
/// of them.
fn size(field: &'static str, value: &Scalar<'_>, large_unit: &str) -> Result<Option<u32>, FieldError> {
    let amount = match value {
        Scalar::Absent => return Ok(None),
        Scalar::Text(text) if text.trim().is_empty() => return Ok(None),
        Scalar::Text(text) => size_of_text(text, large_unit),
        number => number.whole(),
    };
    let in_range = amount
        .and_then(|amount| u32::try_from(amount).ok())
        .filter(|amount| *amount <= AMOUNT_MAX);
    in_range.map(Some).ok_or_else(|| {
        FieldError::new(
            field,
            format_args!("`{value}` is not an amount from 0 to {AMOUNT_MAX}"),
        )
    })
}

fn size_of_text(text: &str, large_unit: &str) -> Option<i128> {
    let text = text.trim().to_ascii_lowercase();
    match text.strip_suffix(large_unit) {
        Some(number) => thousandths(number.trim_end()).map(|it| it.saturating_mul(1_024).div_euclid(1_000)),
        None => thousandths(&text)
            .filter(|it| it % 1_000 == 0)
            .map(|it| it / 1_000),
    }
}

/// Reads `2`, `0.25` and `.5` as thousandths; `None` for anything else and for finer fractions.
fn thousandths(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || whole.len() > 12 || fraction.len() > 3 {
        return None;
    }
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<3}").parse().ok()
}
