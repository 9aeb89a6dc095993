//! Syntax, and the fields at the top.

use super::*;

#[test]
fn what_is_not_one_json_object_is_refused() {
    let deep_array = "[".repeat(50_000);
    let deep_object = format!("{{\"overrides\": {}", "{\"a\":".repeat(10_000));
    let deep_field = format!("{}.{}", "overrides", ["a"; 31].join("."));
    for (body, field, piece) in [
        ("", "", "the text ends"),
        ("   \n", "", "the text ends"),
        ("hello", "", "expected a value, but found `h`"),
        ("{", "", "the text ends"),
        ("[]", "", "the body is a list: give one JSON object"),
        ("null", "", "the body is null"),
        ("\"text\"", "", "the body is a text"),
        ("5", "", "the body is a number"),
        ("true", "", "the body is true or false"),
        ("{}{}", "", "`{` after the end"),
        ("{\"taskDefinition\":\"etl\"},", "", "`,` after the end"),
        ("{'taskDefinition':'etl'}", "", "double quotes only"),
        ("{\"taskDefinition\":\"etl\",}", "", "found `}`"),
        (
            "{\"taskDefinition\":\"etl}",
            "taskDefinition",
            "ends inside this string",
        ),
        ("{\"taskDefinition\":\"e\tl\"}", "taskDefinition", "U+0009"),
        ("{\"count\":0x10}", "", "expected `,` or `}`"),
        ("{\"count\":1,\"count\":1}", "count", "given twice"),
        (
            "{\"tags\":[{\"key\":\"a\",\"key\":\"b\"}]}",
            "tags[0].key",
            "given twice",
        ),
        (
            &deep_array,
            &"[0]".repeat(32),
            "nested too deep: give at most 32 levels",
        ),
        (&deep_object, &deep_field, "nested too deep"),
    ] {
        let refusal = decode(body).unwrap_err();
        assert_eq!(
            refusal.field.unwrap_or_default(),
            field,
            "{body:.60}: {}",
            refusal.reason
        );
        assert!(
            refusal.reason.contains(piece) && refusal.position.is_some(),
            "{body:.60}: {}",
            refusal.reason
        );
    }
}

#[test]
fn fields_that_do_not_work_are_refused_by_name() {
    check_parts(&[
        (
            r#""volumeConfigurations": []"#,
            "volumeConfigurations",
            "not supported",
        ),
        (r#""platformVersion": "LATEST""#, "platformVersion", "Fargate"),
        (
            r#""capacityProviderStrategy": []"#,
            "capacityProviderStrategy",
            "`EC2` or `EXTERNAL`",
        ),
        (r#""clientToken": "x""#, "clientToken", "Berth sets it"),
        (r#""startedBy": "me""#, "startedBy", "Berth sets it"),
        (r#""referenceId": "x""#, "referenceId", "not supported"),
        (
            r#""launchType": "FARGATE""#,
            "launchType",
            "`FARGATE` is not supported",
        ),
        (
            r#""launchType": "MANAGED_INSTANCES""#,
            "launchType",
            "give `EC2` or `EXTERNAL`",
        ),
    ]);
}

#[test]
fn unknown_fields_are_refused_with_what_was_probably_meant() {
    check_parts(&[
        (r#""priorty": 5"#, "priorty", "did you mean `priority`?"),
        (r#""Priority": 5"#, "Priority", "did you mean `priority`?"),
        (
            r#""task_definition": "etl""#,
            "task_definition",
            "did you mean `taskDefinition`?",
        ),
        (
            r#""placementStrategies": []"#,
            "placementStrategies",
            "did you mean `placementStrategy`?",
        ),
        (
            r#""placementConstraint": []"#,
            "placementConstraint",
            "did you mean `placementConstraints`?",
        ),
        (
            r#""enableEcsManagedTags": true"#,
            "enableEcsManagedTags",
            "did you mean `enableECSManagedTags`?",
        ),
        (r#""override": {}"#, "override", "did you mean `overrides`?"),
        (r#""command": ["x"]"#, "command", "unknown field: give `id`"),
        (r#""__proto__": {}"#, "__proto__", "unknown field"),
        (r#""": 1"#, "\"\"", "unknown field"),
        (r#""a.b": 1"#, "\"a.b\"", "unknown field"),
    ]);
}

#[test]
fn numbers_must_be_whole_and_in_range() {
    check_parts(&[
        (
            r#""priority": 1001"#,
            "priority",
            "`1001` is out of range: give a whole number from 0 to 1000",
        ),
        (r#""priority": -1"#, "priority", "`-1` is out of range"),
        (r#""priority": -0.0"#, "priority", "not written as a whole number"),
        (
            r#""priority": 1.5"#,
            "priority",
            "`1.5` is not written as a whole number",
        ),
        (r#""priority": 1e2"#, "priority", "not written as a whole number"),
        (r#""priority": 99999999999999999999"#, "priority", "out of range"),
        (
            r#""priority": 1e999"#,
            "priority",
            "not written as a whole number",
        ),
        (
            r#""priority": "50""#,
            "priority",
            "`50` is a text: give a whole number",
        ),
        (r#""priority": null"#, "priority", "is null"),
        (r#""priority": true"#, "priority", "`true` is true or false"),
        (r#""priority": [5]"#, "priority", "is a list"),
        (r#""priority": {}"#, "priority", "is an object"),
        (
            r#""count": 0"#,
            "count",
            "`0` is out of range: give a whole number from 1 to 10",
        ),
        (r#""count": 11"#, "count", "`11` is out of range"),
        (r#""count": -1"#, "count", "out of range"),
        (r#""count": "3""#, "count", "is a text"),
        (r#""count": null"#, "count", "is null"),
    ]);
}

/// Names, choices and switches.
const NAMES: &[Case] = &[
    (r#""id": """#, "id", "1 to 100 letters"),
    (r#""id": "a b""#, "id", "`a b` is not a submission id"),
    (r#""id": "a/2""#, "id", "not a submission id"),
    (r#""id": "ä""#, "id", "not a submission id"),
    (r#""id": 5"#, "id", "`5` is a number"),
    (
        r#""cluster": "other""#,
        "cluster",
        "`other` is not a cluster of this deployment: give `default` or `batch`",
    ),
    (r#""cluster": """#, "cluster", "not a cluster name"),
    (
        r#""cluster": "arn:aws:ecs:us-east-1:123456789012:service/default""#,
        "cluster",
        "not a cluster name",
    ),
    (
        r#""cluster": "arn:aws:ecs:us-east-1:123456789012:cluster/other""#,
        "cluster",
        "not a cluster of this",
    ),
    (r#""cluster": ["default"]"#, "cluster", "is a list"),
    (r#""group": """#, "group", "1 to 255 characters"),
    (r#""group": "a\nb""#, "group", "not a task group"),
    (r#""group": {}"#, "group", "is an object"),
    (r#""launchType": "ec2""#, "launchType", "did you mean `EC2`?"),
    (r#""launchType": """#, "launchType", "give `EC2` or `EXTERNAL`"),
    (r#""launchType": 2"#, "launchType", "is a number"),
    (
        r#""propagateTags": "SERVICE""#,
        "propagateTags",
        "give `TASK_DEFINITION` or `NONE`",
    ),
    (
        r#""propagateTags": "task_definition""#,
        "propagateTags",
        "did you mean `TASK_DEFINITION`?",
    ),
    (r#""propagateTags": true"#, "propagateTags", "is true or false"),
    (
        r#""enableECSManagedTags": "true""#,
        "enableECSManagedTags",
        "give `true` or `false`",
    ),
    (
        r#""enableExecuteCommand": 1"#,
        "enableExecuteCommand",
        "give `true` or `false`",
    ),
    (
        r#""enableExecuteCommand": true"#,
        "enableExecuteCommand",
        "add `execute-command`",
    ),
];

#[test]
fn names_must_be_names() {
    check_parts(NAMES);
    for (task_definition, piece) in [
        ("\"\"", "is not a task definition"),
        ("\"etl:\"", "is not a task definition"),
        ("\"etl:latest\"", "`etl:latest` is not a task definition"),
        ("\"etl:0\"", "is not a task definition"),
        (
            "\"arn:aws:ecs:us-east-1:123456789012:cluster/etl\"",
            "is not a task definition",
        ),
        ("{\"family\": \"etl\"}", "is an object"),
        ("null", "is null"),
    ] {
        check_body(
            &format!("{{\"taskDefinition\": {task_definition}}}"),
            "taskDefinition",
            piece,
        );
    }
    check_body("{}", "taskDefinition", "missing: give a task definition");
    check_body(r#"{"id": "x"}"#, "taskDefinition", "missing");
}

#[test]
fn tags_keep_to_the_rules_of_aws() {
    check_parts(&[
        (
            r#""tags": {"team": "data"}"#,
            "tags",
            "give a list of at most 50 tags",
        ),
        (
            r#""tags": ["team"]"#,
            "tags[0]",
            "`team` is a text: give an object",
        ),
        (r#""tags": [{"value": "x"}]"#, "tags[0].key", "missing"),
        (r#""tags": [{"key": ""}]"#, "tags[0].key", "has 0 characters"),
        (
            r#""tags": [{"key": "aws:team"}]"#,
            "tags[0].key",
            "begins with `aws:`",
        ),
        (
            r#""tags": [{"key": "AWS:team"}]"#,
            "tags[0].key",
            "begins with `aws:`",
        ),
        (
            r#""tags": [{"key": "a", "value": "aws:x"}]"#,
            "tags[0].value",
            "begins with `aws:`",
        ),
        (
            r#""tags": [{"key": "a", "value": 5}]"#,
            "tags[0].value",
            "is a number",
        ),
        (
            r#""tags": [{"key": "a", "value": null}]"#,
            "tags[0].value",
            "is null",
        ),
        (
            r#""tags": [{"key": "a<b"}]"#,
            "tags[0].key",
            "the character U+003C",
        ),
        (
            r#""tags": [{"key": "a"}, {"key": "a"}]"#,
            "tags[1]",
            "key `a` is given twice",
        ),
        (r#""tags": [{"Key": "a"}]"#, "tags[0].Key", "did you mean `key`?"),
    ]);
    let long = [
        (
            format!("{{\"key\": \"{}\"}}", "k".repeat(129)),
            "tags[0].key",
            "has 129 characters",
        ),
        (
            format!("{{\"key\": \"k\", \"value\": \"{}\"}}", "v".repeat(257)),
            "tags[0].value",
            "has 257 characters",
        ),
        (
            vec!["{\"key\": \"k\"}"; 51].join(","),
            "tags",
            "has 51 entries: give a list of at most 50 tags",
        ),
    ];
    for (tags, field, piece) in long {
        check_body(&format!("{{\"tags\": [{tags}]}}"), field, piece);
    }
}

#[test]
fn networks_are_named_as_ec2_does() {
    let vpc = "networkConfiguration.awsvpcConfiguration";
    for (part, field, piece) in [
        ("[]", "", "is a list"),
        (
            r#"{"awsVpcConfiguration": {}}"#,
            ".awsVpcConfiguration",
            "did you mean `awsvpcConfiguration`?",
        ),
        (
            r#"{"awsvpcConfiguration": {}}"#,
            ".awsvpcConfiguration.subnets",
            "missing",
        ),
        (
            r#"{"awsvpcConfiguration": {"subnets": []}}"#,
            ".awsvpcConfiguration.subnets",
            "names no subnet",
        ),
        (
            r#"{"awsvpcConfiguration": {"subnets": ["x"]}}"#,
            ".awsvpcConfiguration.subnets[0]",
            "`x` is no such id",
        ),
        (
            r#"{"awsvpcConfiguration": {"subnets": "subnet-1"}}"#,
            ".awsvpcConfiguration.subnets",
            "is a text",
        ),
        (
            r#"{"awsvpcConfiguration": {"subnet": []}}"#,
            ".awsvpcConfiguration.subnet",
            "did you mean `subnets`?",
        ),
        (
            r#"{"awsvpcConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": true}}"#,
            ".awsvpcConfiguration.assignPublicIp",
            "give `DISABLED` or `ENABLED`",
        ),
        (
            r#"{"awsvpcConfiguration": {"securityGroups": ["sg-1", "sg-1", "sg-1", "sg-1", "sg-1", "sg-1"]}}"#,
            ".awsvpcConfiguration.securityGroups",
            "has 6 entries",
        ),
    ] {
        let body = format!("{{\"networkConfiguration\": {part}}}");
        check_body(&body, &format!("networkConfiguration{field}"), piece);
    }
    let subnets = vec!["\"subnet-1\""; 17].join(",");
    let body =
        format!(r#"{{"networkConfiguration": {{"awsvpcConfiguration": {{"subnets": [{subnets}]}}}}}}"#);
    check_body(&body, &format!("{vpc}.subnets"), "has 17 entries");
}

#[test]
fn wake_messages_are_read_as_strictly() {
    for (body, field, piece) in [
        (r#"{"wake": {}}"#, "wake.cluster", "missing"),
        (r#"{"wake": "default"}"#, "wake", "is a text: give an object"),
        (r#"{"wake": null}"#, "wake", "is null"),
        (
            r#"{"wake": {"cluster": "other"}}"#,
            "wake.cluster",
            "not a cluster of this deployment",
        ),
        (r#"{"wake": {"cluster": 1}}"#, "wake.cluster", "is a number"),
        (
            r#"{"wake": {"clusters": []}}"#,
            "wake.clusters",
            "did you mean `cluster`?",
        ),
        (
            r#"{"wake": {"cluster": "default"}, "taskDefinition": "etl"}"#,
            "taskDefinition",
            "unknown field",
        ),
        (
            r#"{"taskDefinition": "etl", "wake": {"cluster": "default"}}"#,
            "taskDefinition",
            "unknown field",
        ),
    ] {
        check_body(body, field, piece);
    }
}
