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
        return with_amounts(view).find(|ordinal| view.has_ports(*ordinal));
    };
    let mut best: Option<(u64, usize)> = None;
    for ordinal in with_amounts(view) {
        let score = first.of(ordinal);
        let order = best.map_or(Ordering::Less, |(smallest, _)| score.cmp(&smallest));
        let better = match (order, best) {
            (Ordering::Equal, Some((_, other))) => compare(rest, ordinal, other).is_lt(),
            (order, _) => order.is_lt(),
        };
        if better && view.has_ports(ordinal) {
            best = Some((score, ordinal));
        }
    }
    best.map(|(_, ordinal)| ordinal)
}

/// The instances that pass the rules and have room, ports aside, in rising order.
fn with_amounts<'v>(view: &'v View<'_, '_>) -> impl Iterator<Item = usize> + 'v {
    let chunks = view.occupancy.by_chunk(view.rules.members());
    let chunks = chunks.filter(|(max, _)| max.cover(view.demand));
    let ordinals = chunks.flat_map(|(_, ordinals)| ordinals.iter().map(|ordinal| *ordinal as usize));
    ordinals.filter(|ordinal| view.occupancy.amounts(*ordinal).cover(view.demand))
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
