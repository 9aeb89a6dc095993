//! The endpoint without a socket; through boto3 it is tested with the deployment.

use serde_json::{Value, json};

use super::*;
use crate::ecs::EcsSettings;

struct Caller {
    endpoint: Endpoint,
    now: Timestamp,
}

fn caller() -> Caller {
    let now = Timestamp::parse_iso8601("2026-11-21T10:00:00.250Z").unwrap();
    let settings = EcsSettings {
        start_ms: 1_000,
        stop_ms: 5_000,
        ..EcsSettings::default()
    };
    Caller {
        endpoint: Endpoint::new(settings, now, None, Events::Wanted).unwrap(),
        now,
    }
}

impl Caller {
    fn answer(&mut self, action: &str, parameters: &Value) -> Answer {
        let (target, body) = (format!("{TARGET_PREFIX}{action}"), parameters.to_string());
        let request = Request {
            method: "POST",
            path: "/",
            target: Some(&target),
            body: body.as_bytes(),
        };
        self.endpoint.answer(self.now, request)
    }

    fn call(&mut self, action: &str, parameters: &Value) -> Value {
        let answer = self.answer(action, parameters);
        assert_eq!(answer.status, 200, "{action}: {}", answer.body);
        answer.body
    }

    fn exception(&mut self, action: &str, parameters: &Value) -> String {
        let answer = self.answer(action, parameters);
        assert_eq!(answer.error, answer.body["__type"].as_str());
        format!(
            "{}: {}",
            answer.body["__type"].as_str().unwrap(),
            answer.body["message"].as_str().unwrap()
        )
    }

    fn register(&mut self, more: &Value) -> Value {
        let mut parameters = json!({
            "instanceIdentityDocument": r#"{"instanceId": "i-1", "instanceType": "t3.small", "availabilityZone": "us-east-1c"}"#,
            "totalResources": [{"name": "CPU", "type": "INTEGER", "integerValue": 2048},
                {"name": "MEMORY", "type": "INTEGER", "integerValue": 512}],
        });
        for (name, value) in more.as_object().unwrap() {
            parameters[name] = value.clone();
        }
        self.call("RegisterContainerInstance", &parameters)["containerInstance"].clone()
    }

    fn define(&mut self, more: &Value) -> Value {
        let mut parameters = json!({
            "family": "etl", "containerDefinitions": [{"name": "main", "image": "busybox", "memory": 100}],
        });
        for (name, value) in more.as_object().unwrap() {
            parameters[name] = value.clone();
        }
        self.call("RegisterTaskDefinition", &parameters)["taskDefinition"].clone()
    }
}

#[test]
fn times_are_numbers_in_answers_and_texts_in_events() {
    let mut caller = caller();
    let instance = caller.register(&json!({}));
    assert_eq!(instance["registeredAt"], json!(1_795_255_200.25));
    let event = &caller.endpoint.ecs.take_written()[0];
    assert_eq!(event["time"], "2026-11-21T10:00:00Z");
    assert_eq!(event["detail"]["registeredAt"], "2026-11-21T10:00:00.250Z");
    assert_eq!(event["id"].as_str().unwrap().len(), 36);
}

#[test]
fn every_event_is_read_back_by_berth_as_the_model_tells_it() {
    use berth_control::wire::event::{DecodedEvent, decode_event};

    let mut caller = caller();
    let gpu = json!({"name": "GPU", "type": "STRINGSET", "stringSetValue": ["GPU-a", "GPU-b"]});
    let resources =
        json!([{"name": "CPU", "integerValue": 2048}, {"name": "MEMORY", "integerValue": 512}, gpu]);
    caller.register(&json!({"totalResources": resources}));
    caller.define(&json!({"containerDefinitions": [{
        "name": "main", "image": "busybox", "memoryReservation": 100, "cpu": 64,
        "portMappings": [{"containerPort": 80, "hostPort": 8080}],
        "resourceRequirements": [{"type": "GPU", "value": "1"}],
    }]}));
    caller.call(
        "RunTask",
        &json!({"taskDefinition": "etl", "startedBy": "berth/1/job"}),
    );
    caller.now = caller.now.saturating_add_seconds(70);
    caller.call("ListClusters", &json!({}));

    let cluster = ClusterName::parse("default").unwrap();
    let clusters = std::slice::from_ref(&cluster);
    let (mut instances, mut tasks) = (Vec::new(), Vec::new());
    for event in caller.endpoint.ecs.take_written() {
        match decode_event(&event.to_string(), clusters) {
            DecodedEvent::Instance { report, skipped, .. } => {
                assert!(skipped.is_empty(), "{skipped:?}");
                instances.push(*report);
            }
            DecodedEvent::Task { report, skipped, .. } => {
                assert!(skipped.is_empty(), "{skipped:?}");
                tasks.push(*report);
            }
            DecodedEvent::Ignored(reason) => panic!("{reason}: {event}"),
        }
    }
    let ecs = &caller.endpoint.ecs;
    let described = ecs.describe_instances(&cluster).unwrap().remove(0);
    let last = instances.last().unwrap();
    assert_eq!(
        (last.version, &last.remaining),
        (described.version, &described.remaining)
    );
    assert_eq!(
        (&last.registered, &last.attributes),
        (&described.registered, &described.attributes)
    );
    assert_eq!(tasks.len(), 4);
    let known = ecs.describe_tasks(&cluster).unwrap().remove(0);
    assert_eq!(tasks.last().unwrap(), &known);
    assert_eq!(known.attempt.unwrap().task.as_str(), "job");
}

#[test]
fn an_agent_that_lists_its_capabilities_has_no_others() {
    let mut caller = caller();
    caller.register(&json!({"attributes": [{"name": "com.amazonaws.ecs.capability.ecr-auth"}]}));
    caller.define(&json!({"networkMode": "awsvpc"}));
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
    let run = json!({"taskDefinition": "etl", "networkConfiguration": network});
    assert_eq!(caller.call("RunTask", &run)["failures"][0]["reason"], "ATTRIBUTE");

    caller.register(&json!({}));
    let task = caller.call("RunTask", &run)["tasks"][0].clone();
    assert_eq!(task["lastStatus"], "PROVISIONING");
    assert_eq!(task["attachments"][0]["type"], "ElasticNetworkInterface");
}

#[test]
fn a_task_definition_requires_what_its_features_need() {
    let mut caller = caller();
    let container = json!({
        "name": "main", "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/app", "memory": 1,
        "logConfiguration": {"logDriver": "awslogs"}, "privileged": true, "healthCheck": null, "dependsOn": [],
        "secrets": [{"name": "a", "valueFrom": "arn:aws:secretsmanager:us-east-1:123456789012:secret:a"}],
    });
    let definition = caller.define(&json!({"containerDefinitions": [container], "taskRoleArn": "role"}));
    let names: Vec<_> = definition["requiresAttributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "com.amazonaws.ecs.capability.ecr-auth",
            "com.amazonaws.ecs.capability.logging-driver.awslogs",
            "com.amazonaws.ecs.capability.privileged-container",
            "com.amazonaws.ecs.capability.task-iam-role",
            "ecs.capability.secrets.asm.environment-variables",
        ]
    );
    // What the default agent can do is enough for all of it.
    caller.register(&json!({}));
    assert_eq!(
        caller.call("RunTask", &json!({"taskDefinition": "etl"}))["failures"],
        json!([])
    );
}

#[test]
fn a_parameter_that_makes_no_sense_is_named_with_its_value() {
    let mut caller = caller();
    caller.register(&json!({}));
    caller.define(&json!({}));
    for (parameters, expected) in [
        (
            json!({}),
            "InvalidParameterException: Task definition cannot be blank.",
        ),
        (
            json!({"taskDefinition": "etl", "count": 11}),
            "InvalidParameterException: count: `11` is out of range",
        ),
        (
            json!({"taskDefinition": "etl", "launchType": "EC3"}),
            "InvalidParameterException: launchType: `EC3`",
        ),
        (
            json!({"taskDefinition": "etl", "cluster": "a b"}),
            "InvalidParameterException: Invalid identifier",
        ),
        (
            json!({"taskDefinition": "etl", "overrides": {"cpu": "much"}}),
            "InvalidParameterException: overrides.cpu: `much` is not valid",
        ),
        (
            json!({"taskDefinition": "etl", "overrides": {"cpus": "1"}}),
            "InvalidParameterException: overrides: unknown field `cpus`",
        ),
        (
            json!({"taskDefinition": "etl", "capacityProviderStrategy": [{"capacityProvider": "x"}]}),
            "UnsupportedFeatureException: capacityProviderStrategy",
        ),
        (
            json!({"taskDefinition": "etl", "clientToken": "x".repeat(65)}),
            "InvalidParameterException: clientToken: give at most 64",
        ),
    ] {
        let exception = caller.exception("RunTask", &parameters);
        assert!(exception.starts_with(expected), "{exception}");
    }
    let environment = json!([{"name": "BERTH_TASK_SECONDS", "value": "soon"}]);
    let overrides = json!({"containerOverrides": [{"name": "main", "environment": environment}]});
    let exception = caller.exception(
        "RunTask",
        &json!({"taskDefinition": "etl", "overrides": overrides}),
    );
    assert!(
        exception.contains("BERTH_TASK_SECONDS: `soon` is not a number of seconds"),
        "{exception}"
    );
}

#[test]
fn only_actions_and_the_backstage_have_paths() {
    let mut caller = caller();
    let mut ask = |method, path, target| {
        let request = Request {
            method,
            path,
            target,
            body: b"",
        };
        caller.endpoint.answer(caller.now, request).status
    };
    assert_eq!(
        ask(
            "POST",
            "/",
            Some("AmazonEC2ContainerServiceV20141113.ListClusters")
        ),
        200
    );
    assert_eq!(ask("POST", "/", Some("ListClusters")), 400);
    assert_eq!(ask("GET", "/", None), 404);
    assert_eq!(
        ask(
            "POST",
            "/elsewhere",
            Some("AmazonEC2ContainerServiceV20141113.ListClusters")
        ),
        404
    );
    assert_eq!(ask("GET", "/_berth/calls", None), 200);
    assert_eq!(ask("POST", "/_berth/calls", None), 404);
    assert_eq!(ask("POST", "/_berth/agent", None), 400);
}
