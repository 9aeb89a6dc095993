//! Instances with equal attributes are one class: what depends on attributes alone is the same for all.

use std::collections::BTreeMap;

use crate::attributes::{AttributeSet, Fingerprint};
use crate::constraint::expression::Expression;
use crate::snapshot::{InstanceView, Snapshot};

/// The classes, made when they are needed for the first time.
#[derive(Debug)]
pub(super) struct LazyClasses<'a> {
    snapshot: &'a Snapshot,
    classes: Option<Classes<'a>>,
}

impl<'a> LazyClasses<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            classes: None,
        }
    }

    pub(super) fn get(&mut self) -> &mut Classes<'a> {
        self.classes.get_or_insert_with(|| Classes::new(self.snapshot))
    }

    /// How many instances there are.
    pub(super) fn instances(&self) -> usize {
        self.snapshot.instances().len()
    }
}

/// The class of every instance.
#[derive(Debug)]
pub(super) struct Classes<'a> {
    class_of: Vec<u32>,
    /// One instance of each class.
    examples: Vec<&'a InstanceView>,
    verdicts: BTreeMap<Expression, Vec<bool>>,
}

impl<'a> Classes<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let mut ids: BTreeMap<(Fingerprint, usize, Option<&AttributeSet>), u32> = BTreeMap::new();
        let mut examples = Vec::new();
        let class_of = snapshot.instances().iter().map(|view| {
            let fingerprint = view.record.state().attributes;
            // Equal fingerprints stand for equal sets, here as in the stored records; comparing thirty
            // attributes of every instance would cost more than all the rest. A record that does not know
            // its fingerprint yet is compared.
            let compared = (fingerprint == Fingerprint::default()).then_some(&*view.attributes);
            *ids.entry((fingerprint, view.attributes.len(), compared))
                .or_insert_with(|| {
                    examples.push(view);
                    u32::try_from(examples.len().saturating_sub(1)).unwrap_or(u32::MAX)
                })
        });
        let class_of = class_of.collect();
        Self {
            class_of,
            examples,
            verdicts: BTreeMap::new(),
        }
    }

    /// For each instance what is given for its class.
    pub(super) fn spread<'c, T: Copy>(
        &'c self,
        by_class: &'c [T],
        otherwise: T,
    ) -> impl Iterator<Item = T> + 'c {
        let of_class = move |class: &u32| by_class.get(*class as usize).copied().unwrap_or(otherwise);
        self.class_of.iter().map(of_class)
    }

    /// How many instances of each class are counted.
    pub(super) fn sizes(&self, counted: impl Iterator<Item = bool>) -> Vec<usize> {
        let mut sizes = vec![0_usize; self.examples.len()];
        for (class, _) in self.class_of.iter().zip(counted).filter(|(_, counted)| *counted) {
            if let Some(size) = sizes.get_mut(*class as usize) {
                *size = size.saturating_add(1);
            }
        }
        sizes
    }

    /// One instance of each class.
    pub(super) fn examples(&self) -> &[&'a InstanceView] {
        &self.examples
    }

    /// For each class whether an expression over attributes holds.
    pub(super) fn verdicts(&mut self, expression: &Expression) -> &[bool] {
        if !self.verdicts.contains_key(expression) {
            let verdicts = self
                .examples
                .iter()
                .map(|view| expression.matches(*view))
                .collect();
            self.verdicts.insert(expression.clone(), verdicts);
        }
        self.verdicts.get(expression).map_or(&[], |verdicts| verdicts)
    }
}
