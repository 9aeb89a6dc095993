//! The stored form of a hold reason, and the sentence that people read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use berth_scheduler::attributes::RequiredAttribute;
use berth_scheduler::hold::{Claim, Dimension, Explanation, Filter, HoldReason, NearestMiss};
use berth_scheduler::id::{ContainerInstanceArn, TaskId};
use berth_scheduler::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};
use berth_scheduler::report::InstanceStatus;
use berth_scheduler::resources::{ShortDimension, Shortfall};
use berth_scheduler::timestamp::Timestamp;

use super::amount::PortsForm;
use super::form::{self, RecordError, Text};
use super::lane::RequiredAttributeForm;
use super::request::RequestForm;

/// `text` is for people and is not read back.
#[derive(Serialize, Deserialize)]
struct HoldForm {
    #[serde(flatten)]
    reason: ReasonForm,
    #[serde(default)]
    text: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "camelCase")]
enum ReasonForm {
    NoInstances,
    NeverFits {
        explanation: ExplanationForm,
    },
    NoInstanceMatches {
        explanation: ExplanationForm,
    },
    ReservedForHigherRank {
        #[serde(rename = "setAside")]
        set_aside: Vec<ClaimForm>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claim: Option<ClaimForm>,
    },
    BehindStrictHead {
        head: Text<TaskId>,
    },
    Shortfall {
        explanation: ExplanationForm,
    },
    RefusedByEcs {
        said: String,
    },
    Throttled,
    Paused {
        since: RequestForm,
    },
}

#[derive(Serialize, Deserialize)]
struct ExplanationForm {
    evaluated: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    filtered: Vec<FilteredForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    short: Vec<ShortForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nearest: Option<NearestForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<ClaimForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimForm {
    task: Text<TaskId>,
    instance: Text<ContainerInstanceArn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    projected_start: Option<Text<Timestamp>>,
}

#[derive(Serialize, Deserialize)]
struct FilteredForm {
    by: FilterForm,
    instances: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "filter", rename_all = "camelCase")]
enum FilterForm {
    Status { status: Text<InstanceStatus> },
    AgentDisconnected,
    ClosedThisCycle,
    Zone,
    MissingAttribute { attribute: RequiredAttributeForm },
    MemberOf { expression: String },
    DistinctInstance,
}

#[derive(Serialize, Deserialize)]
struct ShortForm {
    of: DimensionForm,
    instances: usize,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum DimensionForm {
    Cpu,
    Memory,
    Gpu,
    Eni,
    Ports,
}

#[derive(Serialize, Deserialize)]
struct NearestForm {
    instance: Text<ContainerInstanceArn>,
    short: Vec<ShortDimensionForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "camelCase")]
enum ShortDimensionForm {
    Cpu { needed: u32, remaining: u32 },
    Memory { needed: u32, remaining: u32 },
    Gpu { needed: u32, remaining: u32 },
    Eni { needed: u32, remaining: u32 },
    Ports { taken: PortsForm },
    PortLimit { needed: usize, remaining: usize },
}

/// Writes a hold reason.
pub fn to_json(reason: &HoldReason) -> Value {
    form::write(&HoldForm {
        reason: reason.into(),
        text: text(reason),
    })
}

/// Reads a hold reason.
///
/// # Errors
/// When the record is damaged or was written by a newer release.
pub fn from_json(value: &Value) -> Result<HoldReason, RecordError> {
    let form: HoldForm = form::read(value)?;
    Ok(match form.reason {
        ReasonForm::NoInstances => HoldReason::NoInstances,
        ReasonForm::NeverFits { explanation } => HoldReason::NeverFits(explanation.read()?),
        ReasonForm::NoInstanceMatches { explanation } => HoldReason::NoInstanceMatches(explanation.read()?),
        ReasonForm::ReservedForHigherRank { set_aside, claim } => HoldReason::ReservedForHigherRank {
            set_aside: set_aside.into_iter().map(Claim::from).collect(),
            claim: claim.map(Claim::from),
        },
        ReasonForm::BehindStrictHead { head } => HoldReason::BehindStrictHead { head: head.0 },
        ReasonForm::Shortfall { explanation } => HoldReason::Shortfall(explanation.read()?),
        ReasonForm::RefusedByEcs { said } => HoldReason::RefusedByEcs { reason: said },
        ReasonForm::Throttled => HoldReason::Throttled,
        ReasonForm::Paused { since } => HoldReason::Paused(since.into()),
    })
}

/// A hold reason as a sentence for people.
pub fn text(reason: &HoldReason) -> String {
    match reason {
        HoldReason::NoInstances => "the cluster has no container instance".to_owned(),
        HoldReason::NeverFits(explanation) => {
            format!(
                "larger than every instance that may run it{}",
                explanation_text(explanation)
            )
        }
        HoldReason::NoInstanceMatches(explanation) => {
            format!("no instance may run it{}", explanation_text(explanation))
        }
        HoldReason::ReservedForHigherRank { set_aside, claim } => {
            let set_aside = set_aside
                .iter()
                .map(|it| format!("{} for `{}`{}", it.instance.id(), it.task, it.when()));
            format!(
                "room is set aside for tasks of higher rank: {}{}",
                set_aside.collect::<Vec<_>>().join(", "),
                claim_text(claim.as_ref())
            )
        }
        HoldReason::BehindStrictHead { head } => {
            format!("behind `{head}`, which waits for room and lets nobody pass")
        }
        HoldReason::Shortfall(explanation) => {
            format!("no instance has room now{}", explanation_text(explanation))
        }
        HoldReason::RefusedByEcs { reason } => format!("refused by Amazon ECS: `{reason}`"),
        HoldReason::Throttled => "Amazon ECS throttles the calls that start tasks".to_owned(),
        HoldReason::Paused(request) => format!("the cluster is paused {request}"),
    }
}

fn explanation_text(explanation: &Explanation) -> String {
    let mut parts = vec![format!("{} looked at", explanation.evaluated)];
    parts.extend(
        explanation
            .filtered
            .iter()
            .map(|(filter, count)| format!("{count} {}", filter_text(filter))),
    );
    let short = explanation.short.iter();
    parts.extend(short.map(|(dimension, count)| format!("{count} short of {}", dimension_text(*dimension))));
    let nearest = explanation.nearest.as_ref();
    let nearest = nearest.map(|miss| format!("; nearest is {}: {}", miss.instance.id(), miss.shortfall));
    format!(
        ": {}{}{}",
        parts.join(", "),
        nearest.unwrap_or_default(),
        claim_text(explanation.claim.as_deref())
    )
}

fn claim_text(claim: Option<&Claim>) -> String {
    let text = |claim: &Claim| format!("; {} is set aside for it{}", claim.instance.id(), claim.when());
    claim.map(text).unwrap_or_default()
}

fn filter_text(filter: &Filter) -> String {
    match filter {
        Filter::Status(status) => format!("in status {}", status.as_str()),
        Filter::AgentDisconnected => "without a connected agent".to_owned(),
        Filter::ClosedThisCycle => "refused by Amazon ECS a moment ago".to_owned(),
        Filter::Zone => "in another availability zone than the subnets".to_owned(),
        Filter::MissingAttribute(RequiredAttribute { name, value: None }) => {
            format!("without the attribute `{name}`")
        }
        Filter::MissingAttribute(RequiredAttribute {
            name,
            value: Some(value),
        }) => {
            format!("without the attribute `{name}` = `{value}`")
        }
        Filter::MemberOf { expression } => format!("not matching `{expression}`"),
        Filter::DistinctInstance => "already running a task of the group".to_owned(),
    }
}

fn dimension_text(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Cpu => "cpu",
        Dimension::Memory => "memory",
        Dimension::Gpu => "gpu",
        Dimension::Eni => "network interfaces",
        Dimension::Ports => "host ports",
    }
}

impl From<&HoldReason> for ReasonForm {
    fn from(reason: &HoldReason) -> Self {
        match reason {
            HoldReason::NoInstances => Self::NoInstances,
            HoldReason::NeverFits(it) => Self::NeverFits {
                explanation: it.into(),
            },
            HoldReason::NoInstanceMatches(it) => Self::NoInstanceMatches {
                explanation: it.into(),
            },
            HoldReason::ReservedForHigherRank { set_aside, claim } => Self::ReservedForHigherRank {
                set_aside: set_aside.iter().map(ClaimForm::from).collect(),
                claim: claim.as_ref().map(ClaimForm::from),
            },
            HoldReason::BehindStrictHead { head } => Self::BehindStrictHead {
                head: Text(head.clone()),
            },
            HoldReason::Shortfall(it) => Self::Shortfall {
                explanation: it.into(),
            },
            HoldReason::RefusedByEcs { reason } => Self::RefusedByEcs { said: reason.clone() },
            HoldReason::Throttled => Self::Throttled,
            HoldReason::Paused(request) => Self::Paused {
                since: request.into(),
            },
        }
    }
}

impl From<&Explanation> for ExplanationForm {
    fn from(explanation: &Explanation) -> Self {
        let filtered = explanation.filtered.iter();
        let short = explanation.short.iter();
        Self {
            evaluated: explanation.evaluated,
            filtered: filtered
                .map(|(by, count)| FilteredForm {
                    by: by.into(),
                    instances: *count,
                })
                .collect(),
            short: short
                .map(|(of, count)| ShortForm {
                    of: (*of).into(),
                    instances: *count,
                })
                .collect(),
            nearest: explanation.nearest.as_ref().map(NearestForm::from),
            claim: explanation.claim.as_deref().map(ClaimForm::from),
        }
    }
}

impl From<&Claim> for ClaimForm {
    fn from(claim: &Claim) -> Self {
        Self {
            task: Text(claim.task.clone()),
            instance: Text(claim.instance.clone()),
            projected_start: claim.projected_start.map(Text),
        }
    }
}

impl From<ClaimForm> for Claim {
    fn from(form: ClaimForm) -> Self {
        Self {
            task: form.task.0,
            instance: form.instance.0,
            projected_start: form.projected_start.map(|at| at.0),
        }
    }
}

impl ExplanationForm {
    fn read(self) -> Result<Explanation, RecordError> {
        Ok(Explanation {
            evaluated: self.evaluated,
            filtered: self
                .filtered
                .into_iter()
                .map(|it| (it.by.into(), it.instances))
                .collect(),
            short: self
                .short
                .into_iter()
                .map(|it| (it.of.into(), it.instances))
                .collect(),
            nearest: self.nearest.map(NearestForm::read).transpose()?,
            claim: self.claim.map(Claim::from).map(Box::new),
        })
    }
}

impl From<&Filter> for FilterForm {
    fn from(filter: &Filter) -> Self {
        match filter {
            Filter::Status(status) => Self::Status {
                status: Text(*status),
            },
            Filter::AgentDisconnected => Self::AgentDisconnected,
            Filter::ClosedThisCycle => Self::ClosedThisCycle,
            Filter::Zone => Self::Zone,
            Filter::MissingAttribute(attribute) => Self::MissingAttribute {
                attribute: attribute.into(),
            },
            Filter::MemberOf { expression } => Self::MemberOf {
                expression: expression.clone(),
            },
            Filter::DistinctInstance => Self::DistinctInstance,
        }
    }
}

impl From<FilterForm> for Filter {
    fn from(form: FilterForm) -> Self {
        match form {
            FilterForm::Status { status } => Self::Status(status.0),
            FilterForm::AgentDisconnected => Self::AgentDisconnected,
            FilterForm::ClosedThisCycle => Self::ClosedThisCycle,
            FilterForm::Zone => Self::Zone,
            FilterForm::MissingAttribute { attribute } => Self::MissingAttribute(attribute.into()),
            FilterForm::MemberOf { expression } => Self::MemberOf { expression },
            FilterForm::DistinctInstance => Self::DistinctInstance,
        }
    }
}

impl From<Dimension> for DimensionForm {
    fn from(dimension: Dimension) -> Self {
        match dimension {
            Dimension::Cpu => Self::Cpu,
            Dimension::Memory => Self::Memory,
            Dimension::Gpu => Self::Gpu,
            Dimension::Eni => Self::Eni,
            Dimension::Ports => Self::Ports,
        }
    }
}

impl From<DimensionForm> for Dimension {
    fn from(form: DimensionForm) -> Self {
        match form {
            DimensionForm::Cpu => Self::Cpu,
            DimensionForm::Memory => Self::Memory,
            DimensionForm::Gpu => Self::Gpu,
            DimensionForm::Eni => Self::Eni,
            DimensionForm::Ports => Self::Ports,
        }
    }
}

impl From<&NearestMiss> for NearestForm {
    fn from(miss: &NearestMiss) -> Self {
        let short = miss.shortfall.dimensions().iter();
        Self {
            instance: Text(miss.instance.clone()),
            short: short.map(ShortDimensionForm::from).collect(),
        }
    }
}

impl NearestForm {
    fn read(self) -> Result<NearestMiss, RecordError> {
        let short = self.short.into_iter().map(ShortDimension::from).collect();
        let shortfall = Shortfall::recorded(short)
            .ok_or_else(|| RecordError::damaged("explanation.nearest.short", "has no dimension"))?;
        Ok(NearestMiss {
            instance: self.instance.0,
            shortfall,
        })
    }
}

impl From<&ShortDimension> for ShortDimensionForm {
    fn from(short: &ShortDimension) -> Self {
        match short {
            ShortDimension::Cpu { needed, remaining } => Self::Cpu {
                needed: needed.get(),
                remaining: remaining.get(),
            },
            ShortDimension::Memory { needed, remaining } => Self::Memory {
                needed: needed.get(),
                remaining: remaining.get(),
            },
            ShortDimension::Gpu { needed, remaining } => Self::Gpu {
                needed: needed.get(),
                remaining: remaining.get(),
            },
            ShortDimension::Eni { needed, remaining } => Self::Eni {
                needed: needed.get(),
                remaining: remaining.get(),
            },
            ShortDimension::Ports { taken } => Self::Ports { taken: taken.into() },
            ShortDimension::PortLimit { needed, remaining } => Self::PortLimit {
                needed: *needed,
                remaining: *remaining,
            },
        }
    }
}

impl From<ShortDimensionForm> for ShortDimension {
    fn from(form: ShortDimensionForm) -> Self {
        match form {
            ShortDimensionForm::Cpu { needed, remaining } => Self::Cpu {
                needed: CpuUnits::new(needed),
                remaining: CpuUnits::new(remaining),
            },
            ShortDimensionForm::Memory { needed, remaining } => Self::Memory {
                needed: MemoryMib::new(needed),
                remaining: MemoryMib::new(remaining),
            },
            ShortDimensionForm::Gpu { needed, remaining } => Self::Gpu {
                needed: GpuCount::new(needed),
                remaining: GpuCount::new(remaining),
            },
            ShortDimensionForm::Eni { needed, remaining } => Self::Eni {
                needed: EniCount::new(needed),
                remaining: EniCount::new(remaining),
            },
            ShortDimensionForm::Ports { taken } => Self::Ports { taken: taken.into() },
            ShortDimensionForm::PortLimit { needed, remaining } => Self::PortLimit { needed, remaining },
        }
    }
}
