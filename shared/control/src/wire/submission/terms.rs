//! `notBefore`, `startBy`, `timeoutSeconds` and `retryStrategy`.

use berth_scheduler::quantity::{MemoryMib, Seconds};
use berth_scheduler::retry::{
    ATTEMPTS_MAX, EVALUATIONS_MAX, EvaluateOnExit, ExitAction, MemoryGrowth, PATTERN_CHARACTERS_MAX, Pattern,
    RetryStrategy,
};
use berth_scheduler::terms::Terms;
use berth_scheduler::timestamp::Timestamp;

use super::overrides::require_allowed;
use crate::settings::{Override, Settings};
use crate::wire::refusal::Refusal;
use crate::wire::strict_json::field::Field;
use crate::wire::terms::{read_pattern, read_time};

/// Least `timeoutSeconds`: the reconciler looks once a minute. AWS Batch has the same least timeout.
/// <https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html>
const TIMEOUT_SECONDS_MIN: i64 = 60;

/// A year: the longest timeout.
const TIMEOUT_SECONDS_MAX: i64 = 31_536_000;

/// Ten times the memory at once is no growth but another task.
const INCREASE_PERCENT_MAX: i64 = 900;

/// Amounts are 32-bit integers in ECS's API.
const MEMORY_MIB_MAX: i64 = 0x7fff_ffff;

const TIME_SHAPE: &str = "a time like `2026-11-21T10:00:00Z`";
const RETRY_FIELDS: [&str; 3] = ["attempts", "evaluateOnExit", "onOutOfMemory"];
const EVALUATION_FIELDS: [&str; 4] = ["action", "onExitCode", "onReason", "onStatusReason"];
const GROWTH_FIELDS: [&str; 2] = ["increasePercent", "maximumMiB"];

/// Reads `notBefore` or `startBy`.
pub(super) fn decode_time(field: &Field<'_>) -> Result<Timestamp, Refusal> {
    field.parsed(TIME_SHAPE, read_time)
}

/// Reads `timeoutSeconds`.
pub(super) fn decode_timeout(field: &Field<'_>) -> Result<Seconds, Refusal> {
    field
        .whole_number(TIMEOUT_SECONDS_MIN..=TIMEOUT_SECONDS_MAX)
        .map(Seconds::new)
}

/// Refuses terms under which the task could never start. `start_by` is the field, if there is one.
pub(super) fn check_times(terms: &Terms, start_by: Option<&Field<'_>>) -> Result<(), Refusal> {
    match (terms.not_before, terms.start_by, start_by) {
        (Some(earliest), Some(latest), Some(field)) if latest <= earliest => Err(field.refuse(&format!(
            "`{latest}` is not after `notBefore`, `{earliest}`: the task could never start; give a later time"
        ))),
        _ => Ok(()),
    }
}

/// Reads `retryStrategy`, as AWS Batch has it, and `onOutOfMemory`.
pub(super) fn decode_retry(field: &Field<'_>, settings: &Settings) -> Result<RetryStrategy, Refusal> {
    let object = field.object("an object with `attempts` and `evaluateOnExit`")?;
    let mut retry = RetryStrategy::default();
    for (name, field) in object.fields() {
        match name {
            "attempts" => retry.attempts = field.whole_number(1..=i64::from(ATTEMPTS_MAX))?,
            "evaluateOnExit" => {
                let items = field.items(EVALUATIONS_MAX, "rules")?;
                retry.evaluate_on_exit = items.iter().map(decode_evaluation).collect::<Result<_, _>>()?;
            }
            "onOutOfMemory" => {
                // More memory than the task definition says is an override of it.
                require_allowed(&field, Override::Resources, settings)?;
                retry.on_out_of_memory = Some(decode_growth(&field)?);
            }
            _ => return Err(field.unknown(&RETRY_FIELDS)),
        }
    }
    Ok(retry)
}

fn decode_evaluation(item: &Field<'_>) -> Result<EvaluateOnExit, Refusal> {
    let object = item.object("an object with `action` and a pattern")?;
    let (mut code, mut reason, mut status, mut action) = (None, None, None, None);
    for (name, field) in object.fields() {
        match name {
            "action" => action = Some(decode_action(&field)?),
            "onExitCode" => code = Some(decode_code_pattern(&field)?),
            "onReason" => reason = Some(decode_pattern(&field)?),
            "onStatusReason" => status = Some(decode_pattern(&field)?),
            _ => return Err(field.unknown(&EVALUATION_FIELDS)),
        }
    }
    if code.is_none() && reason.is_none() && status.is_none() {
        return Err(item.refuse("matches nothing: give `onExitCode`, `onReason` or `onStatusReason`"));
    }
    Ok(EvaluateOnExit {
        on_exit_code: code,
        on_reason: reason,
        on_status_reason: status,
        action: action.ok_or_else(|| object.missing("action", "`RETRY` or `EXIT`"))?,
    })
}

/// AWS Batch takes the words in any case.
fn decode_action(field: &Field<'_>) -> Result<ExitAction, Refusal> {
    match field.text("`RETRY` or `EXIT`")? {
        word if word.eq_ignore_ascii_case("RETRY") => Ok(ExitAction::Retry),
        word if word.eq_ignore_ascii_case("EXIT") => Ok(ExitAction::Exit),
        _ => field.choice(&[("RETRY", ExitAction::Retry), ("EXIT", ExitAction::Exit)]),
    }
}

fn decode_pattern(field: &Field<'_>) -> Result<Pattern, Refusal> {
    field.line(
        PATTERN_CHARACTERS_MAX,
        "a text in which `*` stands for any characters",
    )?;
    field.parsed("a pattern", read_pattern)
}

fn decode_code_pattern(field: &Field<'_>) -> Result<Pattern, Refusal> {
    let pattern = decode_pattern(field)?;
    let is_code = |c: char| c.is_ascii_digit() || c == '*' || c == '-';
    if pattern.as_str().chars().all(is_code) {
        Ok(pattern)
    } else {
        Err(field.refuse_value(
            "is no pattern of exit codes",
            "digits and `*`, such as `137` or `1*`",
        ))
    }
}

fn decode_growth(field: &Field<'_>) -> Result<MemoryGrowth, Refusal> {
    let object = field.object("an object with `increasePercent` and `maximumMiB`")?;
    let (mut increase, mut maximum) = (None, None);
    for (name, field) in object.fields() {
        match name {
            "increasePercent" => increase = Some(field.whole_number(1..=INCREASE_PERCENT_MAX)?),
            "maximumMiB" => maximum = Some(field.whole_number(1..=MEMORY_MIB_MAX).map(MemoryMib::new)?),
            _ => return Err(field.unknown(&GROWTH_FIELDS)),
        }
    }
    Ok(MemoryGrowth {
        increase_percent: increase
            .ok_or_else(|| object.missing("increasePercent", "how much more each time, such as `50`"))?,
        maximum: maximum.ok_or_else(|| object.missing("maximumMiB", "MiB that no run gets more than"))?,
    })
}
