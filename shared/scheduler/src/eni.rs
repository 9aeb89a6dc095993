//! How many tasks in `awsvpc` mode an instance type has network interfaces for.
//!
//! A task takes one interface. Without trunking it is one of the instance's own, of which the first belongs
//! to the instance; with trunking it is a branch of the trunk interface, and there are more of them. What no
//! page tells is not known here either, and then ECS has the last word.

use crate::attributes::AttributeSet;
use crate::quantity::EniCount;

/// The instance has a trunk interface when it has this attribute.
const TRUNK_ATTRIBUTE: &str = "ecs.awsvpc-trunk-id";

/// The limit for an instance with these attributes; `None` when it is not known.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-eni.html>
pub fn task_limit(attributes: &AttributeSet) -> Option<EniCount> {
    let (family, size) = attributes.value("ecs.instance-type")?.split_once('.')?;
    let position = FAMILIES
        .binary_search_by_key(&family, |(family, _)| family)
        .ok()?;
    let (_, sizes) = FAMILIES.get(position)?;
    let limits = sizes.iter().find(|limits| limits.size == size)?;
    let limit = match attributes.get(TRUNK_ATTRIBUTE) {
        None => Some(limits.own),
        Some(_) => limits.branches,
    };
    limit.map(EniCount::new)
}

/// The limits of one size of a family.
#[derive(Debug)]
struct Limits {
    size: &'static str,
    /// Tasks without trunking: the type's interfaces without the first.
    own: u32,
    /// Tasks with trunking, where the page above lists the type.
    branches: Option<u32>,
}

const fn both(size: &'static str, own: u32, branches: u32) -> Limits {
    Limits {
        size,
        own,
        branches: Some(branches),
    }
}

const fn own(size: &'static str, own: u32) -> Limits {
    Limits {
        size,
        own,
        branches: None,
    }
}

/// Families of a kind have the same limits. A size that a family does not have does no harm.
type Sizes = &'static [Limits];

/// Before Nitro, without trunking.
static CLASSIC: Sizes = &[
    own("large", 2),
    own("xlarge", 3),
    own("2xlarge", 3),
    own("4xlarge", 7),
    own("8xlarge", 7),
    own("16xlarge", 14),
];

static T2: Sizes = &[
    own("nano", 1),
    own("micro", 1),
    own("small", 2),
    own("medium", 2),
    own("large", 2),
    own("xlarge", 2),
    own("2xlarge", 2),
];

static T3: Sizes = &[
    own("nano", 1),
    own("micro", 1),
    own("small", 2),
    own("medium", 2),
    own("large", 2),
    own("xlarge", 3),
    own("2xlarge", 3),
];

static T3A: Sizes = &[
    own("nano", 1),
    own("micro", 1),
    own("small", 1),
    own("medium", 2),
    own("large", 2),
    own("xlarge", 3),
    own("2xlarge", 3),
];

static M1: Sizes = &[
    own("small", 1),
    own("medium", 1),
    own("large", 2),
    own("xlarge", 3),
];

static M3: Sizes = &[
    own("medium", 1),
    own("large", 2),
    own("xlarge", 3),
    own("2xlarge", 3),
];

static M4: Sizes = &[
    own("large", 1),
    own("xlarge", 3),
    own("2xlarge", 3),
    own("4xlarge", 7),
    own("10xlarge", 7),
    own("16xlarge", 7),
];

/// The first Nitro families.
static NITRO: Sizes = &[
    both("large", 2, 10),
    both("xlarge", 3, 20),
    both("2xlarge", 3, 40),
    both("4xlarge", 7, 60),
    both("8xlarge", 7, 60),
    both("12xlarge", 7, 60),
    both("16xlarge", 14, 120),
    both("24xlarge", 14, 120),
    own("metal", 14),
];

static C5: Sizes = &[
    both("large", 2, 10),
    both("xlarge", 3, 20),
    both("2xlarge", 3, 40),
    both("4xlarge", 7, 60),
    both("9xlarge", 7, 60),
    both("12xlarge", 7, 60),
    both("18xlarge", 14, 120),
    both("24xlarge", 14, 120),
    own("metal", 14),
];

/// Nitro families for which the page excludes trunking.
static NITRO_WITHOUT_TRUNK: Sizes = &[
    own("large", 2),
    own("xlarge", 3),
    own("2xlarge", 3),
    own("4xlarge", 7),
    own("8xlarge", 7),
    own("9xlarge", 7),
    own("12xlarge", 7),
    own("16xlarge", 14),
    own("18xlarge", 14),
    own("24xlarge", 14),
    own("metal", 14),
];

/// The sixth generation of Intel and AMD.
static SIXTH: Sizes = &[
    both("large", 2, 10),
    both("xlarge", 3, 20),
    both("2xlarge", 3, 40),
    both("4xlarge", 7, 60),
    both("8xlarge", 7, 90),
    both("12xlarge", 7, 120),
    both("16xlarge", 14, 120),
    both("24xlarge", 14, 120),
    both("32xlarge", 14, 120),
    both("48xlarge", 14, 120),
    both("metal", 14, 120),
];

/// The sixth generation with more network bandwidth, whose largest sizes have two network cards.
static SIXTH_NETWORK: Sizes = &[
    both("large", 2, 10),
    both("xlarge", 3, 20),
    both("2xlarge", 3, 40),
    both("4xlarge", 7, 60),
    both("8xlarge", 7, 90),
    both("12xlarge", 7, 120),
    both("16xlarge", 14, 120),
    both("24xlarge", 14, 120),
    both("32xlarge", 13, 120),
    both("metal", 13, 120),
];

static GRAVITON: Sizes = &[
    both("medium", 1, 4),
    both("large", 2, 10),
    both("xlarge", 3, 20),
    both("2xlarge", 3, 40),
    both("4xlarge", 7, 60),
    both("8xlarge", 7, 60),
    both("12xlarge", 7, 60),
    both("16xlarge", 14, 120),
    both("metal", 14, 120),
];

static X2GD: Sizes = &[
    both("medium", 1, 10),
    both("large", 2, 10),
    both("xlarge", 3, 20),
    both("2xlarge", 3, 40),
    both("4xlarge", 7, 60),
    both("8xlarge", 7, 60),
    both("12xlarge", 7, 60),
    both("16xlarge", 14, 120),
    both("metal", 14, 120),
];

static A1: Sizes = &[
    both("medium", 1, 10),
    both("large", 2, 10),
    both("xlarge", 3, 20),
    both("2xlarge", 3, 40),
    both("4xlarge", 7, 60),
    own("metal", 7),
];

/// Later generations; their branch limits are not listed.
static LATER: Sizes = &[
    own("medium", 1),
    own("large", 2),
    own("xlarge", 3),
    own("2xlarge", 3),
    own("4xlarge", 7),
    own("8xlarge", 7),
    own("12xlarge", 7),
    own("16xlarge", 14),
    own("24xlarge", 14),
    own("32xlarge", 14),
    own("48xlarge", 14),
    own("metal", 14),
    own("metal-24xl", 14),
    own("metal-48xl", 14),
];

static I3EN: Sizes = &[
    own("large", 2),
    own("xlarge", 3),
    own("2xlarge", 3),
    own("3xlarge", 3),
    own("6xlarge", 7),
    own("12xlarge", 7),
    own("24xlarge", 14),
    own("metal", 14),
];

static G3: Sizes = &[own("4xlarge", 7), own("8xlarge", 7), own("16xlarge", 14)];

static G4AD: Sizes = &[
    both("xlarge", 1, 12),
    both("2xlarge", 1, 12),
    both("4xlarge", 2, 12),
    both("8xlarge", 3, 12),
    both("16xlarge", 7, 12),
];

static G4DN: Sizes = &[
    own("xlarge", 2),
    own("2xlarge", 2),
    own("4xlarge", 2),
    own("8xlarge", 3),
    own("12xlarge", 7),
    own("16xlarge", 3),
    own("metal", 14),
];

static G5: Sizes = &[
    both("xlarge", 3, 6),
    both("2xlarge", 3, 19),
    both("4xlarge", 7, 40),
    both("8xlarge", 7, 90),
    both("12xlarge", 14, 120),
    both("16xlarge", 7, 120),
    both("24xlarge", 14, 120),
    both("48xlarge", 6, 120),
];

static P2: Sizes = &[own("xlarge", 3), own("8xlarge", 7), own("16xlarge", 7)];

static P3: Sizes = &[
    both("2xlarge", 3, 40),
    both("8xlarge", 7, 60),
    both("16xlarge", 7, 120),
];

static INF1: Sizes = &[
    own("xlarge", 3),
    own("2xlarge", 3),
    own("6xlarge", 7),
    own("24xlarge", 10),
];

static X1: Sizes = &[own("16xlarge", 7), own("32xlarge", 7)];

/// The families by name.
static FAMILIES: &[(&str, Sizes)] = &[
    ("a1", A1),
    ("c3", CLASSIC),
    ("c4", CLASSIC),
    ("c5", C5),
    ("c5a", NITRO),
    ("c5ad", NITRO),
    ("c5d", C5),
    ("c5n", NITRO_WITHOUT_TRUNK),
    ("c6a", SIXTH),
    ("c6g", GRAVITON),
    ("c6gd", GRAVITON),
    ("c6gn", GRAVITON),
    ("c6i", SIXTH),
    ("c6id", SIXTH),
    ("c6in", SIXTH_NETWORK),
    ("c7a", LATER),
    ("c7g", GRAVITON),
    ("c7gd", LATER),
    ("c7gn", LATER),
    ("c7i", LATER),
    ("c7i-flex", LATER),
    ("c8g", LATER),
    ("d2", CLASSIC),
    ("g2", CLASSIC),
    ("g3", G3),
    ("g3s", CLASSIC),
    ("g4ad", G4AD),
    ("g4dn", G4DN),
    ("g5", G5),
    ("g5g", GRAVITON),
    ("g6", LATER),
    ("i2", CLASSIC),
    ("i3", CLASSIC),
    ("i3en", I3EN),
    ("im4gn", GRAVITON),
    ("inf1", INF1),
    ("is4gen", GRAVITON),
    ("m1", M1),
    ("m3", M3),
    ("m4", M4),
    ("m5", NITRO),
    ("m5a", NITRO),
    ("m5ad", NITRO),
    ("m5d", NITRO),
    ("m5dn", NITRO_WITHOUT_TRUNK),
    ("m5n", NITRO),
    ("m6a", SIXTH),
    ("m6g", GRAVITON),
    ("m6gd", GRAVITON),
    ("m6i", SIXTH),
    ("m6id", SIXTH),
    ("m6idn", SIXTH_NETWORK),
    ("m6in", SIXTH_NETWORK),
    ("m7a", LATER),
    ("m7g", GRAVITON),
    ("m7gd", LATER),
    ("m7i", LATER),
    ("m7i-flex", LATER),
    ("m8g", LATER),
    ("p2", P2),
    ("p3", P3),
    ("r3", CLASSIC),
    ("r4", CLASSIC),
    ("r5", NITRO),
    ("r5a", NITRO),
    ("r5ad", NITRO),
    ("r5b", NITRO_WITHOUT_TRUNK),
    ("r5d", NITRO),
    ("r5dn", NITRO_WITHOUT_TRUNK),
    ("r5n", NITRO_WITHOUT_TRUNK),
    ("r6a", SIXTH),
    ("r6g", GRAVITON),
    ("r6gd", GRAVITON),
    ("r6i", SIXTH),
    ("r6id", SIXTH),
    ("r6idn", SIXTH_NETWORK),
    ("r6in", SIXTH_NETWORK),
    ("r7a", LATER),
    ("r7g", GRAVITON),
    ("r7gd", LATER),
    ("r7i", LATER),
    ("r8g", LATER),
    ("t2", T2),
    ("t3", T3),
    ("t3a", T3A),
    ("t4g", T3),
    ("x1", X1),
    ("x2gd", X2GD),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(instance_type: &str, trunk: bool) -> Option<u32> {
        let mut attributes = AttributeSet::default();
        attributes.insert("ecs.instance-type", Some(instance_type.to_owned()));
        if trunk {
            attributes.insert(TRUNK_ATTRIBUTE, Some("0123abcd".to_owned()));
        }
        task_limit(&attributes).map(EniCount::get)
    }

    #[test]
    fn the_families_are_sorted_and_each_is_there_once() {
        assert!(FAMILIES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn an_instance_type_has_the_limits_that_the_page_lists() {
        // The page's own example, and one type of each kind.
        assert_eq!(
            (limit("c5.large", false), limit("c5.large", true)),
            (Some(2), Some(10))
        );
        assert_eq!(
            (limit("m5.24xlarge", false), limit("m5.24xlarge", true)),
            (Some(14), Some(120))
        );
        assert_eq!(
            (limit("m6i.8xlarge", false), limit("m6i.8xlarge", true)),
            (Some(7), Some(90))
        );
        assert_eq!(
            (limit("c7g.medium", false), limit("c7g.medium", true)),
            (Some(1), Some(4))
        );
        assert_eq!(
            (limit("g5.2xlarge", false), limit("g5.2xlarge", true)),
            (Some(3), Some(19))
        );
        assert_eq!(
            (limit("t3.medium", false), limit("g2.8xlarge", false)),
            (Some(2), Some(7))
        );
    }

    #[test]
    fn what_no_page_tells_is_not_known() {
        assert_eq!(limit("z9.large", false), None);
        assert_eq!(limit("m5.huge", false), None);
        assert_eq!(limit("m5", false), None);
        assert_eq!(limit("m7i.large", true), None, "its branch limit is not listed");
        assert_eq!(task_limit(&AttributeSet::default()), None);
    }
}
