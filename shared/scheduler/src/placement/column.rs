//! What `spread` makes buckets of: for each instance the number of its bucket.

use std::collections::BTreeMap;

use super::class::LazyClasses;
use crate::shape::SpreadField;

/// The bucket of instances that lack the attribute: it has no tasks counted and is used last.
pub(super) const MISSING: u32 = u32::MAX;

/// A bucket of at most this many instances is small: when one of them gets a task, all can be sorted anew.
const SMALL_BUCKET_MAX: usize = 4;

/// The position of a column in the list of them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ColumnId(usize);

impl ColumnId {
    pub(super) fn position(self) -> usize {
        self.0
    }
}

/// The buckets of one field.
#[derive(Debug)]
pub(super) struct Column {
    field: SpreadField,
    bucket_of: Vec<u32>,
    /// The instances of each bucket, when all buckets are small.
    members: Option<Vec<Vec<usize>>>,
    buckets: usize,
}

impl Column {
    fn new(field: &SpreadField, classes: &mut LazyClasses<'_>) -> Self {
        let bucket_of: Vec<u32> = match field {
            SpreadField::InstanceId => (0_u32..).take(classes.instances()).collect(),
            SpreadField::Attribute(name) => {
                let classes = classes.get();
                let mut buckets: BTreeMap<Option<&str>, u32> = BTreeMap::new();
                let mut bucket = |value| {
                    let next = u32::try_from(buckets.len()).unwrap_or(MISSING);
                    *buckets.entry(value).or_insert(next)
                };
                let examples = classes.examples().iter();
                let by_class: Vec<u32> = examples
                    .map(|it| it.attributes.get(name).map_or(MISSING, &mut bucket))
                    .collect();
                classes.spread(&by_class, MISSING).collect()
            }
        };
        let buckets = bucket_of.iter().filter(|it| **it != MISSING).max();
        let buckets = buckets.map_or(0, |last| (*last as usize).saturating_add(1));
        let members = members(&bucket_of, buckets);
        Self {
            field: field.clone(),
            bucket_of,
            members,
            buckets,
        }
    }

    /// The bucket of an instance.
    pub(super) fn bucket_of(&self, ordinal: usize) -> u32 {
        self.bucket_of.get(ordinal).copied().unwrap_or(MISSING)
    }

    /// The bucket of every instance.
    pub(super) fn buckets_of_all(&self) -> &[u32] {
        &self.bucket_of
    }

    /// How many buckets there are, [`MISSING`] aside.
    pub(super) fn buckets(&self) -> usize {
        self.buckets
    }

    /// Whether no bucket has more than a few instances.
    pub(super) fn is_small(&self) -> bool {
        self.members.is_some()
    }

    /// The instances that share a bucket with this one, when buckets are small.
    pub(super) fn neighbours(&self, ordinal: usize) -> &[usize] {
        let members = self
            .members
            .as_ref()
            .and_then(|it| it.get(self.bucket_of(ordinal) as usize));
        members.map_or(&[], |members| members)
    }
}

fn members(bucket_of: &[u32], buckets: usize) -> Option<Vec<Vec<usize>>> {
    // Too few buckets for all to be small: spares the counting for zones and instance types.
    if buckets.saturating_mul(SMALL_BUCKET_MAX) < bucket_of.iter().filter(|it| **it != MISSING).count() {
        return None;
    }
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); buckets];
    for (ordinal, bucket) in bucket_of.iter().enumerate() {
        if let Some(members) = members.get_mut(*bucket as usize) {
            members.push(ordinal);
            if members.len() > SMALL_BUCKET_MAX {
                return None;
            }
        }
    }
    Some(members)
}

/// The columns that were needed so far.
#[derive(Debug, Default)]
pub(super) struct Columns(Vec<Column>);

impl Columns {
    /// The column of a field, made when it is needed for the first time.
    pub(super) fn id(&mut self, field: &SpreadField, classes: &mut LazyClasses<'_>) -> ColumnId {
        if let Some(position) = self.0.iter().position(|column| column.field == *field) {
            return ColumnId(position);
        }
        self.0.push(Column::new(field, classes));
        ColumnId(self.0.len().saturating_sub(1))
    }

    pub(super) fn get(&self, id: ColumnId) -> Option<&Column> {
        self.0.get(id.0)
    }

    pub(super) fn all(&self) -> &[Column] {
        &self.0
    }
}
