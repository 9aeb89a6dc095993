//! What DynamoDB charges for the ledger's calls: a write request unit for each KiB of an item, rounded up, and two in
//! a transaction (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>).
//! A write whose condition fails is charged, too; and a read request unit for each 4 KiB of a consistent read, or half of
//! one where it need not be consistent. The size of an item is that of its names and values
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).

use std::collections::BTreeMap;

use berth_control::ports::Change;
use berth_control::records::{instance, task};
use berth_scheduler::id::ContainerInstanceArn;
use serde_json::Value;

use super::MemoryLedger;

const UNIT_BYTES: usize = 1_024;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Write {
    /// Task records.
    Tasks,
    /// Capacity records of container instances, and their attributes.
    Capacity,
    /// Entries of the waiting list.
    WaitingList,
    /// Lanes, with their hold reasons and claims.
    Lanes,
    /// Appointments.
    Appointments,
    /// A cluster's turn, generation and attention.
    Turn,
    /// How long tasks ran.
    RunTimes,
}

impl Write {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Tasks,
        Self::Capacity,
        Self::WaitingList,
        Self::Lanes,
        Self::Appointments,
        Self::Turn,
        Self::RunTimes,
    ];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tasks => "task records",
            Self::Capacity => "capacity records",
            Self::WaitingList => "waiting list",
            Self::Lanes => "lanes",
            Self::Appointments => "appointments",
            Self::Turn => "turn and generation",
            Self::RunTimes => "run times",
        }
    }
}

/// How a write is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pricing {
    /// As one write.
    Plain,
    /// As two: a part of a transaction, or a write that is followed by another one like it.
    Twice,
}

/// Write request units by what was written.
pub type WriteUnits = BTreeMap<Write, u64>;

/// What was charged so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestUnits {
    /// Write request units.
    pub writes: WriteUnits,
    /// Halves of read request units.
    pub read_halves: u64,
    /// How large the capacity records are, in bytes.
    capacity_bytes: BTreeMap<ContainerInstanceArn, usize>,
}

const READ_UNIT_BYTES: usize = 4_096;

/// How a read is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It tells of every write before it.
    Consistent,
    /// It may miss the newest.
    Eventual,
}

impl MemoryLedger {
    /// The same tables, which count what DynamoDB would charge.
    #[must_use]
    pub fn metered(self) -> Self {
        self.units.replace(Some(RequestUnits::default()));
        self
    }

    /// What was charged so far; `None` when it is not counted.
    pub fn request_units(&self) -> Option<RequestUnits> {
        self.units.borrow().clone()
    }

    /// Counts a write; `bytes` is only asked when somebody counts.
    pub(super) fn meter(&self, write: Write, pricing: Pricing, bytes: impl FnOnce() -> usize) {
        if let Some(units) = self.units.borrow_mut().as_mut() {
            let plain = bytes().div_ceil(UNIT_BYTES).max(1) as u64;
            let charged = match pricing {
                Pricing::Plain => plain,
                Pricing::Twice => plain.saturating_mul(2),
            };
            let counted = units.writes.entry(write).or_default();
            *counted = counted.saturating_add(charged);
        }
    }

    /// Counts a read of one item, or of several in one call; `bytes` is only asked when somebody counts.
    pub(super) fn meter_read(&self, reading: Reading, bytes: impl FnOnce() -> usize) {
        if let Some(units) = self.units.borrow_mut().as_mut() {
            let consistent = bytes().div_ceil(READ_UNIT_BYTES).max(1) as u64;
            let halves = match reading {
                Reading::Consistent => consistent.saturating_mul(2),
                Reading::Eventual => consistent,
            };
            units.read_halves = units.read_halves.saturating_add(halves);
        }
    }

    /// Counts a read of capacity records. Their attributes are remembered by the process that reads them.
    pub(super) fn meter_capacity_read<'i>(&self, read: impl Iterator<Item = &'i ContainerInstanceArn>) {
        let bytes = {
            let units = self.units.borrow();
            let Some(units) = units.as_ref() else { return };
            let sizes = read.filter_map(|instance| units.capacity_bytes.get(instance));
            sizes.sum()
        };
        self.meter_read(Reading::Consistent, || bytes);
    }

    /// One record alone is a plain write; two are a transaction.
    pub(super) fn meter_commit(&self, change: &Change<'_>) {
        let pricing = if change.task.is_some() && change.instance.is_some() {
            Pricing::Twice
        } else {
            Pricing::Plain
        };
        if let Some(record) = change.task {
            self.meter(Write::Tasks, pricing, || item_bytes(&task::to_json(record)));
        }
        if let Some((_, record)) = change.instance {
            let mut bytes = 0;
            self.meter(Write::Capacity, pricing, || {
                bytes = item_bytes(&instance::to_json(record));
                bytes
            });
            if let Some(units) = self.units.borrow_mut().as_mut() {
                units.capacity_bytes.insert(record.arn().clone(), bytes);
            }
        }
    }
}

/// The key of an item takes about so much: its names and a cluster's, a task's or an instance's name.
const KEY_BYTES: usize = 80;

/// How large an item is.
pub(super) fn item_bytes(record: &Value) -> usize {
    KEY_BYTES + fields_bytes(record)
}

fn fields_bytes(record: &Value) -> usize {
    let fields = record.as_object().into_iter().flatten();
    fields.map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        // A byte for two digits, and one more.
        Value::Number(number) => number.to_string().len().div_ceil(2) + 1,
        Value::String(text) => text.len(),
        Value::Array(elements) => 3 + elements.iter().map(|it| value_bytes(it) + 1).sum::<usize>(),
        Value::Object(fields) => 3 + fields.len() + fields_bytes(value),
    }
}

#[cfg(test)]
mod tests;
