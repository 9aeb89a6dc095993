//! The forms in which a task can be given.

use std::path::PathBuf;

use crate::berth::{LAUNCH_POST, MIXED, berth, place, placed};

/// Only `t2-a3`, with 1024 CPU units and 993 MiB, is a t2.micro.
const MICRO: &str = r#""placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.instance-type == t2.micro"}]"#;

/// The output of `aws ecs describe-task-definition`. One container has a soft limit, which is what counts.
const DESCRIBED: &str = r#"{
    "taskDefinition": {
        "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/etl:12",
        "family": "etl", "revision": 12, "status": "ACTIVE", "networkMode": "bridge", "volumes": [],
        "containerDefinitions": [
            {"name": "main", "image": "etl", "cpu": 128, "memory": 900, "memoryReservation": 300, "essential": true},
            {"name": "sidecar", "image": "proxy", "cpu": 0, "memory": 90}
        ],
        "placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.instance-type == t2.micro"}],
        "compatibilities": ["EC2"], "registeredAt": "2026-11-01T00:00:00+00:00"
    },
    "tags": []
}"#;

/// A file in the folder that Cargo keeps for this test.
fn file(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn amounts_are_numbers_or_texts_with_or_without_units() {
    for amounts in [
        r#""cpu": 512, "memory": 331"#,
        r#""cpu": "512", "memory": "331""#,
        r#""cpu": ".5 vCPU", "memory": "331""#,
    ] {
        // 993 MiB are three times 331, and 1024 CPU units two times 512.
        let answer = place(LAUNCH_POST, &format!("{{{amounts}, {MICRO}}}"), &["--count", "3"]);
        assert!(answer.out.contains("2 of 3 copies placed\n"), "{}", answer.out);
        assert!(
            answer.out.contains("nearest t2-a3: cpu: needs 512"),
            "{}",
            answer.out
        );
    }
}

#[test]
fn a_described_task_definition_stands_in_a_file_of_its_own_inside_the_task_or_for_it() {
    // 300 and 90 MiB: two copies fit in 993.
    let definition = file("etl-12.json", DESCRIBED);
    let named = r#"{"taskDefinition": "etl:12", "cluster": "demo", "startedBy": "me", "count": 2}"#;
    let expected = ["t2-a3", "t2-a3"];
    assert_eq!(
        placed(LAUNCH_POST, named, &["--task-definition", &definition]),
        expected
    );
    let inside = format!(r#"{{"taskDefinition": {DESCRIBED}, "count": 2}}"#);
    assert_eq!(placed(LAUNCH_POST, &inside, &[]), expected);
    assert_eq!(placed(LAUNCH_POST, DESCRIBED, &["--count", "2"]), expected);
    let third = place(
        LAUNCH_POST,
        named,
        &["--task-definition", &definition, "--count", "3"],
    );
    assert!(third.out.contains("2 of 3 copies placed"), "{}", third.out);
    assert!(third.out.contains("needs 390 MiB, 213 free"), "{}", third.out);
}

#[test]
fn overrides_change_what_a_copy_takes() {
    let definition = file("etl-12-overridden.json", DESCRIBED);
    let task = r#"{
        "taskDefinition": "etl:12",
        "overrides": {"containerOverrides": [{"name": "main", "memoryReservation": 241, "command": ["run"]}]}
    }"#;
    // 241 and 90 are 331, a third of 993.
    let options = ["--task-definition", &definition, "--count", "3"];
    assert_eq!(placed(LAUNCH_POST, task, &options), ["t2-a3"; 3]);
}

#[test]
fn gpus_can_be_asked_for_without_containers() {
    assert_eq!(
        placed(MIXED, r#"{"cpu": 1, "memory": 1, "gpu": 1}"#, &[]),
        ["gpu"]
    );
}

#[test]
fn a_template_stands_for_its_strategies() {
    let placed = |template: &str| {
        let task = r#"{"cpu": 256, "memory": 512}"#;
        placed(LAUNCH_POST, task, &["--template", template, "--count", "10"])
    };
    // 993 MiB hold one; then the next fullest, by id when two are equal: 1992 MiB hold three, 3951 seven.
    let packed = [
        "t2-a3", "t2-a1", "t2-a1", "t2-a1", "t2-b1", "t2-b1", "t2-b1", "t2-a2", "t2-a2", "t2-a2",
    ];
    assert_eq!(placed("binpack"), packed);
    let spread = placed("az-balanced-spread");
    let in_zone = |zone: &str| {
        spread
            .iter()
            .filter(|id| id.contains(&format!("-{zone}")))
            .count()
    };
    let mut by_zone = [in_zone("a"), in_zone("b"), in_zone("d")];
    by_zone.sort_unstable();
    assert_eq!(by_zone, [3, 3, 4]);
    // Four or fewer in zone a, which has six instances: each on one of its own.
    let mut in_a: Vec<&String> = spread.iter().filter(|id| id.contains("-a")).collect();
    in_a.sort();
    let copies = in_a.len();
    in_a.dedup();
    assert_eq!(in_a.len(), copies);
}

#[test]
fn the_same_seed_gives_the_same_answer_and_others_give_others() {
    let random = |seed: &str| {
        placed(
            LAUNCH_POST,
            r#"{"cpu": 1, "memory": 1}"#,
            &["--count", "20", "--seed", seed],
        )
    };
    assert_eq!(random("7"), random("7"));
    let answers: std::collections::BTreeSet<_> = ["1", "2", "3", "4"].map(random).into();
    assert!(answers.len() > 1, "{answers:?}");
}

#[test]
fn a_table_shows_the_instance_of_each_copy() {
    let task = r#"{"cpu": 512, "memory": 331, "placementStrategy": [{"type": "binpack", "field": "cpu"}]}"#;
    let answer = place(LAUNCH_POST, task, &["--count", "3"]);
    assert_eq!(
        answer.out,
        "COPY  INSTANCE  ecs.instance-type  ecs.availability-zone\n\
         1     t2-a1     t2.small           us-east-1a\n\
         2     t2-a1     t2.small           us-east-1a\n\
         3     t2-a3     t2.micro           us-east-1a\n\
         3 of 3 copies placed\n"
    );
}

#[test]
fn ten_thousand_copies_are_no_trouble() {
    let answer = place(LAUNCH_POST, r#"{"cpu": 0, "memory": 1}"#, &["--count", "10000"]);
    assert!(
        answer.out.ends_with("10000 of 10000 copies placed\n"),
        "{}",
        answer.out.len()
    );
}

#[test]
fn an_empty_cluster_is_an_answer_too() {
    let task = file("small-task.json", r#"{"cpu": 1, "memory": 1}"#);
    let answer = berth(
        &["place", "--from", "-", "--task", &task],
        r#"{"containerInstances": []}"#,
    );
    let expected = "0 of 1 copy placed\nthe cluster has no container instance\n";
    assert_eq!((answer.code, answer.out.as_str()), (Some(0), expected));
}
