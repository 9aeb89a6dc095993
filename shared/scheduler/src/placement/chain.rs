//! A shape's strategies, taken apart into what can be sorted by beforehand and what cannot.

use super::class::LazyClasses;
use super::column::{ColumnId, Columns};
use super::strategies_of;
use crate::shape::{BinpackField, Shape, Strategy};

/// Most of an instance's own numbers that a sort key has room for.
pub(super) const PARTS_MAX: usize = 3;

/// Most buckets of leading spreads that instances are sorted within: each decision looks at all their counts.
const BUCKETS_MAX: usize = if cfg!(test) { 6 } else { 1_250 };

/// One strategy of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Any.
    Random,
    /// The least CPU left.
    Cpu,
    /// The least memory left.
    Memory,
    /// The fewest tasks of the group in the bucket.
    Count(ColumnId),
}

/// The strategies of a shape.
#[derive(Debug)]
pub(super) struct Chain {
    strategies: Vec<Strategy>,
    steps: Vec<Step>,
    lead: usize,
    parts: usize,
}

impl Chain {
    fn new(strategies: &[Strategy], columns: &mut Columns, classes: &mut LazyClasses<'_>) -> Self {
        let mut steps: Vec<Step> = Vec::new();
        for strategy in strategies {
            let step = match strategy {
                Strategy::Random => Step::Random,
                Strategy::Binpack(BinpackField::Cpu) => Step::Cpu,
                Strategy::Binpack(BinpackField::Memory) => Step::Memory,
                Strategy::Spread(field) => Step::Count(columns.id(field, classes)),
            };
            // What decided once cannot decide again, and nothing is left to decide after chance.
            if !steps.contains(&step) && !steps.contains(&Step::Random) {
                steps.push(step);
            }
        }
        let large = |step: &Step| match step {
            Step::Count(id) => columns.get(*id).filter(|column| !column.is_small()),
            Step::Random | Step::Cpu | Step::Memory => None,
        };
        let mut buckets = 1_usize;
        let leads = |step: &&Step| {
            let column = large(step);
            // And one for the instances that lack the attribute.
            let own = column.map_or(0, |column| column.buckets().saturating_add(1));
            buckets = buckets.saturating_mul(own);
            column.is_some() && buckets <= BUCKETS_MAX
        };
        let lead = steps.iter().take_while(leads).count();
        let own = |step: &&Step| **step != Step::Random && large(step).is_none();
        let parts = steps.iter().skip(lead).take_while(own).take(PARTS_MAX).count();
        Self {
            strategies: strategies.to_vec(),
            steps,
            lead,
            parts,
        }
    }

    /// All strategies that can decide.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The first ones: spreading over not too many buckets of many instances. Instances are sorted within the
    /// buckets.
    pub(super) fn lead(&self) -> &[Step] {
        self.steps.get(..self.lead).unwrap_or(&[])
    }

    /// Those after them that compare numbers of the instances themselves, and that can be sorted by.
    pub(super) fn parts(&self) -> &[Step] {
        self.steps
            .get(self.lead..)
            .and_then(|rest| rest.get(..self.parts))
            .unwrap_or(&[])
    }

    /// The rest, looked at only between instances that are equal so far.
    pub(super) fn tail(&self) -> &[Step] {
        self.steps
            .get(self.lead.saturating_add(self.parts)..)
            .unwrap_or(&[])
    }

    /// The columns that tasks must be counted by.
    pub(super) fn columns(&self) -> impl Iterator<Item = ColumnId> + '_ {
        self.steps.iter().filter_map(|step| match step {
            Step::Count(column) => Some(*column),
            Step::Random | Step::Cpu | Step::Memory => None,
        })
    }

    /// Whether the sort order depends on the task's group.
    pub(super) fn sorts_by_group(&self) -> bool {
        self.parts().iter().any(|step| matches!(step, Step::Count(_)))
    }
}

/// The chains that were needed so far.
#[derive(Debug, Default)]
pub(super) struct Chains {
    chains: Vec<Chain>,
    last: usize,
}

impl Chains {
    /// The position of a shape's chain.
    pub(super) fn id(
        &mut self,
        shape: &Shape,
        columns: &mut Columns,
        classes: &mut LazyClasses<'_>,
    ) -> usize {
        let strategies = strategies_of(shape);
        if self
            .chains
            .get(self.last)
            .is_some_and(|chain| chain.strategies == strategies)
        {
            return self.last;
        }
        let known = self
            .chains
            .iter()
            .position(|chain| chain.strategies == strategies);
        self.last = known.unwrap_or_else(|| {
            self.chains.push(Chain::new(strategies, columns, classes));
            self.chains.len().saturating_sub(1)
        });
        self.last
    }

    pub(super) fn get(&self, id: usize) -> Option<&Chain> {
        self.chains.get(id)
    }
}
