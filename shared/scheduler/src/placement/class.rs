//! Instances with equal attributes are one class: what depends on attributes alone is the same for all.

use std::collections::BTreeMap;

use crate::attributes::{AttributeSet, Fingerprint};
use crate::constraint::expression::Expression;
use crate::snapshot::{InstanceView, Snapshot};

/// The class of every instance.
#[derive(Debug)]
pub(super) struct Classes<'a> {
    class_of: Vec<u32>,
    /// One instance of each class.
    examples: Vec<&'a InstanceView>,
    verdicts: BTreeMap<Expression, Vec<bool>>,
}

impl<'a> Classes<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        // The fingerprint comes first because it tells most sets apart at once; it is only a hint.
        let mut ids: BTreeMap<(Fingerprint, &AttributeSet), u32> = BTreeMap::new();
        let mut examples = Vec::new();
        let class_of = snapshot.instances().iter().map(|view| {
            let key = (view.record.state().attributes, &*view.attributes);
            *ids.entry(key).or_insert_with(|| {
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

    pub(super) fn class_of(&self, ordinal: usize) -> usize {
        self.class_of
            .get(ordinal)
            .map_or(usize::MAX, |class| *class as usize)
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
