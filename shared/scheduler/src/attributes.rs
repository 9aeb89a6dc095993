//! The attributes of a container instance.

use std::collections::BTreeMap;

/// Tells whether two attribute sets are the same without comparing them (FNV-1a, 64 bits): the hot record
/// of an instance carries it so that the cold one is only read when it changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// A stored fingerprint.
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// The bare bits.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Attribute names with their values; most capabilities have a name only.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeSet(BTreeMap<String, Option<String>>);

/// An attribute a task definition requires of its instance, computed by ECS from the features it uses.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequiredAttribute {
    /// The attribute's name.
    pub name: String,
    /// The value it must have; any value when `None`.
    pub value: Option<String>,
}

impl AttributeSet {
    /// The value of an attribute: `None` when it is missing, `Some(None)` when it has no value.
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.0.get(name).map(Option::as_deref)
    }

    /// The value of an attribute that has one.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.get(name).flatten()
    }

    /// Names and values in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// How many attributes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no attribute, as in the first event of a new instance.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an attribute or gives it a new value.
    pub fn insert(&mut self, name: impl Into<String>, value: Option<String>) {
        self.0.insert(name.into(), value);
    }

    /// Whether the instance has what a task definition requires.
    pub fn satisfies(&self, required: &RequiredAttribute) -> bool {
        match (self.get(&required.name), &required.value) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(value), Some(wanted)) => value == Some(wanted.as_str()),
        }
    }

    /// The fingerprint of the whole set.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut mix = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        for (name, value) in &self.0 {
            mix(name.as_bytes());
            // A byte that no name or value contains tells `a=` from `a` and ends each part.
            match value {
                Some(value) => {
                    mix(&[0x01]);
                    mix(value.as_bytes());
                }
                None => mix(&[0x02]),
            }
            mix(&[0x00]);
        }
        Fingerprint(hash)
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, Option<V>)> for AttributeSet {
    fn from_iter<I: IntoIterator<Item = (N, Option<V>)>>(attributes: I) -> Self {
        Self(
            attributes
                .into_iter()
                .map(|(name, value)| (name.into(), value.map(Into::into)))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_sets_apart_and_ignores_order() {
        let set = |pairs: &[(&str, Option<&str>)]| pairs.iter().copied().collect::<AttributeSet>();
        let one = set(&[("a", Some("1")), ("b", None)]);
        assert_eq!(
            one.fingerprint(),
            set(&[("b", None), ("a", Some("1"))]).fingerprint()
        );
        assert_ne!(
            one.fingerprint(),
            set(&[("a", Some("1")), ("b", Some(""))]).fingerprint()
        );
        assert_ne!(one.fingerprint(), set(&[("a", Some("1b"))]).fingerprint());
    }

    #[test]
    fn a_required_attribute_without_value_is_satisfied_by_any_value() {
        let set: AttributeSet = [("x", Some("1")), ("y", None)].into_iter().collect();
        let required = |name: &str, value: Option<&str>| RequiredAttribute {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        };
        assert!(set.satisfies(&required("x", None)) && set.satisfies(&required("y", None)));
        assert!(set.satisfies(&required("x", Some("1"))) && !set.satisfies(&required("x", Some("2"))));
        assert!(!set.satisfies(&required("y", Some("1"))) && !set.satisfies(&required("z", None)));
    }
}
