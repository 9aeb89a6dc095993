use berth_scheduler::demand::Overrides;
use berth_scheduler::id::SubnetId;

use super::super::launch::NetworkConfiguration;
use super::*;

#[test]
fn each_missing_resource_has_its_reason() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.define("cpu", |it| it.cpu = Some(CpuUnits::new(4096)));
    lab.define_memory("memory", 513);
    lab.define("gpu", |it| {
        it.containers[0].gpu = GpuRequest::Devices(GpuCount::new(3))
    });
    lab.define("ports", |it| {
        let ssh = PortMapping {
            container_port: Some(22),
            host_port: Some(22),
            protocol: Protocol::Tcp,
        };
        it.containers[0].port_mappings = vec![ssh];
    });
    for (family, reason) in [
        ("cpu", "RESOURCE:CPU"),
        ("memory", "RESOURCE:MEMORY"),
        ("gpu", "RESOURCE:GPU"),
        ("ports", "RESOURCE:PORTS"),
    ] {
        let answer = lab.run(family);
        assert_eq!(
            (answer.tasks.len(), reasons(&answer)),
            (0, vec![reason]),
            "{family}"
        );
    }
}

#[test]
fn a_call_for_several_tasks_places_as_many_as_fit_and_names_the_instances_that_are_full() {
    let mut lab = lab();
    let one = lab.instance("i-1", 250);
    let other = lab.instance("i-2", 350);
    lab.define_memory("etl", 100);
    let answer = lab
        .ecs
        .run_task(&RunTaskRequest {
            count: 10,
            ..lab.request("etl")
        })
        .unwrap();
    assert_eq!(answer.tasks.len(), 5);
    assert_eq!(reasons(&answer), ["RESOURCE:MEMORY", "RESOURCE:MEMORY"]);
    assert_eq!((lab.memory_left(&one), lab.memory_left(&other)), (50, 50));
    // One version for each placement.
    assert_eq!(
        (lab.report(&one).version.get(), lab.report(&other).version.get()),
        (3, 4)
    );
}

#[test]
fn a_count_out_of_range_is_refused() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    for count in [0, 11, u32::MAX] {
        let error = lab
            .ecs
            .run_task(&RunTaskRequest {
                count,
                ..lab.request("etl")
            })
            .unwrap_err();
        assert_eq!(error.kind.code(), "InvalidParameterException");
    }
}

#[test]
fn an_empty_cluster_is_an_exception_and_no_failure() {
    let mut lab = lab();
    lab.define_memory("etl", 100);
    let error = lab.ecs.run_task(&lab.request("etl")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "InvalidParameterException: No Container Instances were found in your cluster."
    );
}

#[test]
fn a_task_pinned_by_expression_goes_there_or_nowhere() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    let second = lab.instance("i-2", 512);
    lab.define_memory("etl", 300);
    let mut request = lab.request("etl");
    request.constraints = vec![member_of("ec2InstanceId == i-2")];
    let task = lab.ecs.run_task(&request).unwrap().tasks[0].clone();
    assert_eq!(lab.task(&task).instance, Some(second));

    let mut failed = reasons(&lab.ecs.run_task(&request).unwrap());
    failed.sort_unstable();
    assert_eq!(
        failed,
        ["MemberOf placement constraint unsatisfied.", "RESOURCE:MEMORY"]
    );
}

#[test]
fn a_task_pinned_by_arn_goes_there_or_nowhere() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    let second = lab.instance("i-2", 512);
    lab.define_memory("etl", 300);
    let request = RunTaskRequest {
        target: Target::Pinned(second.clone()),
        ..lab.request("etl")
    };
    let task = lab.ecs.run_task(&request).unwrap().tasks[0].clone();
    assert_eq!(lab.task(&task).instance, Some(second.clone()));
    let answer = lab.ecs.run_task(&request).unwrap();
    assert_eq!(
        (answer.failures[0].arn.as_str(), reasons(&answer)),
        (second.as_str(), vec!["RESOURCE:MEMORY"])
    );
}

#[test]
fn constraints_of_the_task_definition_and_the_attributes_it_needs_bind_too() {
    let mut lab = lab();
    let instance = lab.instance("i-1", 512);
    lab.define("choosy", |it| {
        it.placement_constraints = vec!["attribute:stack == prod".to_owned()]
    });
    lab.define("needy", |it| {
        let name = "ecs.capability.teleport".to_owned();
        it.required_attributes = vec![berth_scheduler::attributes::RequiredAttribute { name, value: None }];
    });
    assert_eq!(
        reasons(&lab.run("choosy")),
        ["MemberOf placement constraint unsatisfied."]
    );
    assert_eq!(reasons(&lab.run("needy")), ["ATTRIBUTE"]);
    let stack = ("stack".to_owned(), Some("prod".to_owned()));
    lab.ecs.put_attributes(&lab.cluster, &instance, &[stack]).unwrap();
    lab.run_one("choosy");
}

#[test]
fn distinct_instances_count_wanted_tasks_of_the_group_across_calls() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.instance("i-2", 512);
    lab.define_memory("etl", 10);
    let mut request = lab.request("etl");
    request.constraints = vec![Constraint::DistinctInstance];
    request.count = 3;
    let answer = lab.ecs.run_task(&request).unwrap();
    assert_eq!(answer.tasks.len(), 2);
    assert_eq!(
        reasons(&answer),
        ["DistinctInstance placement constraint unsatisfied."; 2]
    );

    // A stopping task does not count any more.
    lab.advance_to_second(2);
    lab.ecs
        .stop_task(&lab.cluster, answer.tasks[0].as_str(), "")
        .unwrap();
    assert_eq!(lab.ecs.run_task(&request).unwrap().tasks.len(), 1);
}

#[test]
fn spread_counts_full_instances_too() {
    let mut lab = lab();
    let full = lab.instance_in("us-east-1a", "i-1", 100);
    lab.instance_in("us-east-1a", "i-2", 512);
    let empty_zone = lab.instance_in("us-east-1b", "i-3", 512);
    lab.define_memory("etl", 100);
    let pinned = RunTaskRequest {
        target: Target::Pinned(full),
        ..lab.request("etl")
    };
    lab.ecs.run_task(&pinned).unwrap();
    let mut request = lab.request("etl");
    request.strategies = vec![Strategy::Spread(SpreadField::Attribute(
        "ecs.availability-zone".to_owned(),
    ))];
    let task = lab.ecs.run_task(&request).unwrap().tasks[0].clone();
    assert_eq!(lab.task(&task).instance, Some(empty_zone));
}

#[test]
fn gpus_are_devices_with_ids_and_the_remaining_ones_are_free() {
    let mut lab = lab();
    let instance = lab.instance("i-1", 512);
    lab.define("train", |it| {
        it.containers[0].gpu = GpuRequest::Devices(GpuCount::new(1))
    });
    let first = lab.run_one("train");
    lab.run_one("train");
    assert_eq!(reasons(&lab.run("train")), ["RESOURCE:GPU"]);
    assert_eq!(lab.report(&instance).remaining.gpu, GpuCount::ZERO);
    lab.advance_to_second(2);
    lab.ecs.stop_task(&lab.cluster, first.as_str(), "").unwrap();
    let entry = &lab.ecs.clusters[&lab.cluster].instances[&instance];
    assert_eq!(
        entry.gpu_free.iter().map(|id| &**id).collect::<Vec<_>>(),
        ["GPU-i-1-0"]
    );
}

#[test]
fn host_ports_are_taken_until_their_task_begins_to_stop() {
    let mut lab = lab();
    let instance = lab.instance("i-1", 512);
    let mapping = |host_port, protocol| PortMapping {
        container_port: Some(80),
        host_port,
        protocol,
    };
    lab.define("web", |it| {
        it.containers[0].port_mappings = vec![
            mapping(Some(8080), Protocol::Tcp),
            mapping(Some(53), Protocol::Udp),
            mapping(None, Protocol::Tcp),
        ];
    });
    let web = lab.run_one("web");
    let taken = lab.report(&instance).remaining.ports_taken;
    assert_eq!(
        taken.tcp.iter().collect::<Vec<_>>(),
        [22, 2375, 2376, 8080, 51678, 51679, 51680]
    );
    assert_eq!(taken.udp.iter().collect::<Vec<_>>(), [53]);
    assert_eq!(reasons(&lab.run("web")), ["RESOURCE:PORTS"]);

    lab.advance_to_second(2);
    lab.ecs.stop_task(&lab.cluster, web.as_str(), "").unwrap();
    assert!(lab.report(&instance).remaining.ports_taken.udp.is_empty());
    // ECS places the next one, but its ports are still bound.
    let next = lab.run_one("web");
    lab.advance_to_second(11);
    assert_eq!(lab.last_status(&next), "PENDING");
    lab.advance_to_second(13);
    assert_eq!(lab.last_status(&next), "RUNNING");
}

#[test]
fn a_task_with_its_own_network_interface_needs_subnets_and_goes_to_their_zone() {
    let mut lab = lab();
    lab.instance_in("us-east-1a", "i-1", 512);
    lab.define("private", |it| it.network_mode = NetworkMode::Awsvpc);
    lab.define_memory("etl", 1);
    let subnets = || NetworkConfiguration::Subnets(vec![SubnetId::parse("subnet-b").unwrap()]);
    assert!(lab.ecs.run_task(&lab.request("private")).is_err());
    assert!(
        lab.ecs
            .run_task(&RunTaskRequest {
                network: subnets(),
                ..lab.request("etl")
            })
            .is_err()
    );

    lab.ecs
        .set_subnet_zone(SubnetId::parse("subnet-b").unwrap(), "us-east-1b");
    let request = RunTaskRequest {
        network: subnets(),
        ..lab.request("private")
    };
    assert_eq!(reasons(&lab.ecs.run_task(&request).unwrap()), ["LOCATION"]);
    let there = lab.instance_in("us-east-1b", "i-2", 512);
    let task = lab.ecs.run_task(&request).unwrap().tasks[0].clone();
    assert_eq!(
        (lab.task(&task).instance, lab.last_status(&task)),
        (Some(there), "PROVISIONING")
    );
}

#[test]
fn instances_that_tell_their_subnet_tell_its_zone_even_when_they_are_full() {
    let mut lab = lab();
    lab.define("private", |it| it.network_mode = NetworkMode::Awsvpc);
    lab.instance_in("us-east-1a", "i-1", 512);
    let mut registration = Registration::new(Ec2InstanceId::parse("i-2").unwrap(), "m5.large", "us-east-1b");
    registration
        .attributes
        .insert("ecs.subnet-id", Some("subnet-b".to_owned()));
    lab.ecs.register_instance(&lab.cluster, registration).unwrap();
    let request = RunTaskRequest {
        network: NetworkConfiguration::Subnets(vec![SubnetId::parse("subnet-b").unwrap()]),
        ..lab.request("private")
    };
    let answer = lab.ecs.run_task(&request).unwrap();
    assert_eq!((answer.tasks.len(), reasons(&answer)), (1, vec![]));
    let memory = RunTaskRequest {
        overrides: Overrides {
            memory: Some(MemoryMib::new(100)),
            ..Overrides::default()
        },
        ..request
    };
    let answer = lab.ecs.run_task(&memory).unwrap();
    let mut reasons = reasons(&answer);
    reasons.sort_unstable();
    assert_eq!(reasons, ["LOCATION", "RESOURCE:MEMORY"]);
}

#[test]
fn network_interfaces_of_an_instance_type_are_limited() {
    let mut lab = lab();
    // An m5.large has three, and one of them is its own.
    lab.instance("i-1", 512);
    lab.define("private", |it| it.network_mode = NetworkMode::Awsvpc);
    let network = NetworkConfiguration::Subnets(Vec::new());
    let request = RunTaskRequest {
        network,
        count: 3,
        ..lab.request("private")
    };
    let answer = lab.ecs.run_task(&request).unwrap();
    assert_eq!((answer.tasks.len(), reasons(&answer)), (2, vec!["RESOURCE:ENI"]));
}

#[test]
fn start_task_refuses_what_is_unknown_full_or_gone() {
    let mut lab = lab();
    let one = lab.instance("i-1", 150);
    let gone = lab.instance("i-2", 150);
    lab.ecs.terminate_instance(&lab.cluster, &gone).unwrap();
    lab.define_memory("etl", 100);
    let instances = vec![
        one.id().to_owned(),
        one.to_string(),
        gone.to_string(),
        "nowhere".to_owned(),
    ];
    let request = StartTaskRequest {
        instances,
        task: lab.request("etl"),
    };
    let answer = lab.ecs.start_task(&request).unwrap();
    assert_eq!(answer.tasks.len(), 1);
    assert_eq!(reasons(&answer), ["RESOURCE:MEMORY", "INACTIVE", "MISSING"]);
    assert!(
        answer.failures[2]
            .arn
            .ends_with("container-instance/default/nowhere")
    );
}

#[test]
fn an_inactive_or_unknown_task_definition_starts_nothing() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    lab.define_memory("etl", 200);
    assert_eq!(
        lab.ecs
            .task_definition("etl")
            .unwrap()
            .arn()
            .as_str()
            .rsplit('/')
            .next(),
        Some("etl:2")
    );
    lab.ecs.deregister_task_definition("etl:2").unwrap();
    assert_eq!(
        lab.ecs.run_task(&lab.request("etl:2")).unwrap_err().message,
        "TaskDefinition is inactive"
    );
    // The family alone means its latest ACTIVE revision.
    let task = lab.run_one("etl");
    assert_eq!(lab.task(&task).demand.memory, MemoryMib::new(100));
    assert_eq!(
        lab.ecs.run_task(&lab.request("nothing")).unwrap_err().message,
        "TaskDefinition not found."
    );
    lab.define_memory("etl", 300);
    assert!(
        lab.ecs
            .task_definition("etl")
            .unwrap()
            .arn()
            .as_str()
            .ends_with("etl:3")
    );
}

#[test]
fn overrides_change_what_a_task_takes() {
    let mut lab = lab();
    let instance = lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    let mut request = lab.request("etl");
    request.overrides.memory = Some(MemoryMib::new(500));
    lab.ecs.run_task(&request).unwrap();
    assert_eq!(lab.memory_left(&instance), 12);
}
