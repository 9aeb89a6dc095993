//! When a task may start, how long it may run and when it is run again, in the words of a submission. The same
//! form is part of the stored task.

use berth_scheduler::quantity::{MemoryMib, Seconds};
use berth_scheduler::retry::{EvaluateOnExit, ExitAction, MemoryGrowth, Pattern, RetryStrategy};
use berth_scheduler::terms::Terms;
use berth_scheduler::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// The terms of a task; what is left at its default is not written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TermsForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_strategy: Option<RetryForm>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetryForm {
    attempts: u8,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    evaluate_on_exit: Vec<EvaluationForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_out_of_memory: Option<GrowthForm>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EvaluationForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_exit_code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_status_reason: Option<String>,
    action: ActionForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum ActionForm {
    Retry,
    Exit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GrowthForm {
    increase_percent: u16,
    #[serde(rename = "maximumMiB")]
    maximum_mib: u32,
}

impl TermsForm {
    /// Whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The terms.
    ///
    /// # Errors
    /// What cannot be read, and why.
    pub fn read(&self) -> Result<Terms, String> {
        Ok(Terms {
            not_before: self.not_before.as_deref().map(read_time).transpose()?,
            start_by: self.start_by.as_deref().map(read_time).transpose()?,
            timeout: self.timeout_seconds.map(Seconds::new),
            retry: match &self.retry_strategy {
                None => RetryStrategy::default(),
                Some(form) => form.read()?,
            },
        })
    }
}

/// Reads an instant in ISO 8601.
pub(crate) fn read_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_iso8601(text).ok_or_else(|| format!("`{text}` is not a time like 2026-11-21T10:00:00Z"))
}

/// Reads a pattern.
pub(crate) fn read_pattern(text: &str) -> Result<Pattern, String> {
    Pattern::parse(text).ok_or_else(|| format!("`{text}` is not a pattern of 1 to 512 characters"))
}

impl RetryForm {
    fn read(&self) -> Result<RetryStrategy, String> {
        let evaluations = self.evaluate_on_exit.iter().map(EvaluationForm::read);
        Ok(RetryStrategy {
            attempts: self.attempts,
            evaluate_on_exit: evaluations.collect::<Result<_, _>>()?,
            on_out_of_memory: self.on_out_of_memory.map(|form| MemoryGrowth {
                increase_percent: form.increase_percent,
                maximum: MemoryMib::new(form.maximum_mib),
            }),
        })
    }
}

impl EvaluationForm {
    fn read(&self) -> Result<EvaluateOnExit, String> {
        let pattern = |text: &Option<String>| text.as_deref().map(read_pattern).transpose();
        Ok(EvaluateOnExit {
            on_exit_code: pattern(&self.on_exit_code)?,
            on_reason: pattern(&self.on_reason)?,
            on_status_reason: pattern(&self.on_status_reason)?,
            action: match self.action {
                ActionForm::Retry => ExitAction::Retry,
                ActionForm::Exit => ExitAction::Exit,
            },
        })
    }
}

impl From<&Terms> for TermsForm {
    fn from(terms: &Terms) -> Self {
        let retry = &terms.retry;
        Self {
            not_before: terms.not_before.map(|at| at.to_string()),
            start_by: terms.start_by.map(|at| at.to_string()),
            timeout_seconds: terms.timeout.map(Seconds::get),
            retry_strategy: (*retry != RetryStrategy::default()).then(|| RetryForm {
                attempts: retry.attempts,
                evaluate_on_exit: retry.evaluate_on_exit.iter().map(EvaluationForm::from).collect(),
                on_out_of_memory: retry.on_out_of_memory.map(|growth| GrowthForm {
                    increase_percent: growth.increase_percent,
                    maximum_mib: growth.maximum.get(),
                }),
            }),
        }
    }
}

impl From<&EvaluateOnExit> for EvaluationForm {
    fn from(rule: &EvaluateOnExit) -> Self {
        let text = |pattern: &Option<Pattern>| pattern.as_ref().map(|it| it.as_str().to_owned());
        Self {
            on_exit_code: text(&rule.on_exit_code),
            on_reason: text(&rule.on_reason),
            on_status_reason: text(&rule.on_status_reason),
            action: match rule.action {
                ExitAction::Retry => ActionForm::Retry,
                ExitAction::Exit => ActionForm::Exit,
            },
        }
    }
}
