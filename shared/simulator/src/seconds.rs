//! Lengths of time as people write them.

/// Milliseconds from decimal seconds such as `12` or `0.25`, with at most three digits after the point.
pub fn read_millis(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 3 {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<3}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000)?
        .checked_add(fraction)
}

/// Decimal seconds from milliseconds, as [`read_millis`] reads them.
pub fn write_millis(millis: u64) -> String {
    let (whole, fraction) = (millis / 1_000, millis % 1_000);
    if fraction == 0 {
        return whole.to_string();
    }
    format!("{whole}.{fraction:03}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_to_the_millisecond() {
        for (text, millis) in [
            ("12", Some(12_000)),
            ("0.25", Some(250)),
            ("0.250", Some(250)),
            ("1.", None),
            (".5", None),
            ("1.2345", None),
            ("-1", None),
            ("1e3", None),
            ("", None),
        ] {
            assert_eq!(read_millis(text), millis, "{text}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        for (millis, text) in [
            (12_000, "12"),
            (250, "0.25"),
            (7, "0.007"),
            (1_100, "1.1"),
            (0, "0"),
        ] {
            assert_eq!(write_millis(millis), text);
            assert_eq!(read_millis(text), Some(millis));
        }
    }
}
