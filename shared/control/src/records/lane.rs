//! The stored form of a lane: its shape, with constraints and strategies in ECS's words.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use berth_scheduler::attributes::RequiredAttribute;
use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::id::{ContainerInstanceArn, LaneKey, SubnetId, TaskGroup};
use berth_scheduler::shape::{BinpackField, Constraint, Shape, SpreadField, Strategy};

use super::LaneRecord;
use super::amount::DemandForm;
use super::form::{self, RecordError, Text};

#[derive(Serialize, Deserialize)]
struct LaneForm {
    lane: Text<LaneKey>,
    shape: ShapeForm,
}

/// `constraints` has no default on purpose: a lane that lost them must not place its tasks anywhere.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShapeForm {
    demand: DemandForm,
    constraints: Vec<ConstraintForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    required_attributes: Vec<RequiredAttributeForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    subnets: Vec<Text<SubnetId>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    strategies: Vec<StrategyForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    distinct_group: Option<Text<TaskGroup>>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum ConstraintForm {
    DistinctInstance,
    MemberOf { expression: Text<Expression> },
}

#[derive(Serialize, Deserialize)]
pub(super) struct RequiredAttributeForm {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", content = "field", rename_all = "camelCase")]
pub(super) enum StrategyForm {
    Random,
    Binpack(BinpackForm),
    Spread(SpreadForm),
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum BinpackForm {
    Cpu,
    Memory,
}

#[derive(Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[derive(Clone)]
pub(super) struct SpreadForm(SpreadField);

impl TryFrom<String> for SpreadForm {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let field = SpreadField::parse(&text).map(Self);
        field.ok_or_else(|| format!("`{text}` is no field to spread by"))
    }
}

impl From<SpreadForm> for String {
    fn from(form: SpreadForm) -> Self {
        form.0.to_string()
    }
}

/// Writes a lane.
pub fn to_json(lane: &LaneRecord) -> Value {
    form::write(&LaneForm {
        lane: Text(lane.key.clone()),
        shape: ShapeForm::from(&*lane.shape),
    })
}

/// The schema number in the text that lanes are named by. It stays what it was: a lane must not change its name
/// because a record somewhere else got another field.
const NAMED_BY_SCHEMA: u64 = 1;

/// Writes a shape, always the same way: tasks whose shapes read the same wait in the same lane.
pub fn shape_text(shape: &Shape) -> String {
    form::write_schema(&ShapeForm::from(shape), NAMED_BY_SCHEMA).to_string()
}

/// Writes placement strategies as RunTask takes them.
pub(super) fn strategies_to_json(strategies: &[Strategy]) -> Value {
    strategies
        .iter()
        .map(|it| serde_json::to_value(StrategyForm::from(it)).unwrap_or_default())
        .collect()
}

/// Writes the instances that are set aside for a lane's first tasks, in their order.
pub fn claims_to_json(claims: &[ContainerInstanceArn]) -> Value {
    claims.iter().map(ContainerInstanceArn::as_str).collect()
}

/// Reads them. They are a hint: what cannot be read is not there, and keeps nobody waiting.
pub fn claims_from_json(value: &Value) -> Vec<ContainerInstanceArn> {
    let claims = value.as_array().into_iter().flatten();
    let claims = claims.filter_map(|claim| ContainerInstanceArn::parse(claim.as_str()?).ok());
    claims.collect()
}

/// Reads a lane.
///
/// # Errors
/// When the record is damaged or was written by a newer release.
pub fn from_json(value: &Value) -> Result<LaneRecord, RecordError> {
    let form: LaneForm = form::read(value)?;
    Ok(LaneRecord {
        key: form.lane.0,
        shape: Arc::new(form.shape.into()),
    })
}

/// The strategies of a lane that cannot be read as a whole, as far as they can: all of them or none.
pub fn strategies_in(damaged: &Value) -> Vec<Strategy> {
    let stored = damaged.get("shape").and_then(|shape| shape.get("strategies"));
    let forms = stored.and_then(|stored| Vec::<StrategyForm>::deserialize(stored).ok());
    forms.into_iter().flatten().map(Strategy::from).collect()
}

impl From<&Shape> for ShapeForm {
    fn from(shape: &Shape) -> Self {
        Self {
            demand: DemandForm::from(&shape.demand),
            constraints: shape.constraints.iter().map(ConstraintForm::from).collect(),
            required_attributes: shape
                .required_attributes
                .iter()
                .map(RequiredAttributeForm::from)
                .collect(),
            subnets: shape.subnets.iter().cloned().map(Text).collect(),
            strategies: shape.strategies.iter().map(StrategyForm::from).collect(),
            distinct_group: shape.distinct_group.clone().map(Text),
        }
    }
}

impl From<ShapeForm> for Shape {
    fn from(form: ShapeForm) -> Self {
        Self {
            demand: form.demand.into(),
            constraints: form.constraints.into_iter().map(Constraint::from).collect(),
            required_attributes: form
                .required_attributes
                .into_iter()
                .map(RequiredAttribute::from)
                .collect(),
            subnets: form.subnets.into_iter().map(|subnet| subnet.0).collect(),
            strategies: form.strategies.into_iter().map(Strategy::from).collect(),
            distinct_group: form.distinct_group.map(|group| group.0),
        }
    }
}

impl From<&Constraint> for ConstraintForm {
    fn from(constraint: &Constraint) -> Self {
        match constraint {
            Constraint::DistinctInstance => Self::DistinctInstance,
            Constraint::MemberOf(expression) => Self::MemberOf {
                expression: Text(expression.clone()),
            },
        }
    }
}

impl From<ConstraintForm> for Constraint {
    fn from(form: ConstraintForm) -> Self {
        match form {
            ConstraintForm::DistinctInstance => Self::DistinctInstance,
            ConstraintForm::MemberOf { expression } => Self::MemberOf(expression.0),
        }
    }
}

impl From<&RequiredAttribute> for RequiredAttributeForm {
    fn from(attribute: &RequiredAttribute) -> Self {
        Self {
            name: attribute.name.clone(),
            value: attribute.value.clone(),
        }
    }
}

impl From<RequiredAttributeForm> for RequiredAttribute {
    fn from(form: RequiredAttributeForm) -> Self {
        Self {
            name: form.name,
            value: form.value,
        }
    }
}

impl From<&Strategy> for StrategyForm {
    fn from(strategy: &Strategy) -> Self {
        match strategy {
            Strategy::Random => Self::Random,
            Strategy::Binpack(BinpackField::Cpu) => Self::Binpack(BinpackForm::Cpu),
            Strategy::Binpack(BinpackField::Memory) => Self::Binpack(BinpackForm::Memory),
            Strategy::Spread(field) => Self::Spread(SpreadForm(field.clone())),
        }
    }
}

impl From<StrategyForm> for Strategy {
    fn from(form: StrategyForm) -> Self {
        match form {
            StrategyForm::Random => Self::Random,
            StrategyForm::Binpack(BinpackForm::Cpu) => Self::Binpack(BinpackField::Cpu),
            StrategyForm::Binpack(BinpackForm::Memory) => Self::Binpack(BinpackField::Memory),
            StrategyForm::Spread(field) => Self::Spread(field.0),
        }
    }
}
