//! When two messages are the same one.

use super::full::FULL;
use super::*;

fn hash(body: &str) -> ContentHash {
    decode_with(body, &permissive()).unwrap().content_hash
}

#[test]
fn order_white_space_escapes_defaults_and_the_id_make_no_difference() {
    let plain = hash(r#"{"taskDefinition":"etl:1","cluster":"default"}"#);
    for same in [
        r#"{ "cluster" : "default", "taskDefinition" : "etl:1" }"#,
        r#"{"taskDefinition":"etl:\u0031"}"#,
        r#"{"id":"x","taskDefinition":"etl:1","priority":0,"count":1,"launchType":"EC2","group":"family:etl"}"#,
        r#"{"cluster":"arn:aws:ecs:us-east-1:123456789012:cluster/default","taskDefinition":"etl:1","tags":[],
            "overrides":{"containerOverrides":[]},"propagateTags":"NONE","enableECSManagedTags":false,
            "networkConfiguration":{},"enableExecuteCommand":false}"#,
    ] {
        assert_eq!(hash(same), plain, "{same}");
    }
    let packed = hash(r#"{"taskDefinition":"etl","placementStrategy":[{"type":"binpack","field":"cpu"}]}"#);
    assert_eq!(
        packed,
        hash(r#"{"placementStrategy":[{"field":"CPU","type":"binpack"}],"taskDefinition":"etl"}"#)
    );
}

#[test]
fn every_other_change_makes_one() {
    let full: serde_json::Value = serde_json::from_str(FULL).unwrap();
    let mut hashes = vec![hash(FULL)];
    for key in full
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| !["id", "taskDefinition"].contains(&key.as_str()))
    {
        let mut without = full.clone();
        without.as_object_mut().unwrap().remove(key);
        hashes.push(hash(&without.to_string()));
    }
    for (from, to) in [
        ("etl:12", "etl:13"),
        ("g2.*", "g3.*"),
        ("2026-11-21\"}, {", "2026-11-22\"}, {"),
        ("\"host\"", "\"attribute:rack\""),
        ("\"--all\"", "\"--none\""),
        ("subnet-0c2d", "subnet-0c2e"),
        ("\"data\"", "\"date\""),
    ] {
        let changed = FULL.replace(from, to);
        assert_ne!(changed, FULL);
        hashes.push(hash(&changed));
    }
    let count = hashes.len();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), count);
}

/// The hash is stored with each task: if it changed, messages repeated during an upgrade would be refused.
#[test]
fn the_hash_stays_the_same_between_releases() {
    assert_eq!(
        hash(r#"{"taskDefinition":"etl:1"}"#).to_string(),
        "51fc9ed5e8b954ef6388b81b28dfde2f1b3c7b806042277b896424c45a7eb43d"
    );
    assert_eq!(
        hash(FULL).to_string(),
        "b5b387222a24238d4533ea80a6d00bec0185fa2d57190dfe131e6960876db8a3"
    );
}

#[test]
fn a_hash_is_read_back() {
    let hash = hash(FULL);
    assert_eq!(ContentHash::parse(&hash.to_string()), Some(hash));
    for bad in [
        String::new(),
        hash.to_string().to_uppercase(),
        format!("{hash}0"),
        "g".repeat(64),
    ] {
        assert_eq!(ContentHash::parse(&bad), None, "{bad}");
    }
}
