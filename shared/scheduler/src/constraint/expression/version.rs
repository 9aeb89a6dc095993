//! Version numbers: numbers joined by dots, of any length.

use std::cmp::Ordering;

/// Digits and dots such as `1.14.5` or `42`, kept as text and compared number by number.
///
/// Equal means the same text; `1.14` and `1.14.0` are different version numbers that compare as equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VersionNumber(Box<str>);

impl VersionNumber {
    pub(super) fn parse(text: &str) -> Option<VersionNumber> {
        is_version_number(text).then(|| VersionNumber(text.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// How `value` stands to this version number; `None` when `value` is not one.
    ///
    /// Numbers are compared from left to right, a number that is not there counts as 0. So 1.9 is
    /// before 1.14, unlike as decimals: in ECS attributes a dotted number is a version.
    pub(super) fn order_of(&self, value: &str) -> Option<Ordering> {
        if !is_version_number(value) {
            return None;
        }
        let mut of_value = value.as_bytes().split(is_dot);
        let mut of_self = self.0.as_bytes().split(is_dot);
        loop {
            let order = match (of_value.next(), of_self.next()) {
                (None, None) => return Some(Ordering::Equal),
                (one, other) => compare_digits(one.unwrap_or(b"0"), other.unwrap_or(b"0")),
            };
            if order.is_ne() {
                return Some(order);
            }
        }
    }
}

fn is_version_number(text: &str) -> bool {
    text.as_bytes()
        .split(is_dot)
        .all(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

fn is_dot(byte: &u8) -> bool {
    *byte == b'.'
}

/// Compares as whole numbers, without a limit on the number of digits.
fn compare_digits(one: &[u8], other: &[u8]) -> Ordering {
    let (one, other) = (without_leading_zeros(one), without_leading_zeros(other));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

fn without_leading_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_number_by_number() {
        for (value, version, expected) in [
            ("1.9", "1.14.5", Ordering::Less),
            ("1.14.4", "1.14.5", Ordering::Less),
            ("1.14.5", "1.14.5", Ordering::Equal),
            ("1.14", "1.14.0", Ordering::Equal),
            ("01.014", "1.14", Ordering::Equal),
            ("1.14.5.1", "1.14.5", Ordering::Greater),
            ("2", "1.99", Ordering::Greater),
            (
                "100000000000000000000000000000001",
                "99999999999999999999999999999999",
                Ordering::Greater,
            ),
        ] {
            let version = VersionNumber::parse(version).unwrap();
            assert_eq!(
                version.order_of(value),
                Some(expected),
                "{value} against {}",
                version.as_str()
            );
        }
    }

    #[test]
    fn only_digits_and_dots_between_them_are_a_version_number() {
        for text in [
            "", ".", "1.", ".1", "1..2", "v1.2", "1.2-rc1", "-1", "+1", "1 ", "١",
        ] {
            assert_eq!(VersionNumber::parse(text), None, "{text}");
            assert_eq!(VersionNumber::parse("1").unwrap().order_of(text), None, "{text}");
        }
    }
}
