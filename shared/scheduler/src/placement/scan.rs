//! Choosing by looking at every instance that passes the rules: for the first decisions, and where no index
//! helps.

use super::amounts::Amounts;
use super::chain::Step;
use super::shuffle::Shuffle;
use super::view::{Score, View, compare};

/// How many ranks of a shuffle are tried before every instance is looked at.
const RANKS_TRIED: u64 = if cfg!(test) { 512 } else { 64 };

/// The best instance with room, by looking at each.
pub(super) fn best(view: &View<'_, '_>) -> Option<usize> {
    let steps = view.chain.steps();
    let scores: Vec<Score<'_>> = steps.iter().map(|step| view.score(*step)).collect();
    let Some((first, rest)) = scores.split_first() else {
        return best_by(view, &[], |_, _| 0);
    };
    // One loop for each kind of strategy, so that the kind is not asked for each instance.
    match first {
        Score::Memory(_) => best_by(view, rest, |_, free| u64::from(free.memory)),
        Score::Cpu(_) => best_by(view, rest, |_, free| u64::from(free.cpu)),
        Score::Random(_) | Score::Count { .. } => best_by(view, rest, |ordinal, _| first.of(ordinal)),
    }
}

/// The instance with room and the smallest score; `rest` decides between equals, then the ordinal.
#[inline]
fn best_by(view: &View<'_, '_>, rest: &[Score<'_>], score: impl Fn(usize, &Amounts) -> u64) -> Option<usize> {
    let amounts = view.occupancy.all_amounts();
    let mut best: Option<usize> = None;
    let mut smallest = u64::MAX;
    for (max, ordinals) in view.occupancy.by_chunk(view.rules.members()) {
        if !max.cover(view.demand) {
            continue;
        }
        for ordinal in ordinals.iter().map(|ordinal| *ordinal as usize) {
            let Some(free) = amounts.get(ordinal) else {
                continue;
            };
            if !free.cover(view.demand) {
                continue;
            }
            let score = score(ordinal, free);
            if score > smallest {
                continue;
            }
            let better = match best {
                Some(other) if score == smallest => compare(rest, ordinal, other).is_lt(),
                _ => true,
            };
            if better && view.may_use(ordinal) {
                (best, smallest) = (Some(ordinal), score);
            }
        }
    }
    best
}

/// The first instances of the task's shuffle; ranks that belong to nobody give ordinals of nobody.
pub(super) fn first_ranks(view: &View<'_, '_>) -> impl Iterator<Item = usize> + use<> {
    let shuffle = Shuffle::new(view.seed, view.occupancy.len());
    let back = shuffle.inverse();
    (0..shuffle.ranks().min(RANKS_TRIED)).map(move |rank| back.ordinal_at(rank))
}

/// The first instance with room in a shuffle: walks the ranks while that promises to be quick.
pub(super) fn first_of_shuffle(view: &View<'_, '_>) -> Option<usize> {
    let members = view.rules.members().len() as u64;
    let ranks = Shuffle::new(view.seed, view.occupancy.len()).ranks();
    // Where few ranks belong to instances that may be used, looking at those is quicker.
    if members.saturating_mul(RANKS_TRIED / 4) >= ranks {
        let mut walk = first_ranks(view).filter(|ordinal| view.rules.passes(*ordinal));
        let chosen = walk.find(|ordinal| view.fits(*ordinal));
        if chosen.is_some() {
            return chosen;
        }
    }
    best(view)
}

/// Whether a chain is nothing but chance.
pub(super) fn is_shuffle(steps: &[Step]) -> bool {
    steps == [Step::Random]
}
