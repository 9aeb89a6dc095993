//! What `berth instances` lists, and how.

use crate::berth::{LAUNCH_POST, MIXED, berth, ids, listed, path};

const ALL: [&str; 7] = ["web", "draining", "disconnected", "arm", "small", "large", "gpu"];

fn all_but(left_out: &[&str]) -> Vec<&'static str> {
    ALL.into_iter().filter(|id| !left_out.contains(id)).collect()
}

#[test]
fn without_a_filter_all_are_listed_in_the_order_of_the_file() {
    let answer = berth(&["instances", "--from", &path(MIXED), "--json"], "");
    assert_eq!(ids(&serde_json::from_str(&answer.out).unwrap()), ALL);
    let first = "arn:aws:ecs:us-east-1:123456789012:container-instance/demo/web";
    assert!(
        answer.out.contains(first),
        "the whole ARN is printed: {}",
        answer.out
    );
}

#[test]
fn every_subject_is_read_from_the_file() {
    for (filter, expected) in [
        ("agentConnected == true", all_but(&["disconnected"])),
        // As version numbers: 1.9 comes before 1.14.
        ("agentVersion < 1.14.5", vec!["small"]),
        ("agentVersion <= 1.14.5", vec!["web", "small"]),
        ("ec2InstanceId in ['i-web', 'i-gpu']", vec!["web", "gpu"]),
        ("runningTasksCount > 3", vec!["draining", "large"]),
        // Seconds since 1970, a date alone, and ISO 8601 with a zone.
        ("registeredAt < 2026-01-01", vec!["arm"]),
        ("registeredAt >= 2026-11-20", vec!["large"]),
        (
            "registeredAt > 2026-11-01T07:59:59Z and registeredAt < 2026-11-02",
            vec!["web", "draining", "disconnected", "small", "gpu"],
        ),
        ("attribute:ecs.capability.task-eni exists", ALL.to_vec()),
        ("attribute:ecs.capability.task-eni == true", vec![]),
        ("!(attribute:ecs.cpu-architecture == x86_64)", vec!["arm"]),
    ] {
        assert_eq!(listed(MIXED, filter), expected, "{filter}");
    }
}

#[test]
fn task_groups_match_nothing_because_the_file_holds_no_tasks() {
    assert_eq!(listed(MIXED, "task:group == family:web"), [""; 0]);
    assert_eq!(listed(MIXED, "task:group != family:web"), ALL);
}

#[test]
fn a_table_has_the_ids_and_the_attributes_asked_for() {
    let filter = "attribute:ecs.availability-zone == us-east-1d";
    let answer = berth(
        &["instances", "--from", &path(LAUNCH_POST), "--filter", filter],
        "",
    );
    assert_eq!(
        answer.out,
        "INSTANCE  ecs.instance-type  ecs.availability-zone\n\
         t2-d1     t2.medium          us-east-1d\n\
         g2-d1     g2.2xlarge         us-east-1d\n\
         2 of 10 instances\n"
    );
    let filter = "attribute:ecs.instance-type in [t2.small, m4.large]";
    let attributes = "stack,attribute:ecs.capability.task-eni";
    let options = [
        "instances",
        "--from",
        &path(LAUNCH_POST),
        "--filter",
        filter,
        "--attributes",
        attributes,
    ];
    assert_eq!(
        berth(&options, "").out,
        "INSTANCE  stack  ecs.capability.task-eni\n\
         t2-a1     prod   (no value)\n\
         m4-a1     test   (no value)\n\
         t2-b1     -      (no value)\n\
         3 of 10 instances\n"
    );
}

#[test]
fn no_match_is_an_answer_too() {
    let none = [
        "instances",
        "--from",
        &path(MIXED),
        "--filter",
        "attribute:stack exists",
    ];
    let answer = berth(&none, "");
    assert_eq!(
        (answer.code, answer.out.as_str()),
        (Some(0), "0 of 7 instances\n")
    );
    assert_eq!(listed(MIXED, "attribute:stack exists"), [""; 0]);
}

#[test]
fn pages_of_a_large_cluster_are_read_from_standard_input_as_one() {
    let page = |cluster: &str| std::fs::read_to_string(path(cluster)).unwrap();
    let pages = format!("[{},{}]", page(MIXED), page(LAUNCH_POST));
    let answer = berth(
        &[
            "instances",
            "--from",
            "-",
            "--filter",
            "attribute:ecs.instance-type =~ (t3|t2).*",
            "--json",
        ],
        &pages,
    );
    let listed = ids(&serde_json::from_str(&answer.out).unwrap());
    assert_eq!(listed, ["small", "t2-d1", "t2-a1", "t2-a2", "t2-b1", "t2-a3"]);
}

#[test]
fn an_instance_that_ecs_could_not_describe_is_named_beside_the_answer() {
    let answer = berth(&["instances", "--from", &path(MIXED), "--json"], "");
    assert!(
        answer
            .err
            .contains("container-instance/demo/gone` was not described: MISSING"),
        "{}",
        answer.err
    );
}
