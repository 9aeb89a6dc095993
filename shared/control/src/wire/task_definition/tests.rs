use berth_scheduler::demand::{Protocol, demand};
use serde_json::{Value, json};

use super::*;

const ARN: &str = "arn:aws:ecs:us-east-1:123456789012:task-definition/etl:12";

/// What DescribeTaskDefinition answers, with one field replaced.
fn described(field: &str, value: Value) -> Result<demand::TaskDefinition, FieldError> {
    let mut json = json!({
        "taskDefinitionArn": ARN, "family": "etl", "revision": 12, "status": "ACTIVE", "networkMode": "bridge",
        "compatibilities": ["EXTERNAL", "EC2"], "registeredAt": 1.7e9, "volumes": [], "aFieldOfTomorrow": {},
        "requiresAttributes": [{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}],
        "placementConstraints": [{"type": "memberOf", "expression": "attribute:stack == prod"}],
        "containerDefinitions": [{
            "name": "main", "image": "busybox", "essential": true, "cpu": 10, "memory": 128, "environment": [],
            "portMappings": [{"containerPort": 53, "hostPort": 53, "protocol": "udp"}],
            "resourceRequirements": [{"type": "GPU", "value": "2"}],
        }],
    });
    json[field] = value;
    serde_json::from_value::<TaskDefinition>(json).unwrap().read()
}

#[test]
fn a_described_task_definition_is_read_whatever_else_it_holds() {
    let definition = described("family", json!("etl")).unwrap();
    assert_eq!(definition.arn.as_str(), ARN);
    assert_eq!(definition.placement_constraints, ["attribute:stack == prod"]);
    assert_eq!(
        definition.required_attributes[0].name,
        "com.amazonaws.ecs.capability.docker-remote-api.1.18"
    );
    assert_eq!(definition.containers[0].port_mappings[0].protocol, Protocol::Udp);
    let demand = demand(&definition, &Overrides::default()).unwrap();
    assert_eq!(
        (demand.cpu.get(), demand.memory.get(), demand.gpu.get()),
        (10, 128, 2)
    );
    assert!(demand.ports.udp.contains(53));
}

#[test]
fn a_runtime_platform_requires_the_attributes_that_go_with_it() {
    let platform = json!({"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE", "cpuArchitecture": "X86_64"});
    let definition = described("runtimePlatform", platform).unwrap();
    assert_eq!(definition.operating_system, OperatingSystem::Windows);
    let required: Vec<_> = definition.required_attributes[1..]
        .iter()
        .map(|required| (required.name.as_str(), required.value.as_deref()))
        .collect();
    assert_eq!(
        required,
        [
            ("ecs.os-type", Some("windows")),
            ("ecs.cpu-architecture", Some("x86_64"))
        ]
    );
}

#[test]
fn a_value_that_is_not_one_of_ecs_is_named() {
    let cases = [
        (
            "networkMode",
            json!("vlan"),
            "networkMode: `vlan` is not valid: give `bridge`",
        ),
        (
            "status",
            json!("GONE"),
            "status: `GONE` is not valid: give `ACTIVE`",
        ),
        ("cpu", json!("-5"), "cpu: `-5` is not valid: give CPU units"),
        (
            "memory",
            json!("99999 GB GB"),
            "memory: `99999 GB GB` is not valid: give MiB",
        ),
        (
            "taskDefinitionArn",
            json!("etl:12"),
            "taskDefinitionArn: `etl:12` is not valid",
        ),
        (
            "placementConstraints",
            json!([{"type": "distinctInstance"}]),
            "placementConstraints.type",
        ),
        (
            "containerDefinitions",
            json!([{"name": "a", "memory": -1}]),
            "containerDefinitions[0].memory: `-1` is not valid: give a whole number from 0 to 2147483647",
        ),
        (
            "containerDefinitions",
            json!([{"name": "a", "portMappings": [{"hostPort": 70000}]}]),
            "containerDefinitions[0].portMappings.hostPort: `70000` is not valid",
        ),
        (
            "containerDefinitions",
            json!([{"name": "a", "resourceRequirements": [{"type": "GPU", "value": "+1"}]}]),
            "containerDefinitions[0].resourceRequirements.value: `+1` is not valid",
        ),
        (
            "containerDefinitions",
            json!([{"name": "a", "resourceRequirements": [{"type": "GPU", "value": "1", "sharingStrategy": {"nvidiaMps": {}}}]}]),
            "containerDefinitions[0].resourceRequirements.sharingStrategy",
        ),
    ];
    for (field, value, message) in cases {
        let error = described(field, value).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn overrides_are_read_in_words_and_numbers() {
    let json = json!({
        "cpu": "1 vCPU",
        "containerOverrides": [{"name": "main", "memoryReservation": 64,
            "resourceRequirements": [{"type": "GPU", "value": "1"}]}],
    });
    let overrides = serde_json::from_value::<TaskOverrides>(json)
        .unwrap()
        .read()
        .unwrap();
    assert_eq!(overrides.cpu, Some(CpuUnits::new(1024)));
    assert_eq!(
        overrides.containers[0].memory_reservation,
        Some(MemoryMib::new(64))
    );
    assert_eq!(
        overrides.containers[0].gpu,
        Some(GpuRequest::Devices(GpuCount::new(1)))
    );

    let nameless = serde_json::from_value::<TaskOverrides>(json!({"containerOverrides": [{"cpu": 1}]}));
    let error = nameless.unwrap().read().unwrap_err();
    assert_eq!(error.field, "overrides.containerOverrides[0].name");
}
