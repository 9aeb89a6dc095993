//! Which instances pass a set of rules. Sets of rules that let the same instances pass share the answer, and
//! with it the indexes: thousands of different constraints often come to the same few answers.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::amounts::Amounts;

/// Most kinds of instances that are worth to be told apart: with more, looking at each instance is as quick.
const LARGEST_MAX: usize = if cfg!(test) { 2 } else { 64 };

/// The instances that pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Membership {
    number: usize,
    passes: Vec<bool>,
    members: Vec<u32>,
    /// What the largest of them have when they are empty, when somebody has asked; `None` when they are of too
    /// many kinds.
    largest: OnceLock<Option<Vec<Amounts>>>,
}

impl Membership {
    /// Tells memberships apart.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Whether an instance passes.
    pub(super) fn passes(&self, ordinal: usize) -> bool {
        self.passes.get(ordinal) == Some(&true)
    }

    /// The instances that pass, in rising order.
    pub(super) fn members(&self) -> &[u32] {
        &self.members
    }

    /// What the largest of them have when they are empty: whatever fits on one of them fits in one of these.
    /// `None` when they are of too many kinds.
    pub(super) fn largest(&self, registered: impl Fn(usize) -> Amounts) -> Option<&[Amounts]> {
        let largest = self.largest.get_or_init(|| {
            let mut largest: Vec<Amounts> = Vec::new();
            for member in &self.members {
                let amounts = registered(*member as usize);
                if largest.iter().any(|other| other.cover(amounts)) {
                    continue;
                }
                largest.retain(|other| !amounts.cover(*other));
                largest.push(amounts);
                if largest.len() > LARGEST_MAX {
                    return None;
                }
            }
            Some(largest)
        });
        largest.as_deref()
    }

    /// From now on an instance passes, or does not.
    pub(super) fn set(&mut self, ordinal: usize, passes: bool) {
        self.largest = OnceLock::new();
        if let Some(known) = self.passes.get_mut(ordinal) {
            *known = passes;
        }
        let member = u32::try_from(ordinal).unwrap_or(u32::MAX);
        match self.members.binary_search(&member) {
            Ok(place) if !passes => drop(self.members.remove(place)),
            Err(place) if passes => self.members.insert(place, member),
            Ok(_) | Err(_) => {}
        }
    }
}

/// All that were asked for.
#[derive(Debug, Default)]
pub(super) struct Memberships {
    /// Those that attributes alone decide, by the classes that pass; empty when all do.
    by_classes: BTreeMap<Vec<bool>, Arc<Membership>>,
    count: usize,
}

impl Memberships {
    /// One that nobody else has, so that it may change.
    pub(super) fn own(&mut self, passes: Vec<bool>) -> Arc<Membership> {
        // Most often nearly all pass.
        let mut members = Vec::with_capacity(passes.len());
        let each = (0_u32..).zip(&passes);
        members.extend(each.filter(|(_, passes)| **passes).map(|(ordinal, _)| ordinal));
        self.count = self.count.saturating_add(1);
        Arc::new(Membership {
            number: self.count,
            passes,
            members,
            largest: OnceLock::new(),
        })
    }

    /// The one of all rules that let the same classes pass; `passes` tells of each instance whether it does.
    pub(super) fn shared(
        &mut self,
        classes: Vec<bool>,
        passes: impl FnOnce() -> Vec<bool>,
    ) -> Arc<Membership> {
        if let Some(known) = self.by_classes.get(&classes) {
            return Arc::clone(known);
        }
        let membership = self.own(passes());
        self.by_classes.insert(classes, Arc::clone(&membership));
        membership
    }
}
