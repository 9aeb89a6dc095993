//! Whether two submissions ask for the same.

use std::fmt;

use berth_scheduler::shape::Strategy;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::LaunchRequest;
use crate::wire::terms::TermsForm;

/// SHA-256 of what a submission asks for, its id left out. Neither the order of its fields, nor white space,
/// nor a default written out makes a difference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Reads a hash as [`fmt::Display`] writes it; `None` when the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64
            || !text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let start = index.checked_mul(2)?;
            *byte = u8::from_str_radix(text.get(start..start.checked_add(2)?)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// As 64 lower-case hexadecimal digits.
impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// What counts, in a fixed order. Renaming or reordering its fields, or those of [`LaunchRequest`], makes
/// every repeated message look like another one; a new field must be left out when it is at its default.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content<'a> {
    pub(super) cluster: &'a str,
    pub(super) count: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expected_duration_seconds: Option<u32>,
    #[serde(serialize_with = "strategies_as_text")]
    pub(super) placement_strategy: &'a [Strategy],
    pub(super) priority: u16,
    /// With the group filled in.
    pub(super) request: LaunchRequest,
    pub(super) task_definition: &'a str,
    #[serde(flatten)]
    pub(super) terms: TermsForm,
}

impl ContentHash {
    pub(super) fn of(content: &Content<'_>) -> Self {
        // Texts, numbers and lists only: there is nothing in it that could fail to become JSON.
        let canonical = serde_json::to_string(content).unwrap_or_default();
        Self(Sha256::digest(canonical).into())
    }
}

fn strategies_as_text<S: Serializer>(strategies: &[Strategy], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(strategies.iter().map(strategy_text))
}

fn strategy_text(strategy: &Strategy) -> String {
    match strategy {
        Strategy::Random => "random".to_owned(),
        Strategy::Binpack(field) => format!("binpack {}", field.as_str()),
        Strategy::Spread(field) => format!("spread {field}"),
    }
}
