//! Instances in an order, in blocks that know their largest free amounts.

use super::amounts::Amounts;

/// How many instances a new block has; a block is split when it has twice as many. Few in tests, so that
/// small clusters have many blocks.
const BLOCK_LEN: usize = if cfg!(test) { 3 } else { 16 };

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
    blocks: Vec<Block>,
    /// The last key of each block, side by side for the search.
    lasts: Vec<Key>,
    /// For each block at least the largest free amounts, side by side for the search.
    maxima: Vec<Amounts>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    amounts: Amounts,
}

/// Neighbours in the order.
#[derive(Debug, Default)]
struct Block {
    entries: Vec<Entry>,
    /// How many instances left the block since its maximum was exact. It is measured again when it was
    /// misleading and not before, because most blocks are not looked into in between.
    left: u32,
}

impl Bucket {
    pub(super) fn new(example: usize) -> Self {
        Self {
            example,
            blocks: Vec::new(),
            lasts: Vec::new(),
            maxima: Vec::new(),
        }
    }

    /// Any instance of the bucket: the leading spreads say the same of all.
    pub(super) fn example(&self) -> usize {
        self.example
    }

    /// Replaces the content by these keys, which are sorted.
    pub(super) fn fill(&mut self, keys: &[Key], amounts: &[Amounts]) {
        let entry = |key: &Key| Entry {
            key: *key,
            amounts: amounts.get(ordinal_of(*key)).copied().unwrap_or_default(),
        };
        let blocks = keys.chunks(BLOCK_LEN);
        let block = |keys: &[Key]| Block {
            entries: keys.iter().map(entry).collect(),
            left: 0,
        };
        self.blocks = blocks.map(block).collect();
        self.lasts = self.blocks.iter().map(Block::last).collect();
        self.maxima = self.blocks.iter().map(Block::max).collect();
    }

    fn first(&self) -> Option<Key> {
        let first = self.blocks.first().and_then(|block| block.entries.first());
        first.map(|entry| entry.key)
    }

    fn first_block_from(&self, key: Key) -> usize {
        self.lasts.partition_point(|last| *last < key)
    }

    pub(super) fn insert(&mut self, key: Key, amounts: Amounts) {
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
            self.lasts.push(key);
            self.maxima.push(amounts);
        }
        let position = self
            .first_block_from(key)
            .min(self.blocks.len().saturating_sub(1));
        let (Some(block), Some(last), Some(max)) = (
            self.blocks.get_mut(position),
            self.lasts.get_mut(position),
            self.maxima.get_mut(position),
        ) else {
            return;
        };
        block.insert(key, amounts);
        *last = key.max(*last);
        *max = max.max(amounts);
        if block.entries.len() >= BLOCK_LEN.saturating_mul(2) {
            let rest = block.split();
            (*last, *max) = (block.last(), block.max());
            let next = position.saturating_add(1);
            self.lasts.insert(next, rest.last());
            self.maxima.insert(next, rest.max());
            self.blocks.insert(next, rest);
        }
    }

    pub(super) fn remove(&mut self, key: Key) {
        let position = self.first_block_from(key);
        let (Some(block), Some(last)) = (self.blocks.get_mut(position), self.lasts.get_mut(position)) else {
            return;
        };
        block.remove(key);
        if block.entries.is_empty() {
            self.blocks.remove(position);
            self.lasts.remove(position);
            self.maxima.remove(position);
        } else {
            *last = block.last();
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
        // Of many buckets, most begin where a better one was found already.
        if self.first().is_none_or(|first| first >= until) {
            return None;
        }
        let end = match until {
            Key::MAX => self.blocks.len(),
            until => self.first_block_from(until).saturating_add(1),
        };
        let mut start = self.first_block_from(from);
        while let Some(position) = self.next_block(demand, start, end) {
            let (block, max) = (self.blocks.get_mut(position)?, self.maxima.get_mut(position)?);
            if let Some(key) = block.first_fit(demand, barred) {
                return (key < until).then_some(key);
            }
            if block.left > 0 {
                block.left = 0;
                *max = block.max();
            }
            start = position.saturating_add(1);
        }
        None
    }

    /// The first block from `start` on and before `end` where there may be room.
    #[inline]
    fn next_block(&self, demand: Amounts, start: usize, end: usize) -> Option<usize> {
        let maxima = self.maxima.get(start..end.min(self.maxima.len()))?;
        let skipped = maxima.iter().position(|max| max.cover(demand))?;
        Some(start.saturating_add(skipped))
    }

    /// All instances with room whose key is from `from` to `until`.
    pub(super) fn fits_between(&self, demand: Amounts, from: Key, until: Key) -> impl Iterator<Item = Key> {
        let start = self.first_block_from(from);
        let end = self.first_block_from(until).saturating_add(1);
        let blocks = self.maxima.iter().zip(&self.blocks);
        let blocks = blocks
            .take(end)
            .skip(start)
            .filter(move |(max, _)| max.cover(demand));
        let entries = blocks.flat_map(|(_, block)| &block.entries);
        entries
            .filter(move |entry| (from..=until).contains(&entry.key) && entry.amounts.cover(demand))
            .map(|entry| entry.key)
    }
}

impl Block {
    fn last(&self) -> Key {
        self.entries.last().map_or(0, |entry| entry.key)
    }

    fn max(&self) -> Amounts {
        Amounts::max_of(self.entries.iter().map(|entry| entry.amounts))
    }

    fn insert(&mut self, key: Key, amounts: Amounts) {
        let place = self.entries.partition_point(|known| known.key < key);
        self.entries.insert(place, Entry { key, amounts });
    }

    fn remove(&mut self, key: Key) {
        if let Ok(place) = self.entries.binary_search_by_key(&key, |entry| entry.key) {
            self.entries.remove(place);
            self.left = self.left.saturating_add(1);
        }
    }

    fn split(&mut self) -> Self {
        let half = self.entries.len() / 2;
        self.left = 0;
        Self {
            entries: self.entries.split_off(half),
            left: 0,
        }
    }

    fn first_fit(&self, demand: Amounts, barred: &[usize]) -> Option<Key> {
        let mut fits = self.entries.iter().filter(|entry| entry.amounts.cover(demand));
        let free = fits.find(|entry| barred.is_empty() || !barred.contains(&ordinal_of(entry.key)));
        free.map(|entry| entry.key)
    }
}
