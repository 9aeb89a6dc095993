//! The examples of the post that introduced placement policies:
//! <https://aws.amazon.com/blogs/compute/introducing-amazon-ecs-task-placement-policies/>
//!
//! The cluster has, in each zone, some small T2 and a G2 instance; MiB of memory that remain:
//!
//! | zone | instances |
//! |---|---|
//! | us-east-1a | t2-a1 t2.small 1992 (stack=prod), t2-a2 t2.medium 3951, t2-a3 t2.micro 993, m4-a1 m4.large 7985, g2-a1 4096, g2-a2 15566 |
//! | us-east-1b | t2-b1 t2.small 1992, g2-b1 15566 |
//! | us-east-1d | t2-d1 t2.medium 3951, g2-d1 8000 |

use std::collections::BTreeMap;

use crate::berth::{LAUNCH_POST, ids, listed, place_json, placed};

const SMALL_OR_MEDIUM_NOT_IN_D: &str = r#"{
    "cpu": 256, "memory": 512,
    "placementConstraints": [{"type": "memberOf", "expression": "(attribute:ecs.instance-type == t2.small or attribute:ecs.instance-type == t2.medium) and attribute:ecs.availability-zone != us-east-1d"}]
}"#;

#[test]
fn instances_are_found_by_their_type() {
    let t2 = ["t2-d1", "t2-a1", "t2-a2", "t2-b1", "t2-a3"];
    assert_eq!(
        listed(LAUNCH_POST, "attribute:ecs.instance-type matches t2.*"),
        t2
    );
    assert_eq!(listed(LAUNCH_POST, "attribute:ecs.instance-type=~t2.*"), t2);
}

#[test]
fn instances_are_found_by_type_and_zone() {
    let filter = "attribute:ecs.instance-type matches t2.* and attribute:ecs.availability-zone == us-east-1a";
    assert_eq!(listed(LAUNCH_POST, filter), ["t2-a1", "t2-a2", "t2-a3"]);
}

#[test]
fn instances_are_found_by_a_custom_attribute() {
    assert_eq!(listed(LAUNCH_POST, "attribute:stack == prod"), ["t2-a1"]);
    // Another value differs from prod, and so does no value.
    let others = [
        "t2-d1", "g2-a2", "m4-a1", "t2-a2", "g2-b1", "t2-b1", "t2-a3", "g2-a1", "g2-d1",
    ];
    assert_eq!(listed(LAUNCH_POST, "attribute:stack != prod"), others);
}

#[test]
fn five_tasks_keep_to_the_types_and_zones_of_their_constraint() {
    let allowed = ["t2-a1", "t2-a2", "t2-b1"];
    for seed in ["1", "2", "3", "4"] {
        let instances = placed(
            LAUNCH_POST,
            SMALL_OR_MEDIUM_NOT_IN_D,
            &["--count", "5", "--seed", seed],
        );
        assert_eq!(instances.len(), 5);
        assert!(
            instances.iter().all(|id| allowed.contains(&id.as_str())),
            "{instances:?}"
        );
    }
}

#[test]
fn a_constraint_leaves_exactly_the_room_of_the_instances_that_satisfy_it() {
    // 1992 / 512 = 3 on each t2.small, 3951 / 512 = 7 on the t2.medium, whatever order chance gives them.
    let answer = place_json(LAUNCH_POST, SMALL_OR_MEDIUM_NOT_IN_D, &["--count", "14"]);
    let mut copies = BTreeMap::new();
    for id in ids(&answer["placements"]) {
        *copies.entry(id).or_insert(0) += 1;
    }
    let expected = [("t2-a1", 3), ("t2-a2", 7), ("t2-b1", 3)];
    assert_eq!(copies, expected.map(|(id, count)| (id.to_owned(), count)).into());

    let explanation = &answer["hold"]["explanation"];
    assert_eq!(answer["hold"]["reason"], "shortfall");
    assert_eq!(explanation["evaluated"], 10);
    assert_eq!(explanation["filtered"][0]["by"]["filter"], "memberOf");
    assert_eq!(explanation["filtered"][0]["instances"], 7);
    assert_eq!(
        explanation["short"],
        serde_json::json!([{"of": "memory", "instances": 3}])
    );
    // 1992 - 3 * 512 = 456 remain on the small ones, more than 3951 - 7 * 512 = 367; the first id of the two.
    assert!(
        explanation["nearest"]["instance"]
            .as_str()
            .unwrap()
            .ends_with("/t2-a1")
    );
    let short = serde_json::json!([{"of": "memory", "needed": 512, "remaining": 456}]);
    assert_eq!(explanation["nearest"]["short"], short);
}

#[test]
fn nine_tasks_are_spread_over_the_zones_and_packed_by_memory_within_them() {
    let task = r#"{
        "cpu": 256, "memory": 512,
        "placementStrategy": [
            {"type": "spread", "field": "attribute:ecs.availability-zone"},
            {"type": "binpack", "field": "memory"}
        ]
    }"#;
    let expected = [
        // Each zone has none: the least memory of all, which fits one.
        "t2-a3", "t2-b1", "t2-d1", // t2-a3 has 481 left, too little; t2-b1 has the least now.
        "t2-b1", "t2-a1", "t2-d1", // 968 on t2-b1, the least again, then its zone is full of three.
        "t2-b1", "t2-a1", "t2-d1",
    ];
    assert_eq!(placed(LAUNCH_POST, task, &["--count", "9"]), expected);
}

#[test]
fn g2_instances_only_with_the_template_that_balances_zones_and_packs() {
    let task = r#"{
        "cpu": 1024, "memory": 2048,
        "placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.instance-type=~g2.*"}]
    }"#;
    let expected = [
        "g2-a1", "g2-d1", "g2-b1", // The fullest one of all first, then the zones that have none.
        "g2-a1", "g2-d1", "g2-b1", // g2-a1 is full now: 4096 was room for two.
        "g2-d1", "g2-b1", "g2-a2",
    ];
    let options = ["--count", "9", "--template", "az-balanced-binpack"];
    assert_eq!(placed(LAUNCH_POST, task, &options), expected);
}
