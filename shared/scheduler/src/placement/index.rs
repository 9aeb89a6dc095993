//! Instances kept in the order of a chain of strategies, in blocks that know their largest free amounts, so
//! that the best instance with room is found without looking at each.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::bucket::{Bucket, Key, ORDINAL_BITS, ordinal_of};
use super::chain::Step;
use super::scan;
use super::view::{Score, View, compare};

/// An index that missed placements on more than one in this many of its instances is built anew.
const REBUILD_SHARE: usize = 4;

/// No instance has this key: its ordinal would be too large.
const ABSENT: Key = Key::MAX;

/// The instances that pass a set of rules, in the order of a chain.
#[derive(Debug)]
pub(super) struct Index {
    /// The key of each instance; [`ABSENT`] when it is not in the index.
    keys: Vec<Key>,
    bucket_of: Vec<u32>,
    buckets: Vec<Bucket>,
    len: usize,
    /// How many placements are taken into account.
    seen: usize,
}

impl Index {
    /// Builds the index; `None` when it would be of no use.
    pub(super) fn build(view: &View<'_, '_>) -> Option<Self> {
        if view.chain.lead().is_empty() && view.chain.parts().is_empty() {
            return None;
        }
        let (bucket_of, examples) = lead_buckets(view);
        let buckets = examples.into_iter().map(Bucket::new).collect();
        let mut index = Self {
            keys: Vec::new(),
            bucket_of,
            buckets,
            len: 0,
            seen: 0,
        };
        index.sort_all(view);
        Some(index)
    }

    fn sort_all(&mut self, view: &View<'_, '_>) {
        let mut sorted: Vec<Vec<Key>> = vec![Vec::new(); self.buckets.len()];
        self.keys = vec![ABSENT; view.occupancy.len()];
        self.len = 0;
        for ordinal in view
            .rules
            .members()
            .iter()
            .map(|ordinal| *ordinal as usize)
            .filter(|ordinal| view.has_ports(*ordinal))
        {
            let key = key(view, ordinal);
            let bucket = self
                .bucket_of
                .get(ordinal)
                .and_then(|bucket| sorted.get_mut(*bucket as usize));
            if let (Some(slot), Some(bucket)) = (self.keys.get_mut(ordinal), bucket) {
                *slot = key;
                bucket.push(key);
                self.len = self.len.saturating_add(1);
            }
        }
        for (bucket, mut keys) in self.buckets.iter_mut().zip(sorted) {
            keys.sort_unstable();
            bucket.fill(&keys, view.occupancy.all_amounts());
        }
        self.seen = view.occupancy.log().len();
    }

    /// Takes the placements since the last time into account.
    pub(super) fn catch_up(&mut self, view: &View<'_, '_>) {
        let log = view.occupancy.log();
        if log.len().saturating_sub(self.seen).saturating_mul(REBUILD_SHARE) > self.len {
            self.sort_all(view);
            return;
        }
        for placed in log.get(self.seen..).unwrap_or(&[]) {
            self.refresh(placed.ordinal, view);
            if placed.group != view.group {
                continue;
            }
            for step in view.chain.parts() {
                let Step::Count(column) = step else { continue };
                let column = view.columns.get(*column);
                for neighbour in column.map_or(&[][..], |column| column.neighbours(placed.ordinal)) {
                    if *neighbour != placed.ordinal {
                        self.refresh(*neighbour, view);
                    }
                }
            }
        }
        self.seen = log.len();
    }

    fn refresh(&mut self, ordinal: usize, view: &View<'_, '_>) {
        let belongs = view.rules.passes(ordinal) && view.has_ports(ordinal);
        let now = if belongs { key(view, ordinal) } else { ABSENT };
        let Some(known) = self.keys.get_mut(ordinal) else {
            return;
        };
        let before = std::mem::replace(known, now);
        let bucket = self.bucket_of.get(ordinal);
        let Some(bucket) = bucket.and_then(|it| self.buckets.get_mut(*it as usize)) else {
            return;
        };
        if before != ABSENT {
            bucket.remove(before);
            self.len = self.len.saturating_sub(1);
        }
        if now != ABSENT {
            bucket.insert(now, view.occupancy.amounts(ordinal));
            self.len = self.len.saturating_add(1);
        }
    }

    /// The best instance with room.
    pub(super) fn best(&mut self, view: &View<'_, '_>) -> Option<usize> {
        let lead: Vec<Score<'_>> = view.chain.lead().iter().map(|step| view.score(*step)).collect();
        let from = first_key(view);
        let mut best: Option<(usize, Key)> = None;
        for bucket in &mut self.buckets {
            let order = match best {
                None => Ordering::Less,
                Some((example, _)) => compare(&lead, bucket.example(), example),
            };
            let until = match (order, best) {
                (Ordering::Greater, _) => continue,
                (Ordering::Equal, Some((_, key))) => key,
                (Ordering::Equal | Ordering::Less, _) => Key::MAX,
            };
            if let Some(key) = bucket.first_fit(view.demand, view.barred, from, until) {
                best = Some((bucket.example(), key));
            }
        }
        let (example, key) = best?;
        if view.chain.tail().is_empty() {
            return Some(ordinal_of(key));
        }
        self.best_of_equals(view, &lead, example, key)
    }

    /// The best of the instances that are as good as this one by all that the index is sorted by.
    fn best_of_equals(
        &self,
        view: &View<'_, '_>,
        lead: &[Score<'_>],
        example: usize,
        key: Key,
    ) -> Option<usize> {
        let tail: Vec<Score<'_>> = view.chain.tail().iter().map(|step| view.score(*step)).collect();
        let from = key >> ORDINAL_BITS << ORDINAL_BITS;
        let until = from | Key::from(u32::MAX);
        if view.chain.tail() == [Step::Random] {
            let is_equal = |ordinal: &usize| {
                self.keys
                    .get(*ordinal)
                    .is_some_and(|key| (from..until).contains(key))
                    && view.fits(*ordinal)
                    && compare(lead, *ordinal, example).is_eq()
            };
            let chosen = scan::first_ranks(view).find(is_equal);
            if chosen.is_some() {
                return chosen;
            }
        }
        let equal = self
            .buckets
            .iter()
            .filter(|bucket| compare(lead, bucket.example(), example).is_eq());
        let equals = equal.flat_map(|bucket| bucket.fits_between(view.demand, from, until));
        equals
            .map(ordinal_of)
            .filter(|ordinal| !view.barred.contains(ordinal))
            .min_by(|one, other| compare(&tail, *one, *other).then(one.cmp(other)))
    }
}

/// The bucket of every instance by the leading spreads, and an example of each bucket.
fn lead_buckets(view: &View<'_, '_>) -> (Vec<u32>, Vec<usize>) {
    let lead = view.chain.lead();
    let columns: Vec<_> = lead
        .iter()
        .filter_map(|step| match step {
            Step::Count(id) => view.columns.get(*id),
            Step::Random | Step::Cpu | Step::Memory => None,
        })
        .collect();
    let mut bucket_of = Vec::with_capacity(view.occupancy.len());
    let mut examples: Vec<usize> = Vec::new();
    let mut known: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
    for ordinal in 0..view.occupancy.len() {
        let place = columns.iter().map(|column| column.bucket_of(ordinal)).collect();
        let bucket = *known.entry(place).or_insert_with(|| {
            examples.push(ordinal);
            u32::try_from(examples.len().saturating_sub(1)).unwrap_or(u32::MAX)
        });
        bucket_of.push(bucket);
    }
    (bucket_of, examples)
}

fn key(view: &View<'_, '_>, ordinal: usize) -> Key {
    let parts = view
        .chain
        .parts()
        .iter()
        .map(|step| view.score(*step).of(ordinal));
    let parts = parts.fold(0, |key: Key, part| {
        (key << ORDINAL_BITS) | Key::from(u32::try_from(part).unwrap_or(u32::MAX))
    });
    (parts << ORDINAL_BITS) | Key::from(u32::try_from(ordinal).unwrap_or(u32::MAX))
}

/// No instance before this key has room: with less of what the index is sorted by than the task needs.
fn first_key(view: &View<'_, '_>) -> Key {
    let parts = view.chain.parts();
    let needed = match parts.first() {
        Some(Step::Cpu) => view.demand.cpu,
        Some(Step::Memory) => view.demand.memory,
        Some(Step::Random | Step::Count(_)) | None => return 0,
    };
    parts.iter().fold(Key::from(needed), |key, _| key << ORDINAL_BITS)
}
