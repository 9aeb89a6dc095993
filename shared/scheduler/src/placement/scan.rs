//! Choosing by looking at every instance that passes the rules: for the first decisions, and where no index
//! helps.

use std::cmp::Ordering;

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
        return view
            .rules
            .members()
            .iter()
            .copied()
            .find(|ordinal| view.fits(*ordinal));
    };
    let mut best: Option<(u64, usize)> = None;
    for ordinal in view.rules.members() {
        if !view.occupancy.amounts(*ordinal).cover(view.demand) {
            continue;
        }
        let score = first.of(*ordinal);
        let order = best.map_or(Ordering::Less, |(smallest, _)| score.cmp(&smallest));
        let better = match (order, best) {
            (Ordering::Equal, Some((_, other))) => compare(rest, *ordinal, other).is_lt(),
            (order, _) => order.is_lt(),
        };
        if better && view.has_ports(*ordinal) {
            best = Some((score, *ordinal));
        }
    }
    best.map(|(_, ordinal)| ordinal)
}

/// The first instance with room in a shuffle: walks the ranks while that promises to be quick.
pub(super) fn first_of_shuffle(view: &View<'_, '_>) -> Option<usize> {
    let instances = view.occupancy.len();
    let shuffle = Shuffle::new(view.seed, instances);
    // Few ranks belong to instances that may be used: looking at those is quicker.
    let tries = (view.rules.members().len() as u64).saturating_mul(RANKS_TRIED / 4);
    if tries >= shuffle.ranks() {
        let back = shuffle.inverse();
        let walk = (0..shuffle.ranks().min(RANKS_TRIED)).map(|rank| back.ordinal_at(rank));
        let chosen = walk
            .filter(|ordinal| view.rules.passes(*ordinal))
            .find(|ordinal| view.fits(*ordinal));
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
