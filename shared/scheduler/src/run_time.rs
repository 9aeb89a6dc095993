//! How long tasks run: what their submissions declare, and what is learnt from those that have ended.
//!
//! Run times only help to choose: which instance to set aside, and which task may use it meanwhile. Nobody is
//! admitted to room that a projection promises; room is what has been given back.

pub mod counting;

use std::collections::BTreeMap;

use crate::id::{TaskFamily, TaskGroup};
use crate::report::TaskEnd;
use crate::timestamp::Timestamp;

/// A run time in whole seconds, 1 to [`RunSeconds::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunSeconds(u32);

impl RunSeconds {
    /// The longest, in seconds: a year.
    pub const MAX: u32 = 31_536_000;

    /// A run time; `None` for 0 and above [`RunSeconds::MAX`].
    pub const fn new(seconds: u32) -> Option<Self> {
        if seconds >= 1 && seconds <= Self::MAX {
            Some(Self(seconds))
        } else {
            None
        }
    }

    /// The bare number of seconds.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// When a task ends that starts at `start` and runs as long as this.
    pub const fn after(self, start: Timestamp) -> Timestamp {
        start.saturating_add_seconds(self.0 as u64)
    }
}

/// What is known beforehand of how long a task will run.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunOutlook {
    /// The family of its task definition, whose run times are learnt.
    pub family: Option<TaskFamily>,
    /// How long its submission expects it to run.
    pub expected: Option<RunSeconds>,
    /// When it is stopped at the latest, counted from its start.
    pub timeout: Option<RunSeconds>,
}

impl RunOutlook {
    /// The run time that its submission declares: what it expects, else its timeout.
    pub fn declared(&self) -> Option<RunSeconds> {
        self.expected.or(self.timeout)
    }

    /// When a task ends that started at `start` and still runs at `now`; `None` when nothing tells. A task
    /// that runs longer than its submission expects has no projected end by that, because what was expected
    /// is no longer true.
    pub fn projected_end(&self, start: Timestamp, now: Timestamp, learnt: &RunTimes) -> Option<Timestamp> {
        let expected = self.expected.map(|expected| expected.after(start));
        if let Some(expected) = expected.filter(|end| *end >= now) {
            return Some(expected);
        }
        let counts = self.family.as_ref().and_then(|family| learnt.of(family));
        let age = now.millis_since(start) / 1000;
        let typical = counts.and_then(|counts| counts.projected_seconds(age));
        let typical = typical.map(|seconds| start.saturating_add_seconds(seconds));
        let stopped = self.timeout.map(|timeout| timeout.after(start));
        let stopped = stopped.filter(|end| *end >= now);
        typical.into_iter().chain(stopped).min()
    }
}

/// The family that a group names by default, `family:NAME`.
pub fn family_of_group(group: &TaskGroup) -> Option<TaskFamily> {
    TaskFamily::parse(group.as_str().strip_prefix("family:")?).ok()
}

/// How many buckets there are. The last one begins at 137 days.
pub const BUCKETS: usize = 48;

/// The shortest run time of each bucket, in seconds: the square root of two, to the power of the position.
const BUCKET_STARTS: [u64; BUCKETS] = bucket_starts();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated by the compiler, which refuses what is out of bounds"
)]
const fn bucket_starts() -> [u64; BUCKETS] {
    let mut starts = [0; BUCKETS];
    let mut position = 0;
    while position < BUCKETS {
        // The root of a power of two, rounded up.
        starts[position] = ((1_u64 << position) - 1).isqrt() + 1;
        position += 1;
    }
    starts
}

/// A class of run times that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunTimeBucket(u8);

impl RunTimeBucket {
    /// All buckets, the shortest run times first.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..BUCKET_STARTS.len()).filter_map(|position| u8::try_from(position).ok().map(Self))
    }

    /// The bucket of a run time in whole seconds; what is shorter than a second counts as one.
    pub fn of_seconds(seconds: u64) -> Self {
        let beyond = BUCKET_STARTS.partition_point(|start| *start <= seconds);
        Self(u8::try_from(beyond.saturating_sub(1)).unwrap_or(0))
    }

    /// The bucket that an ended task counts in; `None` when its end tells nothing about how long its kind
    /// runs: it was stopped by somebody, lost its host, or never came up.
    pub fn of_end(started_at: Timestamp, end: &TaskEnd) -> Option<Self> {
        let by_itself = end.stop_code.as_deref() == Some("EssentialContainerExited");
        let stopped_at = end.stopped_at.filter(|_| by_itself)?;
        Some(Self::of_seconds(stopped_at.millis_since(started_at) / 1000))
    }

    /// Its position among all, 0 to 47.
    pub const fn position(self) -> u8 {
        self.0
    }

    /// The bucket at a position; `None` beyond the last.
    pub fn at(position: u8) -> Option<Self> {
        (usize::from(position) < BUCKETS).then_some(Self(position))
    }

    /// The first second, in seconds.
    fn start(self) -> u64 {
        BUCKET_STARTS
            .get(usize::from(self.0))
            .copied()
            .unwrap_or(u64::MAX)
    }

    /// The second after the last.
    fn end(self) -> u64 {
        let next = BUCKET_STARTS.get(usize::from(self.0).saturating_add(1)).copied();
        next.unwrap_or_else(|| self.start().saturating_mul(2))
    }
}

/// How often each run time was seen, as far as it was counted ([`counting`]): a histogram that is only ever counted up,
/// and halved now and then so that it follows what changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunTimeCounts([u32; BUCKETS]);

impl Default for RunTimeCounts {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl RunTimeCounts {
    /// Counts are halved when there are more than this: after some 1,000 further ends, of which one in eight is
    /// counted. Half of it is far above [`counting::ALL_COUNTED_BELOW`].
    pub const TOTAL_MAX: u32 = 256;

    /// So many ends in a bucket.
    pub fn count(&self, bucket: RunTimeBucket) -> u32 {
        self.0.get(usize::from(bucket.0)).copied().unwrap_or(0)
    }

    /// Adds ends to a bucket.
    pub fn add(&mut self, bucket: RunTimeBucket, ends: u32) {
        if let Some(count) = self.0.get_mut(usize::from(bucket.0)) {
            *count = count.saturating_add(ends);
        }
    }

    /// All ends counted.
    pub fn total(&self) -> u32 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Half of everything, when there is enough of it; rounded up, so that no run time is forgotten whole.
    pub fn halved(&self) -> Option<Self> {
        (self.total() > Self::TOTAL_MAX).then(|| Self(self.0.map(|count| count.div_ceil(2))))
    }

    /// How long a task runs in all that has run for `age` seconds: the median of those that ran at least that
    /// long. Beyond all that were seen, at least to the end of the bucket it is in. `None` when no end was
    /// ever counted.
    pub fn projected_seconds(&self, age: u64) -> Option<u64> {
        let current = RunTimeBucket::of_seconds(age);
        let tail = || RunTimeBucket::all().skip_while(move |bucket| *bucket < current);
        let in_tail = tail().fold(0_u64, |sum, bucket| {
            sum.saturating_add(u64::from(self.count(bucket)))
        });
        if in_tail == 0 {
            return (self.total() > 0).then(|| current.end());
        }
        let median = in_tail.div_ceil(2);
        let mut before = 0_u64;
        for bucket in tail() {
            let here = u64::from(self.count(bucket));
            let through = before.saturating_add(here);
            if through >= median {
                let first = bucket.start().max(age);
                let width = bucket.end().saturating_sub(first);
                let share = width.saturating_mul(median.saturating_sub(before));
                return Some(first.saturating_add(share.checked_div(here).unwrap_or(0)));
            }
            before = through;
        }
        Some(current.end())
    }
}

/// What was learnt of the families of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunTimes(BTreeMap<TaskFamily, RunTimeCounts>);

impl RunTimes {
    /// What was learnt of a family.
    pub fn of(&self, family: &TaskFamily) -> Option<&RunTimeCounts> {
        self.0.get(family)
    }

    /// Whether nothing was learnt yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every family.
    pub fn iter(&self) -> impl Iterator<Item = (&TaskFamily, &RunTimeCounts)> {
        self.0.iter()
    }
}

impl FromIterator<(TaskFamily, RunTimeCounts)> for RunTimes {
    fn from_iter<I: IntoIterator<Item = (TaskFamily, RunTimeCounts)>>(counts: I) -> Self {
        Self(counts.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(ends: &[(u64, u32)]) -> RunTimeCounts {
        let mut counts = RunTimeCounts::default();
        for (seconds, count) in ends {
            counts.add(RunTimeBucket::of_seconds(*seconds), *count);
        }
        counts
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    fn seconds(seconds: u32) -> Option<RunSeconds> {
        RunSeconds::new(seconds)
    }

    #[test]
    fn a_bucket_reaches_to_the_square_root_of_two_times_its_start() {
        assert_eq!(BUCKET_STARTS[..12], [1, 2, 2, 3, 4, 6, 8, 12, 16, 23, 32, 46]);
        assert_eq!(BUCKET_STARTS[47], 11_863_284);
        for (seconds, position) in [(0, 0), (1, 0), (2, 2), (3, 3), (11, 6), (12, 7), (u64::MAX, 47)] {
            assert_eq!(
                RunTimeBucket::of_seconds(seconds).position(),
                position,
                "{seconds} s"
            );
        }
    }

    #[test]
    fn every_run_time_is_in_the_bucket_that_begins_before_it_and_ends_after_it() {
        for seconds in 1..100_000 {
            let bucket = RunTimeBucket::of_seconds(seconds);
            assert!((bucket.start()..bucket.end()).contains(&seconds), "{seconds}");
        }
    }

    #[test]
    fn a_task_is_projected_to_the_median_of_those_that_ran_as_long() {
        let counts = counts(&[(10, 90), (300, 10)]);
        let young = counts.projected_seconds(0).unwrap();
        assert!((8..12).contains(&young), "{young}");
        let survivor = counts.projected_seconds(60).unwrap();
        assert!((256..363).contains(&survivor), "{survivor}");
        assert_eq!(
            counts.projected_seconds(5_000),
            Some(5_793),
            "beyond all that were seen"
        );
        assert_eq!(RunTimeCounts::default().projected_seconds(5), None);
    }

    #[test]
    fn a_projected_end_is_never_in_the_past() {
        let counts = counts(&[(10, 3), (77, 9), (300, 10)]);
        for age in 0..2_000 {
            assert!(counts.projected_seconds(age).unwrap() >= age, "{age}");
        }
    }

    #[test]
    fn counts_are_halved_when_there_are_many_and_nothing_is_forgotten_whole() {
        assert_eq!(counts(&[(10, 256)]).halved(), None);
        let halved = counts(&[(10, 256), (300, 1)]).halved().unwrap();
        assert_eq!(halved, counts(&[(10, 128), (300, 1)]));
    }

    #[test]
    fn only_ends_by_itself_are_counted() {
        let end = |code: &str| TaskEnd {
            stop_code: Some(code.to_owned()),
            stopped_at: Some(at(300)),
            ..TaskEnd::default()
        };
        let bucket = RunTimeBucket::of_end(at(0), &end("EssentialContainerExited"));
        assert_eq!(bucket, Some(RunTimeBucket::of_seconds(300)));
        for code in ["TaskFailedToStart", "SpotInterruption", "UserInitiated"] {
            assert_eq!(RunTimeBucket::of_end(at(0), &end(code)), None, "{code}");
        }
    }

    #[test]
    fn what_is_expected_counts_before_what_was_learnt_and_a_timeout_last() {
        let family = TaskFamily::parse("etl").unwrap();
        let learnt: RunTimes = [(family.clone(), counts(&[(300, 100)]))].into_iter().collect();
        let outlook = |expected, timeout| RunOutlook {
            family: Some(family.clone()),
            expected,
            timeout,
        };
        let end = |outlook: RunOutlook, now| outlook.projected_end(at(0), at(now), &learnt);
        assert_eq!(end(outlook(seconds(60), seconds(9_000)), 10), Some(at(60)));
        let learnt_end = end(outlook(None, None), 10).unwrap();
        assert!((at(256)..at(363)).contains(&learnt_end), "{learnt_end}");
        assert_eq!(end(outlook(seconds(60), None), 61), Some(learnt_end), "overdue");
        assert_eq!(
            end(outlook(None, seconds(100)), 10),
            Some(at(100)),
            "stopped before"
        );
        let unknown = RunOutlook {
            expected: seconds(60),
            ..RunOutlook::default()
        };
        assert_eq!(unknown.projected_end(at(0), at(61), &learnt), None);
    }

    #[test]
    fn a_default_group_names_its_family() {
        let family = |group| family_of_group(&TaskGroup::parse(group).unwrap());
        assert_eq!(family("family:etl"), TaskFamily::parse("etl").ok());
        assert_eq!(family("nightly"), None);
    }
}
