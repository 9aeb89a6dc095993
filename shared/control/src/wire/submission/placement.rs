//! `placementConstraints` and `placementStrategy`.

use berth_scheduler::constraint::expression::{EXPRESSION_CHARACTERS_MAX, Expression, ExpressionError};
use berth_scheduler::shape::{
    ATTRIBUTE_PREFIX, BinpackField, Constraint, PlacementTemplate, SpreadField, Strategy,
};

use crate::wire::refusal::Refusal;
use crate::wire::strict_json::field::Field;
use crate::wire::suggestion::escaped;

/// RunTask takes 10 constraints, those of the task definition included; those are counted when it is known.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
const CONSTRAINTS_MAX: usize = 10;

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
pub(crate) const STRATEGIES_MAX: usize = 5;

pub(crate) const SPREAD_FIELDS: &str = "`instanceId`, `host` or `attribute:NAME`";

#[derive(Clone, Copy)]
enum ConstraintType {
    DistinctInstance,
    MemberOf,
}

/// Reads `placementConstraints`.
pub(super) fn decode_constraints(field: &Field<'_>) -> Result<Vec<Constraint>, Refusal> {
    field
        .items(CONSTRAINTS_MAX, "constraints")?
        .iter()
        .map(decode_constraint)
        .collect()
}

fn decode_constraint(item: &Field<'_>) -> Result<Constraint, Refusal> {
    let object = item.object("an object with `type` and `expression`")?;
    let (mut kind, mut expression) = (None, None);
    for (name, field) in object.fields() {
        match name {
            "type" => {
                kind = Some(field.choice(&[
                    ("memberOf", ConstraintType::MemberOf),
                    ("distinctInstance", ConstraintType::DistinctInstance),
                ])?);
            }
            "expression" => expression = Some((decode_expression(&field)?, field)),
            _ => return Err(field.unknown(&["type", "expression"])),
        }
    }
    match (kind, expression) {
        (None, _) => Err(object.missing("type", "`memberOf` or `distinctInstance`")),
        (Some(ConstraintType::MemberOf), Some((expression, _))) => Ok(Constraint::MemberOf(expression)),
        (Some(ConstraintType::MemberOf), None) => {
            Err(object.missing("expression", "an expression of the cluster query language"))
        }
        (Some(ConstraintType::DistinctInstance), None) => Ok(Constraint::DistinctInstance),
        (Some(ConstraintType::DistinctInstance), Some((_, field))) => {
            Err(field.refuse_key("`distinctInstance` takes no expression: leave it out"))
        }
    }
}

fn decode_expression(field: &Field<'_>) -> Result<Expression, Refusal> {
    let text = field.text("an expression of the cluster query language")?;
    // Checked here too, for a message without the marked place, which would be no help.
    let characters = text.chars().count();
    if characters > EXPRESSION_CHARACTERS_MAX {
        return Err(field.refuse(&format!(
            "expression has {characters} characters: give at most {EXPRESSION_CHARACTERS_MAX}"
        )));
    }
    Expression::parse(text).map_err(|error| {
        field.refuse_within(
            error.span().start,
            &format!("{}{}", escaped(&error.to_string()), marked_place(&error, text)),
        )
    })
}

/// The expression and the carets below the place, without the message that a rendered error ends with.
/// Nothing when the expression has characters that have to be escaped, for then the carets are misplaced.
fn marked_place(error: &ExpressionError, text: &str) -> String {
    if escaped(text) != text {
        return String::new();
    }
    error
        .render(text)
        .lines()
        .take(2)
        .map(|line| format!("\n{line}"))
        .collect()
}

#[derive(Clone, Copy)]
enum StrategyType {
    Random,
    Binpack,
    Spread,
}

/// Reads `placementStrategy`.
pub(super) fn decode_strategies(field: &Field<'_>) -> Result<Vec<Strategy>, Refusal> {
    field
        .items(STRATEGIES_MAX, "strategies")?
        .iter()
        .map(decode_strategy)
        .collect()
}

fn decode_strategy(item: &Field<'_>) -> Result<Strategy, Refusal> {
    let object = item.object("an object with `type` and `field`")?;
    let (mut kind, mut by) = (None, None);
    for (name, field) in object.fields() {
        match name {
            "type" => {
                kind = Some(field.choice(&[
                    ("spread", StrategyType::Spread),
                    ("binpack", StrategyType::Binpack),
                    ("random", StrategyType::Random),
                ])?);
            }
            "field" => by = Some((field.text("the text that `type` asks for")?, field)),
            _ => return Err(field.unknown(&["type", "field"])),
        }
    }
    match (kind, by) {
        (None, _) => Err(object.missing("type", "`spread`, `binpack` or `random`")),
        (Some(StrategyType::Random), None) => Ok(Strategy::Random),
        (Some(StrategyType::Random), Some((_, field))) => {
            Err(field.refuse_key("`random` takes no field: leave it out"))
        }
        (Some(StrategyType::Binpack), Some((by, field))) => decode_binpack(by, &field),
        (Some(StrategyType::Binpack), None) => Err(object.missing("field", "`cpu` or `memory`")),
        (Some(StrategyType::Spread), Some((by, field))) => decode_spread(by, &field),
        (Some(StrategyType::Spread), None) => Err(object.missing("field", SPREAD_FIELDS)),
    }
}

fn decode_binpack(by: &str, field: &Field<'_>) -> Result<Strategy, Refusal> {
    let by = BinpackField::parse(by).map(Strategy::Binpack);
    by.ok_or_else(|| field.refuse_value("is nothing to pack by", "`cpu` or `memory`"))
}

fn decode_spread(by: &str, field: &Field<'_>) -> Result<Strategy, Refusal> {
    SpreadField::parse(by).map(Strategy::Spread).ok_or_else(|| {
        if by.starts_with(ATTRIBUTE_PREFIX) {
            field.refuse_value(
                "names no attribute",
                "`attribute:` and 1 to 128 letters, digits or `.`, `_`, `-`, `/`, `\\`",
            )
        } else {
            field.refuse_value("is nothing to spread by", SPREAD_FIELDS)
        }
    })
}

/// Reads `placementTemplate`: a name for constraints and strategies.
pub(super) fn decode_template(field: &Field<'_>) -> Result<PlacementTemplate, Refusal> {
    field.choice(&PlacementTemplate::ALL.map(|template| (template.as_str(), template)))
}
