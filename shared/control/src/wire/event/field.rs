//! Single JSON values of an event, read without believing their type, so that a wrong one can be named.

use std::borrow::Cow;
use std::fmt;

use berth_scheduler::timestamp::Timestamp;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Longest part of a value that is repeated in an explanation, in characters.
const SHOWN_CHARS_MAX: usize = 100;
/// Below this, every whole number has its own 64-bit float.
const FLOAT_EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A field that keeps an event from being used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldError {
    pub(super) field: Cow<'static, str>,
    pub(super) reason: String,
}

impl FieldError {
    pub(super) fn new(field: impl Into<Cow<'static, str>>, reason: impl fmt::Display) -> Self {
        Self {
            field: field.into(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn missing(field: impl Into<Cow<'static, str>>) -> Self {
        Self::new(field, "missing")
    }

    fn expected(field: &'static str, found: &Scalar<'_>, expected: impl fmt::Display) -> Self {
        Self::new(field, format_args!("`{found}` is not {expected}"))
    }
}

/// At most `chars_max` characters of a text.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    text.chars().take(chars_max).collect()
}

/// One JSON value: kept when it is a scalar, only known to be there when it is not. Reading one never fails
/// because of its type.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Scalar<'a> {
    /// Not there, or null.
    #[default]
    Absent,
    Flag(bool),
    Whole(i128),
    Float(f64),
    Text(Cow<'a, str>),
    /// An array or an object.
    Compound,
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("null"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(&cut(text, SHOWN_CHARS_MAX)),
            Self::Compound => f.write_str("an array or object"),
        }
    }
}

impl Scalar<'_> {
    /// The text, if there is one.
    pub(super) fn text(&self, field: &'static str) -> Result<Option<&str>, FieldError> {
        match self {
            Self::Absent => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            other => Err(FieldError::expected(field, other, "a text")),
        }
    }

    /// The text, or what a message shows for a value that is none.
    pub(super) fn shown(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            other => Cow::Owned(other.to_string()),
        }
    }

    /// The text that must be there.
    pub(super) fn needed_text(&self, field: &'static str) -> Result<&str, FieldError> {
        self.text(field)?.ok_or(FieldError::missing(field))
    }

    /// The truth value that must be there.
    pub(super) fn needed_flag(&self, field: &'static str) -> Result<bool, FieldError> {
        match self {
            Self::Absent => Err(FieldError::missing(field)),
            Self::Flag(flag) => Ok(*flag),
            other => Err(FieldError::expected(field, other, "true or false")),
        }
    }

    /// The whole number from 0 to `most`, if there is one.
    pub(super) fn count(&self, field: &'static str, most: u64) -> Result<Option<u64>, FieldError> {
        if *self == Self::Absent {
            return Ok(None);
        }
        let number = self.whole().and_then(|number| u64::try_from(number).ok());
        number
            .filter(|number| *number <= most)
            .map(Some)
            .ok_or_else(|| FieldError::expected(field, self, format_args!("a whole number from 0 to {most}")))
    }

    /// The whole number, also when it is written as `5.0`.
    pub(super) fn whole(&self) -> Option<i128> {
        match self {
            Self::Whole(number) => Some(*number),
            Self::Float(number) if number.fract() == 0.0 && number.abs() < FLOAT_EXACT_MAX => {
                Some(exact_whole(*number))
            }
            _ => None,
        }
    }

    /// The instant: ISO 8601 as in events, or seconds since 1970 as in answers of the ECS API. `None` when it
    /// is neither.
    pub(super) fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Text(text) => Timestamp::parse_iso8601(text),
            Self::Whole(seconds) => {
                let millis = i64::try_from(seconds.checked_mul(1_000)?).ok()?;
                Some(Timestamp::from_millis(millis))
            }
            Self::Float(seconds) => {
                let millis = (seconds * 1_000.0).round();
                (millis.abs() < FLOAT_EXACT_MAX)
                    .then(|| i64::try_from(exact_whole(millis)).ok())
                    .flatten()
                    .map(Timestamp::from_millis)
            }
            Self::Absent | Self::Flag(_) | Self::Compound => None,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "callers checked that it is whole and within 2^53"
)]
fn exact_whole(number: f64) -> i128 {
    number as i128
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Absent)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Whole(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Whole(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Float(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Compound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Compound)
    }
}
