//! Instances kept in the order of a chain of strategies, in blocks that know their largest free amounts, so
//! that the best instance with room is found without looking at each.

use std::cmp::Ordering;

use super::amounts::Amounts;
use super::chain::Step;
use super::view::{Score, View, compare};

/// How many instances a new block has; a block is split when it has twice as many. Few in tests, so that small
/// clusters have many blocks.
const BLOCK_LEN: usize = if cfg!(test) { 3 } else { 48 };

/// Most buckets of leading spreads that an index is of use for.
const BUCKETS_MAX: usize = if cfg!(test) { 6 } else { 64 };

/// An index that missed placements on more than one in this many of its instances is built anew.
const REBUILD_SHARE: usize = 4;

/// The place of an instance in the order: what its chain sorts by, then the ordinal, 32 bits each.
type Key = u128;

const ORDINAL_BITS: u32 = 32;

/// The instances that pass a set of rules, in the order of a chain.
#[derive(Debug)]
pub(super) struct Index {
    /// The key of each instance; `None` when it is not in the index.
    keys: Vec<Option<Key>>,
    bucket_of: Vec<u32>,
    buckets: Vec<Bucket>,
    len: usize,
    /// How many placements are taken into account.
    seen: usize,
}

/// Instances that are in the same bucket of every leading spread.
#[derive(Debug)]
struct Bucket {
    /// Any of them: the leading spreads say the same of all.
    example: usize,
    blocks: Vec<Block>,
}

/// Neighbours in the order.
#[derive(Debug, Default)]
struct Block {
    max: Amounts,
    keys: Vec<Key>,
    amounts: Vec<Amounts>,
}

impl Index {
    /// Builds the index; `None` when it would be of no use.
    pub(super) fn build(view: &View<'_, '_>) -> Option<Self> {
        let (bucket_of, examples) = lead_buckets(view)?;
        let buckets = examples
            .into_iter()
            .map(|example| Bucket {
                example,
                blocks: Vec::new(),
            })
            .collect();
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
        self.keys = vec![None; view.occupancy.len()];
        self.len = 0;
        for ordinal in view
            .rules
            .members()
            .iter()
            .copied()
            .filter(|ordinal| view.has_ports(*ordinal))
        {
            let key = key(view, ordinal);
            let bucket = self
                .bucket_of
                .get(ordinal)
                .and_then(|bucket| sorted.get_mut(*bucket as usize));
            if let (Some(slot), Some(bucket)) = (self.keys.get_mut(ordinal), bucket) {
                *slot = Some(key);
                bucket.push(key);
                self.len = self.len.saturating_add(1);
            }
        }
        for (bucket, mut keys) in self.buckets.iter_mut().zip(sorted) {
            keys.sort_unstable();
            bucket.blocks = keys.chunks(BLOCK_LEN).map(|keys| Block::of(keys, view)).collect();
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
        let now = belongs.then(|| key(view, ordinal));
        let Some(known) = self.keys.get_mut(ordinal) else {
            return;
        };
        let before = std::mem::replace(known, now);
        let bucket = self
            .bucket_of
            .get(ordinal)
            .and_then(|it| self.buckets.get_mut(*it as usize));
        let Some(bucket) = bucket else { return };
        if let Some(before) = before {
            bucket.remove(before);
            self.len = self.len.saturating_sub(1);
        }
        if let Some(now) = now {
            bucket.insert(now, view.occupancy.amounts(ordinal));
            self.len = self.len.saturating_add(1);
        }
    }

    /// The best instance with room.
    pub(super) fn best(&self, view: &View<'_, '_>) -> Option<usize> {
        let lead: Vec<Score<'_>> = view.chain.lead().iter().map(|step| view.score(*step)).collect();
        let from = first_key(view);
        let mut best: Option<(usize, Key)> = None;
        for bucket in &self.buckets {
            let order = match best {
                None => Ordering::Less,
                Some((example, _)) => compare(&lead, bucket.example, example),
            };
            let until = match (order, best) {
                (Ordering::Greater, _) => continue,
                (Ordering::Equal, Some((_, key))) => key,
                (Ordering::Equal | Ordering::Less, _) => Key::MAX,
            };
            if let Some(key) = bucket.first_fit(view.demand, from, until) {
                best = Some((bucket.example, key));
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
        let equal = self
            .buckets
            .iter()
            .filter(|bucket| compare(lead, bucket.example, example).is_eq());
        let equals = equal.flat_map(|bucket| bucket.fits_between(view.demand, from, until));
        equals
            .map(ordinal_of)
            .min_by(|one, other| compare(&tail, *one, *other).then(one.cmp(other)))
    }
}

/// The bucket of every instance by the leading spreads, and an example of each bucket.
fn lead_buckets(view: &View<'_, '_>) -> Option<(Vec<u32>, Vec<usize>)> {
    let lead = view.chain.lead();
    let columns: Vec<_> = lead
        .iter()
        .filter_map(|step| match step {
            Step::Count(id) => view.columns.get(*id),
            Step::Random | Step::Cpu | Step::Memory => None,
        })
        .collect();
    let instances = view.occupancy.len();
    let mut bucket_of = vec![0_u32; instances];
    let mut examples: Vec<usize> = Vec::new();
    for (ordinal, bucket) in bucket_of.iter_mut().enumerate() {
        let same = |other: &usize| {
            columns
                .iter()
                .all(|it| it.bucket_of(*other) == it.bucket_of(ordinal))
        };
        let position = examples.iter().position(same).unwrap_or_else(|| {
            examples.push(ordinal);
            examples.len().saturating_sub(1)
        });
        if examples.len() > BUCKETS_MAX {
            return None;
        }
        *bucket = u32::try_from(position).unwrap_or(u32::MAX);
    }
    Some((bucket_of, examples))
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

fn ordinal_of(key: Key) -> usize {
    usize::try_from(key & Key::from(u32::MAX)).unwrap_or(usize::MAX)
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

impl Bucket {
    /// The block where a key is or belongs.
    fn block_position(&self, key: Key) -> usize {
        let position = self.blocks.partition_point(|block| block.last() < key);
        position.min(self.blocks.len().saturating_sub(1))
    }

    fn insert(&mut self, key: Key, amounts: Amounts) {
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
        }
        let position = self.block_position(key);
        let Some(block) = self.blocks.get_mut(position) else {
            return;
        };
        block.insert(key, amounts);
        if block.keys.len() >= BLOCK_LEN.saturating_mul(2) {
            let rest = block.split();
            self.blocks.insert(position.saturating_add(1), rest);
        }
    }

    fn remove(&mut self, key: Key) {
        let position = self.block_position(key);
        let Some(block) = self.blocks.get_mut(position) else {
            return;
        };
        block.remove(key);
        if block.keys.is_empty() {
            self.blocks.remove(position);
        }
    }

    /// The first instance with room whose key is from `from` on and before `until`.
    fn first_fit(&self, demand: Amounts, from: Key, until: Key) -> Option<Key> {
        let start = self.blocks.partition_point(|block| block.last() < from);
        let blocks = self.blocks.get(start..).unwrap_or(&[]);
        for block in blocks {
            if block.first() >= until {
                return None;
            }
            if block.max.cover(demand)
                && let Some(key) = block.first_fit(demand)
            {
                return (key < until).then_some(key);
            }
        }
        None
    }

    /// All instances with room whose key is from `from` to `until`.
    fn fits_between(&self, demand: Amounts, from: Key, until: Key) -> impl Iterator<Item = Key> {
        let start = self.blocks.partition_point(|block| block.last() < from);
        let blocks = self.blocks.get(start..).unwrap_or(&[]).iter();
        let blocks = blocks.take_while(move |block| block.first() <= until);
        let entries = blocks
            .filter(move |block| block.max.cover(demand))
            .flat_map(|block| block.keys.iter().zip(&block.amounts));
        entries
            .filter(move |(key, amounts)| (from..=until).contains(*key) && amounts.cover(demand))
            .map(|(key, _)| *key)
    }
}

impl Block {
    fn of(keys: &[Key], view: &View<'_, '_>) -> Self {
        let amounts = keys
            .iter()
            .map(|key| view.occupancy.amounts(ordinal_of(*key)))
            .collect();
        let mut block = Self {
            max: Amounts::default(),
            keys: keys.to_vec(),
            amounts,
        };
        block.measure();
        block
    }

    fn measure(&mut self) {
        self.max = self
            .amounts
            .iter()
            .fold(Amounts::default(), |max, amounts| max.max(*amounts));
    }

    fn first(&self) -> Key {
        self.keys.first().copied().unwrap_or(Key::MAX)
    }

    fn last(&self) -> Key {
        self.keys.last().copied().unwrap_or(0)
    }

    fn insert(&mut self, key: Key, amounts: Amounts) {
        let place = self.keys.partition_point(|known| *known < key);
        self.keys.insert(place, key);
        self.amounts.insert(place, amounts);
        self.max = self.max.max(amounts);
    }

    fn remove(&mut self, key: Key) {
        let Ok(place) = self.keys.binary_search(&key) else {
            return;
        };
        self.keys.remove(place);
        if self.amounts.remove(place).touches(self.max) {
            self.measure();
        }
    }

    fn split(&mut self) -> Self {
        let half = self.keys.len() / 2;
        let (keys, amounts) = (self.keys.split_off(half), self.amounts.split_off(half));
        let mut rest = Self {
            max: Amounts::default(),
            keys,
            amounts,
        };
        rest.measure();
        self.measure();
        rest
    }

    fn first_fit(&self, demand: Amounts) -> Option<Key> {
        let place = self.amounts.iter().position(|amounts| amounts.cover(demand))?;
        self.keys.get(place).copied()
    }
}
