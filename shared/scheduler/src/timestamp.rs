//! Instants: milliseconds since 1970 in UTC, read from and written as ISO 8601.
//!
//! The core has no clock. Instants come in with observations and submissions and are only compared and moved.

use std::fmt;

const MILLIS_PER_SECOND: i64 = 1_000;
const SECONDS_PER_MINUTE: i64 = 60;
const SECONDS_PER_HOUR: i64 = 3_600;
const SECONDS_PER_DAY: i64 = 86_400;

/// Days from 0001-01-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_162;
const DAYS_PER_400_YEARS: i64 = 146_097;
const DAYS_PER_100_YEARS: i64 = 36_524;
const DAYS_PER_4_YEARS: i64 = 1_461;
const DAYS_PER_YEAR: i64 = 365;

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
///
/// Always within the years 1 to 9999, so that every timestamp can be written as ISO 8601 with a
/// four-digit year. What lies outside is moved to the nearest end, which keeps the order of instants.
///
/// ```
/// use berth_scheduler::timestamp::Timestamp;
///
/// let registered = Timestamp::parse_iso8601("2018-06-18T22:28:28+00:00");
/// assert_eq!(registered, Some(Timestamp::from_millis(1_529_360_908_000)));
/// assert_eq!(Timestamp::from_millis(1_529_360_908_000).to_string(), "2018-06-18T22:28:28.000Z");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest timestamp, 0001-01-01T00:00:00.000Z.
    pub const MIN: Timestamp = Timestamp(-62_135_596_800_000);
    /// The latest timestamp, 9999-12-31T23:59:59.999Z.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    /// The instant `millis` milliseconds after 1970, or the nearest one within the years 1 to 9999.
    pub const fn from_millis(millis: i64) -> Timestamp {
        if millis < Self::MIN.0 {
            Self::MIN
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Timestamp(millis)
        }
    }

    /// Milliseconds since 1970; negative before.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads `2018-06-18T22:28:28+00:00`, the same with `Z` or without a zone, and `2018-06-18` alone.
    ///
    /// Seconds may carry one to nine fraction digits; what is finer than a millisecond is dropped.
    /// A text without a zone is in UTC, a date alone is its midnight. Returns `None` for anything else,
    /// also for dates that do not exist, leap seconds and instants outside the years 1 to 9999.
    pub fn parse_iso8601(text: &str) -> Option<Timestamp> {
        let mut reader = Reader {
            rest: text.as_bytes(),
        };
        let day = reader.date()?;
        if reader.rest.is_empty() {
            return Self::from_parts(day, 0, 0);
        }
        reader.one_of(b"Tt")?;
        let second_of_day = reader.time_of_day()?;
        let millis = reader.fraction_millis()?;
        let offset_seconds = reader.zone_offset_seconds()?;
        if !reader.rest.is_empty() {
            return None;
        }
        Self::from_parts(day, second_of_day.checked_sub(offset_seconds)?, millis)
    }

    /// This instant moved `millis` milliseconds later, at most to [`Timestamp::MAX`].
    #[must_use]
    pub const fn saturating_add_millis(self, millis: u64) -> Timestamp {
        Self::from_millis(self.0.saturating_add_unsigned(millis))
    }

    /// This instant moved `seconds` seconds later, at most to [`Timestamp::MAX`].
    #[must_use]
    pub const fn saturating_add_seconds(self, seconds: u64) -> Timestamp {
        self.saturating_add_millis(seconds.saturating_mul(MILLIS_PER_SECOND.unsigned_abs()))
    }

    /// Milliseconds from `earlier` to this instant; 0 when `earlier` is in fact later.
    pub const fn millis_since(self, earlier: Timestamp) -> u64 {
        if self.0 <= earlier.0 {
            0
        } else {
            self.0.abs_diff(earlier.0)
        }
    }

    /// `None` outside the years 1 to 9999.
    fn from_parts(day: i64, second_of_day: i64, millis: i64) -> Option<Timestamp> {
        let seconds = day
            .checked_sub(DAYS_TO_EPOCH)?
            .checked_mul(SECONDS_PER_DAY)?
            .checked_add(second_of_day)?;
        let since_epoch = seconds.checked_mul(MILLIS_PER_SECOND)?.checked_add(millis)?;
        let timestamp = Self::from_millis(since_epoch);
        (timestamp.0 == since_epoch).then_some(timestamp)
    }
}

/// As ISO 8601 in UTC with milliseconds: `2018-06-18T22:28:28.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.rem_euclid(MILLIS_PER_SECOND);
        let seconds = self.0.div_euclid(MILLIS_PER_SECOND);
        let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let (year, month, day) =
            date_of_day(seconds.div_euclid(SECONDS_PER_DAY).saturating_add(DAYS_TO_EPOCH));
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
            second_of_day / SECONDS_PER_HOUR,
            second_of_day / SECONDS_PER_MINUTE % 60,
            second_of_day % SECONDS_PER_MINUTE,
        )
    }
}

/// Days from 0001-01-01 to the given date; `None` when that date does not exist.
fn day_of_date(year: i64, month: i64, day: i64) -> Option<i64> {
    if year < 1 || day < 1 || day > days_in_month(year, month)? {
        return None;
    }
    let years = year.checked_sub(1)?;
    let mut days = years
        .checked_mul(DAYS_PER_YEAR)?
        .checked_add(years / 4)?
        .checked_sub(years / 100)?
        .checked_add(years / 400)?;
    for earlier_month in 1..month {
        days = days.checked_add(days_in_month(year, earlier_month)?)?;
    }
    days.checked_add(day)?.checked_sub(1)
}

/// Year, month and day that lie `days` days (at least 0) after 0001-01-01.
fn date_of_day(days: i64) -> (i64, i64, i64) {
    // The last day of a leap cycle would count as one cycle too many, hence `min(3)`.
    let cycles = days / DAYS_PER_400_YEARS;
    let days = days % DAYS_PER_400_YEARS;
    let centuries = (days / DAYS_PER_100_YEARS).min(3);
    let days = days.saturating_sub(centuries.saturating_mul(DAYS_PER_100_YEARS));
    let leap_cycles = days / DAYS_PER_4_YEARS;
    let days = days % DAYS_PER_4_YEARS;
    let years = (days / DAYS_PER_YEAR).min(3);
    let mut day = days.saturating_sub(years.saturating_mul(DAYS_PER_YEAR));

    let year = [
        cycles.saturating_mul(400),
        centuries.saturating_mul(100),
        leap_cycles.saturating_mul(4),
        years,
    ]
    .into_iter()
    .fold(1_i64, i64::saturating_add);
    let mut month = 1_i64;
    while let Some(length) = days_in_month(year, month).filter(|length| day >= *length) {
        day = day.saturating_sub(length);
        month = month.saturating_add(1);
    }
    (year, month, day.saturating_add(1))
}

/// `None` when `month` is not 1 to 12.
fn days_in_month(year: i64, month: i64) -> Option<i64> {
    let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap_year => Some(29),
        2 => Some(28),
        4 | 6 | 9 | 11 => Some(30),
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        _ => None,
    }
}

/// Reads the parts of an ISO 8601 text from left to right.
struct Reader<'t> {
    rest: &'t [u8],
}

impl Reader<'_> {
    fn date(&mut self) -> Option<i64> {
        let year = self.number(4)?;
        self.one_of(b"-")?;
        let month = self.number(2)?;
        self.one_of(b"-")?;
        let day = self.number(2)?;
        day_of_date(year, month, day)
    }

    /// Seconds since midnight.
    fn time_of_day(&mut self) -> Option<i64> {
        let hour = self.number_below(24)?;
        self.one_of(b":")?;
        let minute = self.number_below(60)?;
        self.one_of(b":")?;
        let second = self.number_below(60)?;
        hour.checked_mul(SECONDS_PER_HOUR)?
            .checked_add(minute.checked_mul(SECONDS_PER_MINUTE)?)?
            .checked_add(second)
    }

    fn fraction_millis(&mut self) -> Option<i64> {
        if self.one_of(b".").is_none() {
            return Some(0);
        }
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        let (fraction, rest) = self.rest.split_at_checked(digits)?;
        self.rest = rest;
        // Padding on the right makes tenths and hundredths count as such.
        let mut padded = fraction.iter().copied().chain([b'0', b'0']);
        (0..3).try_fold(0, |millis, _| append_digit(millis, padded.next()?))
    }

    /// Seconds that the local time is ahead of UTC: `Z` and nothing are 0, `+01:30` and `+0130` are 5400.
    fn zone_offset_seconds(&mut self) -> Option<i64> {
        if self.rest.is_empty() || self.one_of(b"Zz").is_some() {
            return Some(0);
        }
        let sign = if self.one_of(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.number_below(24)?;
        self.one_of(b":");
        let minutes = self.number_below(60)?;
        hours
            .checked_mul(SECONDS_PER_HOUR)?
            .checked_add(minutes.checked_mul(SECONDS_PER_MINUTE)?)?
            .checked_mul(sign)
    }

    fn number_below(&mut self, limit: i64) -> Option<i64> {
        self.number(2).filter(|number| *number < limit)
    }

    /// Exactly `digits` decimal digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.rest.split_at_checked(digits)?;
        self.rest = rest;
        number
            .iter()
            .try_fold(0, |value, byte| append_digit(value, *byte))
    }

    fn one_of(&mut self, accepted: &[u8]) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        if !accepted.contains(first) {
            return None;
        }
        self.rest = rest;
        Some(*first)
    }
}

fn append_digit(number: i64, digit: u8) -> Option<i64> {
    let digit = (digit as char).to_digit(10)?;
    number.checked_mul(10)?.checked_add(i64::from(digit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What `text` reads as, written back.
    fn reread(text: &str) -> Option<String> {
        Timestamp::parse_iso8601(text).map(|timestamp| timestamp.to_string())
    }

    #[test]
    fn every_documented_format_reads_as_the_same_instant() {
        for text in [
            "2018-06-18T22:28:28+00:00",
            "2018-06-18T22:28:28Z",
            "2018-06-18T22:28:28",
            "2018-06-18T22:28:28.000",
            "2018-06-18T22:28:28.0Z",
            "2018-06-18T22:28:28.000000000+00:00",
            "2018-06-19T00:28:28+02:00",
            "2018-06-18T16:58:28-0530",
        ] {
            assert_eq!(
                Timestamp::parse_iso8601(text).map(Timestamp::as_millis),
                Some(1_529_360_908_000),
                "{text}"
            );
        }
        assert_eq!(reread("2018-06-18").as_deref(), Some("2018-06-18T00:00:00.000Z"));
    }

    #[test]
    fn fractions_finer_than_a_millisecond_are_dropped_also_before_1970() {
        assert_eq!(
            reread("2018-06-18T22:28:28.5Z").as_deref(),
            Some("2018-06-18T22:28:28.500Z")
        );
        assert_eq!(
            reread("2018-06-18T22:28:28.04Z").as_deref(),
            Some("2018-06-18T22:28:28.040Z")
        );
        assert_eq!(
            reread("2018-06-18T22:28:28.123987654").as_deref(),
            Some("2018-06-18T22:28:28.123Z")
        );
        assert_eq!(
            reread("1969-12-31T23:59:59.9999Z").as_deref(),
            Some("1969-12-31T23:59:59.999Z")
        );
    }

    #[test]
    fn what_is_not_a_date_is_refused() {
        for text in [
            "",
            "2018",
            "2018-06",
            "2018-6-18",
            "2018-13-01",
            "2018-00-01",
            "2018-02-29",
            "1900-02-29",
            "2018-06-31",
            "2018-06-00",
            "0000-01-01",
            "2018-06-18T",
            "2018-06-18 22:28:28",
            "2018-06-18T22:28",
            "2018-06-18T24:00:00",
            "2018-06-18T22:60:00",
            "2018-06-18T22:28:60",
            "2018-06-18T22:28:28.",
            "2018-06-18T22:28:28.1234567890",
            "2018-06-18T22:28:28+24:00",
            "2018-06-18T22:28:28+1",
            "2018-06-18T22:28:28ZZ",
            "2018-06-18Z",
            "+018-06-18",
            "２０１８-06-18",
            "9999-12-31T23:59:59-00:01",
            "0001-01-01T00:00:00+00:01",
        ] {
            assert_eq!(reread(text), None, "{text}");
        }
    }

    #[test]
    fn both_ends_of_the_range_can_be_read_and_written() {
        assert_eq!(Timestamp::parse_iso8601("0001-01-01"), Some(Timestamp::MIN));
        assert_eq!(
            Timestamp::parse_iso8601("9999-12-31T23:59:59.999Z"),
            Some(Timestamp::MAX)
        );
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_millis(i64::MIN), Timestamp::MIN);
        assert_eq!(Timestamp::from_millis(i64::MAX), Timestamp::MAX);
    }

    #[test]
    fn leap_days_follow_the_400_year_rule() {
        for text in [
            "2000-02-29",
            "2024-02-29",
            "2000-12-31",
            "1600-12-31",
            "2100-03-01",
            "0400-12-31",
        ] {
            assert_eq!(reread(text), Some(format!("{text}T00:00:00.000Z")));
        }
        let leap_day = Timestamp::parse_iso8601("2024-02-28")
            .unwrap()
            .saturating_add_seconds(86_400);
        assert_eq!(leap_day.to_string(), "2024-02-29T00:00:00.000Z");
    }

    #[test]
    fn moving_and_measuring_saturate() {
        let noon = Timestamp::parse_iso8601("2024-01-01T12:00:00Z").unwrap();
        let later = noon.saturating_add_seconds(61).saturating_add_millis(5);
        assert_eq!(later.to_string(), "2024-01-01T12:01:01.005Z");
        assert_eq!(later.millis_since(noon), 61_005);
        assert_eq!(noon.millis_since(later), 0);
        assert_eq!(noon.saturating_add_millis(u64::MAX), Timestamp::MAX);
        assert_eq!(noon.saturating_add_seconds(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.millis_since(Timestamp::MIN), 315_537_897_599_999);
    }

    proptest! {
        #[test]
        fn every_timestamp_is_read_back_as_it_was_written(millis in any::<i64>(), near in -4_000_000_000_000_i64..4_000_000_000_000) {
            for timestamp in [Timestamp::from_millis(millis), Timestamp::from_millis(near)] {
                prop_assert_eq!(Timestamp::parse_iso8601(&timestamp.to_string()), Some(timestamp));
            }
        }

        #[test]
        fn consecutive_days_are_one_day_apart(day in 0_i64..3_652_058) {
            let (year, month, of_month) = date_of_day(day);
            prop_assert_eq!(day_of_date(year, month, of_month), Some(day));
        }

        #[test]
        fn written_timestamps_sort_like_the_instants(one in any::<i64>(), other in any::<i64>()) {
            let (one, other) = (Timestamp::from_millis(one), Timestamp::from_millis(other));
            prop_assert_eq!(one.to_string().cmp(&other.to_string()), one.cmp(&other));
        }

        #[test]
        fn any_text_is_read_or_refused_without_panicking(text in "[-0-9TtZz:.+ é]{0,40}") {
            let _ = Timestamp::parse_iso8601(&text);
        }
    }
}
