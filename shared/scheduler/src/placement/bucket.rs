//! Instances in an order, in blocks that know their largest free amounts.

use super::amounts::Amounts;

/// How many instances a new block has; a block is split when it has twice as many. Few in tests, so that
/// small clusters have many blocks.
const BLOCK_LEN: usize = if cfg!(test) { 3 } else { 32 };

/// The place of an instance in the order: what its chain sorts by, then the ordinal, 32 bits each.
pub(super) type Key = u128;

pub(super) const ORDINAL_BITS: u32 = 32;

pub(super) fn ordinal_of(key: Key) -> usize {
    usize::try_from(key & Key::from(u32::MAX)).unwrap_or(usize::MAX)
}

/// Instances that are in the same bucket of every leading spread.
#[derive(Debug)]
pub(super) struct Bucket {
    example: usize,
    /// What there is to know of each block, side by side for the search.
    summaries: Vec<Summary>,
    blocks: Vec<Block>,
}

#[derive(Clone, Copy, Debug)]
struct Summary {
    last: Key,
    /// At least the largest free amounts.
    max: Amounts,
    /// How many instances left the block since `max` was exact. It is measured again when it was misleading
    /// and not before, because most blocks are not looked into in between.
    left: u32,
}

/// Neighbours in the order.
#[derive(Debug, Default)]
struct Block {
    keys: Vec<Key>,
    amounts: Vec<Amounts>,
}

impl Bucket {
    pub(super) fn new(example: usize) -> Self {
        Self {
            example,
            summaries: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// Any instance of the bucket: the leading spreads say the same of all.
    pub(super) fn example(&self) -> usize {
        self.example
    }

    /// Replaces the content by these keys, which are sorted.
    pub(super) fn fill(&mut self, keys: &[Key], amounts: &[Amounts]) {
        let of = |key: &Key| amounts.get(ordinal_of(*key)).copied().unwrap_or_default();
        let blocks = keys.chunks(BLOCK_LEN);
        let block = |keys: &[Key]| Block {
            keys: keys.to_vec(),
            amounts: keys.iter().map(of).collect(),
        };
        self.blocks = blocks.map(block).collect();
        self.summaries = self.blocks.iter().map(Block::summary).collect();
    }

    fn first_block_from(&self, key: Key) -> usize {
        self.summaries.partition_point(|summary| summary.last < key)
    }

    pub(super) fn insert(&mut self, key: Key, amounts: Amounts) {
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
            self.summaries.push(Summary {
                last: key,
                max: amounts,
                left: 0,
            });
        }
        let position = self
            .first_block_from(key)
            .min(self.blocks.len().saturating_sub(1));
        let at = (self.blocks.get_mut(position), self.summaries.get_mut(position));
        let (Some(block), Some(summary)) = at else { return };
        block.insert(key, amounts);
        summary.last = summary.last.max(key);
        summary.max = summary.max.max(amounts);
        if block.keys.len() >= BLOCK_LEN.saturating_mul(2) {
            let rest = block.split();
            *summary = block.summary();
            let next = position.saturating_add(1);
            self.summaries.insert(next, rest.summary());
            self.blocks.insert(next, rest);
        }
    }

    pub(super) fn remove(&mut self, key: Key) {
        let position = self.first_block_from(key);
        let at = (self.blocks.get_mut(position), self.summaries.get_mut(position));
        let (Some(block), Some(summary)) = at else { return };
        block.remove(key);
        if block.keys.is_empty() {
            self.blocks.remove(position);
            self.summaries.remove(position);
        } else {
            summary.left = summary.left.saturating_add(1);
            summary.last = block.keys.last().copied().unwrap_or(key);
        }
    }

    /// The first instance with room whose key is from `from` on and before `until`, and that is not barred.
    pub(super) fn first_fit(
        &mut self,
        demand: Amounts,
        barred: &[usize],
        from: Key,
        until: Key,
    ) -> Option<Key> {
        let start = self.first_block_from(from);
        let blocks = self.summaries.iter_mut().zip(&self.blocks).skip(start);
        let mut before = 0;
        for (summary, block) in blocks {
            if before >= until {
                return None;
            }
            before = summary.last;
            if !summary.max.cover(demand) {
                continue;
            }
            if let Some(key) = block.first_fit(demand, barred) {
                return (key < until).then_some(key);
            }
            if summary.left > 0 {
                *summary = block.summary();
            }
        }
        None
    }

    /// All instances with room whose key is from `from` to `until`.
    pub(super) fn fits_between(&self, demand: Amounts, from: Key, until: Key) -> impl Iterator<Item = Key> {
        let start = self.first_block_from(from);
        let end = self.first_block_from(until).saturating_add(1);
        let blocks = self.summaries.iter().zip(&self.blocks);
        let blocks = blocks
            .take(end)
            .skip(start)
            .filter(move |(summary, _)| summary.max.cover(demand));
        let entries = blocks.flat_map(|(_, block)| block.keys.iter().zip(&block.amounts));
        entries
            .filter(move |(key, amounts)| (from..=until).contains(*key) && amounts.cover(demand))
            .map(|(key, _)| *key)
    }
}

impl Block {
    fn summary(&self) -> Summary {
        Summary {
            last: self.keys.last().copied().unwrap_or(0),
            max: Amounts::max_of(&self.amounts),
            left: 0,
        }
    }

    fn insert(&mut self, key: Key, amounts: Amounts) {
        let place = self.keys.partition_point(|known| *known < key);
        self.keys.insert(place, key);
        self.amounts.insert(place, amounts);
    }

    fn remove(&mut self, key: Key) {
        if let Ok(place) = self.keys.binary_search(&key) {
            self.keys.remove(place);
            self.amounts.remove(place);
        }
    }

    fn split(&mut self) -> Self {
        let half = self.keys.len() / 2;
        Self {
            keys: self.keys.split_off(half),
            amounts: self.amounts.split_off(half),
        }
    }

    fn first_fit(&self, demand: Amounts, barred: &[usize]) -> Option<Key> {
        let place = self.amounts.iter().position(|amounts| amounts.cover(demand))?;
        let key = self.keys.get(place).copied()?;
        if !barred.contains(&ordinal_of(key)) {
            return Some(key);
        }
        let entries = self.keys.iter().zip(&self.amounts).skip(place);
        entries
            .filter(|(_, amounts)| amounts.cover(demand))
            .map(|(key, _)| *key)
            .find(|key| !barred.contains(&ordinal_of(*key)))
    }
}
