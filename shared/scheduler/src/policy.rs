//! What becomes of those behind a task that has to wait for room.

/// How a cluster treats tasks behind a higher-ranked one that fits nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitingPolicy {
    /// Instances are set aside for the highest-ranked tasks that fit nowhere; lower-ranked ones use the rest
    /// of the cluster.
    Reserve(ClaimLimit),
    /// Nobody starts before the highest-ranked task that fits nowhere.
    Strict,
    /// Whoever fits starts. A large task can wait as long as smaller ones keep the cluster full.
    Fill,
}

impl Default for WaitingPolicy {
    fn default() -> Self {
        Self::Reserve(ClaimLimit::Share)
    }
}

/// Most instances that are set aside at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClaimLimit {
    /// A fifth of the instances that take tasks, at least one and at most [`SHARE_CLAIMS_MAX`]. More than a
    /// quarter gained nothing in simulations.
    #[default]
    Share,
    /// So many.
    AtMost(ClaimCount),
}

/// One claim for this many instances.
const INSTANCES_PER_CLAIM: usize = 5;

/// Most claims by [`ClaimLimit::Share`]: each costs a look at every instance of the cluster in every plan.
pub const SHARE_CLAIMS_MAX: usize = 16;

impl ClaimLimit {
    /// Most claims in a cluster where so many instances take tasks.
    pub fn claims_max(self, instances: usize) -> usize {
        match self {
            Self::Share => instances.div_ceil(INSTANCES_PER_CLAIM).clamp(1, SHARE_CLAIMS_MAX),
            Self::AtMost(claims) => usize::from(claims.get()),
        }
    }
}

/// A number of claims, 1 to [`ClaimCount::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimCount(u8);

impl ClaimCount {
    /// The largest number: beyond it a plan would spend its time on claims.
    pub const MAX: u8 = 64;

    /// A number of claims; `None` for 0 and above [`ClaimCount::MAX`].
    pub const fn new(claims: u8) -> Option<Self> {
        if claims >= 1 && claims <= Self::MAX {
            Some(Self(claims))
        } else {
            None
        }
    }

    /// The bare number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_instances_is_set_aside_at_most_and_at_least_one() {
        let by_share = [0, 1, 5, 6, 20, 80, 81, 500].map(|instances| ClaimLimit::Share.claims_max(instances));
        assert_eq!(by_share, [1, 1, 1, 2, 4, 16, 16, 16]);
        let three = ClaimLimit::AtMost(ClaimCount::new(3).unwrap());
        assert_eq!([1, 500].map(|instances| three.claims_max(instances)), [3, 3]);
    }

    #[test]
    fn a_number_of_claims_is_1_to_64() {
        let good = [0, 1, 64, 65].map(|claims| ClaimCount::new(claims).is_some());
        assert_eq!(good, [false, true, true, false]);
    }
}
