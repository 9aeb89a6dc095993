//! Why tasks are not placed in the mixed cluster:
//!
//! | instance | type, zone | why not |
//! |---|---|---|
//! | web | m5.large, us-east-1a | TCP port 8080 is taken; 2 network interfaces for tasks |
//! | draining | m5.large, us-east-1a | DRAINING |
//! | disconnected | m5.xlarge, us-east-1b | its agent is not connected |
//! | arm | m6g.large, us-east-1b | another processor |
//! | small | t3.small, us-east-1b | 300 MiB remain |
//! | large | m5.large, us-east-1a | 100 CPU units remain |
//! | gpu | p3.2xlarge, us-east-1b | one GPU, the only one there is |

use serde_json::{Value, json};

use crate::berth::{MIXED, ids, place, place_json, placed};

/// The two that no constraint has to filter.
fn unavailable() -> [Value; 2] {
    [
        json!({"by": {"filter": "status", "status": "DRAINING"}, "instances": 1}),
        json!({"by": {"filter": "agentDisconnected"}, "instances": 1}),
    ]
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[test]
fn the_nearest_miss_is_the_one_that_lacks_the_smallest_share() {
    let task = r#"{
        "cpu": 200, "memory": 400,
        "placementConstraints": [
            {"type": "memberOf", "expression": "attribute:ecs.instance-type == t3.small or ec2InstanceId == i-large"}
        ]
    }"#;
    let answer = place_json(MIXED, task, &[]);
    assert_eq!(answer["placements"], json!([]));
    assert_eq!(answer["hold"]["reason"], "shortfall");
    let explanation = &answer["hold"]["explanation"];
    assert_eq!(explanation["evaluated"], 7);
    let filtered = explanation["filtered"].as_array().unwrap();
    assert_eq!(filtered[..2], unavailable());
    assert_eq!(
        (filtered.len(), &filtered[2]["by"]["filter"]),
        (3, &json!("memberOf"))
    );
    assert_eq!(filtered[2]["instances"], 3);
    assert_eq!(
        explanation["short"],
        json!([{"of": "cpu", "instances": 1}, {"of": "memory", "instances": 1}])
    );
    // A quarter of the memory is missing on small, half of the CPU on large.
    assert!(
        explanation["nearest"]["instance"]
            .as_str()
            .unwrap()
            .ends_with("/small")
    );
    assert_eq!(
        explanation["nearest"]["short"],
        json!([{"of": "memory", "needed": 400, "remaining": 300}])
    );
}

#[test]
fn people_read_the_whole_reason_in_one_sentence() {
    let task = r#"{
        "cpu": 200, "memory": 400,
        "placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.instance-type == t3.small"}]
    }"#;
    let answer = place(MIXED, task, &[]);
    assert_eq!(answer.code, Some(0));
    assert_eq!(
        answer.out,
        "0 of 1 copy placed\n\
         no instance has room: 1 of 7 instances matches (6 filtered: 1 draining, 1 with a disconnected agent, \
         4 by memberOf(attribute:ecs.instance-type == t3.small)); short of memory on 1; nearest small: memory: \
         needs 400 MiB, 300 free\n"
    );
}

#[test]
fn a_gpu_is_a_whole_device_and_there_is_one() {
    let task = r#"{
        "family": "train", "count": 2,
        "containerDefinitions": [
            {"name": "main", "cpu": 100, "memory": 100, "resourceRequirements": [{"type": "GPU", "value": "1"}]}
        ]
    }"#;
    let answer = place_json(MIXED, task, &[]);
    assert_eq!(ids(&answer["placements"]), ["gpu"]);
    assert_eq!(answer["hold"]["reason"], "shortfall");
    assert_eq!(
        answer["hold"]["explanation"]["short"],
        json!([{"of": "gpu", "instances": 5}])
    );

    let two = task.replace("\"value\": \"1\"", "\"value\": \"2\"");
    let answer = place_json(MIXED, &two, &[]);
    assert_eq!(
        (&answer["placements"], &answer["hold"]["reason"]),
        (&json!([]), &json!("neverFits"))
    );
    let nearest = &answer["hold"]["explanation"]["nearest"];
    assert!(
        nearest["instance"].as_str().unwrap().ends_with("/gpu"),
        "{nearest}"
    );
    assert_eq!(
        nearest["short"],
        json!([{"of": "gpu", "needed": 2, "remaining": 1}])
    );
}

#[test]
fn a_host_port_is_taken_once_for_each_protocol() {
    let task = r#"{
        "containerDefinitions": [
            {"name": "main", "cpu": 50, "memory": 64, "portMappings": [{"containerPort": 80, "hostPort": 8080}]}
        ],
        "placementConstraints": [{"type": "memberOf", "expression": "attribute:ecs.instance-type == m5.large"}]
    }"#;
    let answer = place_json(MIXED, task, &["--count", "2"]);
    assert_eq!(ids(&answer["placements"]), ["large"]);
    assert_eq!(
        answer["hold"]["explanation"]["short"],
        json!([{"of": "ports", "instances": 2}])
    );

    let udp = task.replace("\"hostPort\": 8080", "\"hostPort\": 8080, \"protocol\": \"udp\"");
    assert_eq!(sorted(placed(MIXED, &udp, &["--count", "2"])), ["large", "web"]);
}

#[test]
fn an_awsvpc_task_takes_a_network_interface() {
    // An m5.large has three, one of which is its own.
    let task = r#"{
        "cpu": 50, "memory": 64, "networkMode": "awsvpc", "count": 3,
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
        "placementConstraints": [{"type": "memberOf", "expression": "ec2InstanceId == i-web"}]
    }"#;
    let answer = place_json(MIXED, task, &[]);
    assert_eq!(ids(&answer["placements"]), ["web", "web"]);
    let nearest = &answer["hold"]["explanation"]["nearest"];
    assert_eq!(
        nearest["short"],
        json!([{"of": "eni", "needed": 1, "remaining": 0}])
    );
}

#[test]
fn an_awsvpc_task_goes_to_the_zone_of_its_subnets() {
    let task = |subnets: &str| {
        format!(
            r#"{{
                "cpu": 50, "memory": 64, "networkMode": "awsvpc",
                "networkConfiguration": {{"awsvpcConfiguration": {{"subnets": [{subnets}]}}}},
                "placementStrategy": [{{"type": "binpack", "field": "memory"}}]
            }}"#
        )
    };
    // Without the subnets it would be the smallest of all, which is in the other zone.
    assert_eq!(placed(MIXED, &task("\"subnet-b\""), &[]), ["small"]);
    assert_eq!(placed(MIXED, &task("\"subnet-a\""), &[]), ["large"]);
    assert_eq!(placed(MIXED, &task("\"subnet-a\", \"subnet-x\""), &[]), ["small"]);
    let answer = place_json(MIXED, &task("\"subnet-a\""), &["--count", "100"]);
    let filtered = answer["hold"]["explanation"]["filtered"].as_array().unwrap();
    assert_eq!(filtered[2], json!({"by": {"filter": "zone"}, "instances": 3}));

    let typo = place(MIXED, &task("\"sn-a\""), &[]);
    assert_eq!(typo.code, Some(2));
    assert!(
        typo.err.contains("subnets[0]: `sn-a` is no such id"),
        "{}",
        typo.err
    );
}

#[test]
fn distinct_instances_run_out() {
    let task = r#"{"cpu": 50, "memory": 64, "placementConstraints": [{"type": "distinctInstance"}]}"#;
    let plain = r#"{"cpu": 50, "memory": 64}"#;
    for (task, template) in [(task, &[][..]), (plain, &["--template", "one-task-per-host"])] {
        let answer = place_json(MIXED, task, &[&["--count", "6"], template].concat());
        assert_eq!(
            sorted(ids(&answer["placements"])),
            ["arm", "gpu", "large", "small", "web"]
        );
        assert_eq!(answer["hold"]["reason"], "noInstanceMatches");
        let filtered = answer["hold"]["explanation"]["filtered"].as_array().unwrap();
        assert_eq!(filtered[..2], unavailable());
        assert_eq!(
            filtered[2],
            json!({"by": {"filter": "distinctInstance"}, "instances": 5})
        );
    }
}

#[test]
fn what_a_task_definition_requires_of_its_instance_filters() {
    let arm = r#"{"cpu": 50, "memory": 64, "runtimePlatform": {"cpuArchitecture": "ARM64"}}"#;
    assert_eq!(placed(MIXED, arm, &["--count", "3"]), ["arm"; 3]);
    let gmsa = r#"{"cpu": 50, "memory": 64, "requiresAttributes": [{"name": "ecs.capability.gmsa"}]}"#;
    let answer = place_json(MIXED, gmsa, &[]);
    assert_eq!(answer["hold"]["reason"], "noInstanceMatches");
    let filtered = &answer["hold"]["explanation"]["filtered"][2];
    assert_eq!(
        (&filtered["by"]["filter"], &filtered["instances"]),
        (&json!("missingAttribute"), &json!(5))
    );
}
