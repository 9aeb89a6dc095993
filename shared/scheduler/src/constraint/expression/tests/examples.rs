//! The examples of the developer guide and of the launch post, on one small cluster.

use super::*;

/// Four instances a to d, of different types, zones, ages and loads.
fn cluster() -> [(char, Instance); 4] {
    [
        (
            'a',
            Instance::new()
                .with("ecs.instance-type", "t2.small")
                .with("ecs.availability-zone", "us-east-1a")
                .with("ecs.os-type", "linux")
                .with("ecs.cpu-architecture", "x86_64")
                .with("stack", "prod")
                .connected()
                .agent("1.14.4")
                .id("i-abcd1234")
                .registered("2018-02-12T23:59:59Z")
                .running(1)
                .groups(&["service:production"]),
        ),
        (
            'b',
            Instance::new()
                .with("ecs.instance-type", "t2.medium")
                .with("ecs.availability-zone", "us-east-1d")
                .with("ecs.os-type", "linux")
                .with("ecs.cpu-architecture", "x86_64")
                .with("stack", "test")
                .with("drain", "true")
                .connected()
                .agent("1.14.5")
                .id("i-wxyx7890")
                .registered("2018-02-13T00:00:00Z")
                .running(12)
                .groups(&["database", "service:production", "databases"]),
        ),
        (
            'c',
            Instance::new()
                .with("ecs.instance-type", "g2.2xlarge")
                .with("ecs.availability-zone", "us-east-1b")
                .with("ecs.os-type", "windows")
                .with("ecs.cpu-architecture", "x86_64")
                .with("ecs.awsvpc-trunk-id", "eni-12")
                .with("drain", "false")
                .connected()
                .agent("1.9.0")
                .id("i-33333333")
                .registered("2024-05-01T12:00:00Z")
                .running(9),
        ),
        (
            'd',
            Instance::new()
                .with("ecs.instance-type", "g2.8xlarge")
                .with("ecs.availability-zone", "us-east-1d")
                .with("ecs.os-type", "linux")
                .with("ecs.cpu-architecture", "arm64")
                .with_valueless("ecs.capability.external")
                .agent("1.100.0")
                .registered("2026-01-01T00:00:00Z"),
        ),
    ]
}

#[track_caller]
fn assert_selects(text: &str, expected: &str) {
    let expression = parse(text);
    let selected: String = cluster()
        .iter()
        .filter(|(_, instance)| expression.matches(instance))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(selected, expected, "`{text}`");
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-query-language.html>
#[test]
fn the_examples_of_the_developer_guide_select_what_it_says() {
    for (text, expected) in [
        ("attribute:ecs.instance-type == t2.small", "a"),
        (
            "attribute:ecs.availability-zone in [us-east-1a, us-east-1b]",
            "ac",
        ),
        (
            "attribute:ecs.instance-type =~ g2.* and attribute:ecs.availability-zone != us-east-1d",
            "c",
        ),
        ("task:group == service:production", "ab"),
        ("not(task:group == database)", "acd"),
        ("runningTasksCount == 1", "a"),
        ("agentVersion < 1.14.5", "ac"),
        ("registeredAt < 2018-02-13", "a"),
        ("registeredAt < 2018-02-13T00:00:00+00:00", "a"),
        ("registeredAt <= 2018-02-13T00:00:00Z", "ab"),
        ("registeredAt >= 2018-02-13T00:00:00", "bcd"),
        ("ec2InstanceId in ['i-abcd1234', 'i-wxyx7890']", "ab"),
        ("attribute:ecs.instance-type in [t2.small, t2.medium]", "ab"),
        ("attribute:ecs.os-type == linux", "abd"),
        ("attribute:ecs.cpu-architecture == arm64", "d"),
        ("task:group == databases", "b"),
        ("attribute:ecs.instance-type matches t2.*", "ab"),
    ] {
        assert_selects(text, expected);
    }
}

/// <https://aws.amazon.com/blogs/compute/introducing-amazon-ecs-task-placement-policies/>
#[test]
fn the_examples_of_the_launch_post_select_what_it_says() {
    for (text, expected) in [
        ("attribute:ecs.instance-type==t2.small", "a"),
        ("attribute:ecs.instance-type=~g2.*", "cd"),
        (
            "(attribute:ecs.instance-type == t2.small or attribute:ecs.instance-type == t2.medium) and \
             attribute:ecs.availability-zone != us-east-1d",
            "a",
        ),
        ("attribute:stack == prod", "a"),
        ("attribute:stack != prod", "bcd"),
    ] {
        assert_selects(text, expected);
    }
}

#[test]
fn expressions_found_in_public_use_select_what_their_authors_mean() {
    for (text, expected) in [
        ("attribute:drain !exists or attribute:drain != true", "acd"),
        ("agentConnected == true", "abc"),
        ("agentConnected != true", "d"),
        ("attribute:ecs.awsvpc-trunk-id exists", "c"),
        ("attribute:ecs.capability.external exists", "d"),
        ("attribute:ecs.capability.external !exists", "abc"),
        ("runningTasksCount < 10 && registeredAt > 2024-01-01", "cd"),
        ("attribute:ecs.instance-type !~ t.*", "cd"),
        ("attribute:ecs.instance-type not_matches t2.*", "cd"),
        ("ec2InstanceId == i-abcd1234", "a"),
        ("ec2InstanceId !in [i-abcd1234]", "bcd"),
        ("ec2InstanceId =~ i-[a-z].*", "ab"),
        ("task:group exists", "ab"),
        ("task:group =~ service:.* and task:group !in [database]", "a"),
    ] {
        assert_selects(text, expected);
    }
}
