//! Amounts as task definitions and overrides write them: `256`, `.5 vCPU`, `1GB`.

use crate::quantity::{CpuUnits, MemoryMib};

/// CPU units in a vCPU, and MiB in what ECS calls a GB.
const PER_LARGE_UNIT: u64 = 1_024;

/// More digits after the point than any real amount has.
const FRACTION_DIGITS_MAX: usize = 9;

/// A field whose value is not what ECS takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field.
    pub field: String,
    /// Its value.
    pub value: String,
    /// What would be good.
    pub expected: &'static str,
}

impl FieldError {
    /// An error that names the field, its value (cut when it is very long) and what would be good.
    pub fn new(field: impl Into<String>, value: impl std::fmt::Display, expected: &'static str) -> Self {
        let value = value.to_string().chars().take(200).collect();
        Self {
            field: field.into(),
            value,
            expected,
        }
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: `{}` is not valid: give {}",
            self.field, self.value, self.expected
        )
    }
}

impl std::error::Error for FieldError {}

/// Reads a task's CPU: units such as `256`, or vCPUs such as `1 vCPU`.
///
/// # Errors
/// When the text is neither, or the amount is larger than an integer of ECS's API.
pub fn read_cpu(field: &str, text: &str) -> Result<CpuUnits, FieldError> {
    let expected = "CPU units such as `256`, or vCPUs such as `1 vCPU`";
    amount(text, "vcpu")
        .map(CpuUnits::new)
        .ok_or_else(|| FieldError::new(field, text, expected))
}

/// Reads a task's memory: MiB such as `512`, or GB such as `1 GB`.
///
/// # Errors
/// When the text is neither, or the amount is larger than an integer of ECS's API.
pub fn read_memory(field: &str, text: &str) -> Result<MemoryMib, FieldError> {
    let expected = "MiB such as `512`, or GB such as `1 GB`";
    amount(text, "gb")
        .map(MemoryMib::new)
        .ok_or_else(|| FieldError::new(field, text, expected))
}

/// Reads an amount that the API gives as a number.
///
/// # Errors
/// When it is negative or larger than an integer of ECS's API.
pub fn read_count(field: &str, number: i64) -> Result<u32, FieldError> {
    let count = u32::try_from(number)
        .ok()
        .filter(|count| *count <= i32::MAX.unsigned_abs());
    count.ok_or_else(|| FieldError::new(field, number, "a whole number from 0 to 2147483647"))
}

/// Reads a port number, 0 included.
///
/// # Errors
/// When it is not a port number.
pub fn read_port(field: &str, number: i64) -> Result<u16, FieldError> {
    u16::try_from(number).map_err(|_| FieldError::new(field, number, "a port number from 0 to 65535"))
}

/// `512`, or a decimal number of `large_unit`s of 1,024.
fn amount(text: &str, large_unit: &str) -> Option<u32> {
    let text = text.trim().to_ascii_lowercase();
    let amount = match text.strip_suffix(large_unit) {
        Some(number) => large_units(number.trim_end())?,
        None => digits(&text)?,
    };
    u32::try_from(amount)
        .ok()
        .filter(|amount| *amount <= i32::MAX.unsigned_abs())
}

/// A decimal number times 1,024, rounded down.
fn large_units(number: &str) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if number.is_empty() || fraction.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    // `.5` is how ECS's own examples write one half.
    let whole = if whole.is_empty() { 0 } else { digits(whole)? };
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = digits(fraction)?
        .checked_mul(PER_LARGE_UNIT)?
        .checked_div(scale)?;
    whole.checked_mul(PER_LARGE_UNIT)?.checked_add(fraction)
}

fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}
