//! Which ends are counted. Each one counted is a write, and a family that has ended often is known well by a sample of
//! its ends: all ends are counted until there are some, and one in eight from then on.

use super::RunTimeCounts;
use crate::id::AttemptId;

/// With fewer counts than this every end is counted. With as many the median is most often off by no more than a
/// bucket or two, and half of what is ever kept is far above: a family that is counted by sample stays so.
pub const ALL_COUNTED_BELOW: u32 = 32;

/// Else one end in so many is counted.
const ENDS_PER_SAMPLE: u64 = 8;

// Halving must not bring a family back to where all its ends are counted, where each would count as much as eight others.
const _: () = assert!(
    RunTimeCounts::TOTAL_MAX / 2 > ALL_COUNTED_BELOW,
    "halved counts are still enough"
);

/// Whether the end of this attempt is counted whatever is known of its family. It depends on nothing but the name of
/// the attempt, so long and short runs are as likely, and an end that is reported twice is decided on as before.
pub fn is_sample(attempt: &AttemptId) -> bool {
    hash(&attempt.started_by()).is_multiple_of(ENDS_PER_SAMPLE)
}

impl RunTimeCounts {
    /// Whether there are too few counts to leave any end out.
    pub fn are_few(&self) -> bool {
        self.total() < ALL_COUNTED_BELOW
    }
}

/// FNV-1a, and a last mix (that of `MurmurHash3`), without which names that differ in their last digit only would not
/// be spread evenly.
fn hash(text: &str) -> u64 {
    let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, add);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::super::RunTimeBucket;
    use super::*;
    use crate::id::{AttemptNumber, TaskId};

    fn attempt(task: &str, number: u64) -> AttemptId {
        AttemptId {
            task: TaskId::parse(task).unwrap(),
            number: AttemptNumber::new(number),
        }
    }

    #[test]
    fn one_attempt_in_eight_is_a_sample_however_they_are_named() {
        let names: [fn(u64) -> AttemptId; 4] = [
            |number| attempt(&format!("job-{number}"), 1),
            |number| attempt(&format!("{number:036}"), 1),
            |number| attempt(&format!("{:x}-nightly", number * 7_919), 2),
            |number| attempt("job", number),
        ];
        for name in names {
            let samples = (0..8_000).filter(|number| is_sample(&name(*number))).count();
            assert!((850..1_150).contains(&samples), "{samples} of {}", name(0));
        }
    }

    #[test]
    fn no_stretch_of_attempts_is_without_samples() {
        for start in (0..10_000).step_by(100) {
            let stretch = start..start + 100;
            let samples = stretch.filter(|number| is_sample(&attempt(&format!("job-{number}"), 1)));
            assert!((1..=30).contains(&samples.count()), "from {start}");
        }
    }

    /// Another choice would count some ends twice and others never while two releases run side by side.
    #[test]
    fn the_choice_is_the_same_in_every_release() {
        let samples: Vec<u64> = (0..40)
            .filter(|number| is_sample(&attempt("job", *number)))
            .collect();
        assert_eq!(samples, [5, 22]);
    }

    /// Plays the ends of a family: those that run a minute become ones that run an hour.
    #[test]
    fn a_family_is_counted_by_sample_for_good_and_follows_what_changes() {
        let mut counts = RunTimeCounts::default();
        let mut writes = 0;
        for number in 0..20_000 {
            let bucket = RunTimeBucket::of_seconds(if number < 10_000 { 60 } else { 3_600 });
            assert!(number < 32 || !counts.are_few(), "after {number} ends");
            if is_sample(&attempt(&format!("job-{number}"), 1)) || counts.are_few() {
                counts.add(bucket, 1);
                writes += 1;
            }
            counts = counts.halved().unwrap_or(counts);
            // Once as many have run an hour as are kept.
            if number > 13_000 {
                let projected = counts.projected_seconds(0).unwrap();
                assert!(projected > 2_000, "{projected} s after {number} ends");
            }
        }
        assert!((2_300..2_800).contains(&writes), "{writes}");
    }
}
