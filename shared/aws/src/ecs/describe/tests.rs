use aws_sdk_ecs::types::{
    Attachment, KeyValuePair, NetworkBinding, TaskDefinitionPlacementConstraint,
    TaskDefinitionPlacementConstraintType, TaskDefinitionStatus, TaskStopCode, TransportProtocol,
    VersionInfo,
};
use berth_scheduler::quantity::{CpuUnits, EniCount, GpuCount, MemoryMib};
use berth_scheduler::report::{AgentConnection, InstanceStatus, TaskStatus};

use super::*;

const HOME: &str = "arn:aws:ecs:us-east-1:123456789012";

fn cluster() -> ClusterName {
    ClusterName::parse("default").unwrap()
}

fn amount(name: &str, amount: i32) -> Resource {
    Resource::builder()
        .name(name)
        .r#type("INTEGER")
        .integer_value(amount)
        .build()
}

fn set(name: &str, texts: &[&str]) -> Resource {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    Resource::builder()
        .name(name)
        .r#type("STRINGSET")
        .set_string_set_value(Some(texts))
        .build()
}

#[test]
fn a_described_instance_is_read_as_an_event_would_be() {
    let attribute = Attribute::builder()
        .name("ecs.instance-type")
        .value("g2.2xlarge")
        .build()
        .unwrap();
    let instance = ContainerInstance::builder()
        .container_instance_arn(format!("{HOME}:container-instance/default/a1"))
        .ec2_instance_id("i-0abc")
        .status("ACTIVE")
        .agent_connected(true)
        .version(7)
        .version_info(VersionInfo::builder().agent_version("1.86.2").build())
        .registered_at(DateTime::from_millis(1_500))
        .running_tasks_count(2)
        .registered_resources(amount("CPU", 8_192))
        .registered_resources(amount("MEMORY", 15_000))
        .registered_resources(set("GPU", &["GPU-a"]))
        .remaining_resources(amount("CPU", 4_096))
        .remaining_resources(amount("MEMORY", 10_000))
        .remaining_resources(set("PORTS", &["22", "8080"]))
        .attributes(attribute)
        .build();
    let report = instance_report(&cluster(), &instance).unwrap();
    assert_eq!(report.instance.id(), "a1");
    assert_eq!(report.ec2_instance_id.unwrap().as_str(), "i-0abc");
    assert_eq!(
        (report.status, report.agent),
        (InstanceStatus::Active, AgentConnection::Connected)
    );
    assert_eq!((report.version.get(), report.updated_at), (7, None));
    assert_eq!(report.registered_at, Some(Timestamp::from_millis(1_500)));
    assert_eq!(
        (report.running_tasks, report.agent_version.as_deref()),
        (2, Some("1.86.2"))
    );
    assert_eq!(
        (report.registered.cpu, report.registered.gpu),
        (CpuUnits::new(8_192), GpuCount::new(1))
    );
    assert_eq!(report.remaining.memory, MemoryMib::new(10_000));
    assert_eq!(
        report.remaining.ports_taken.tcp.iter().collect::<Vec<_>>(),
        [22, 8_080]
    );
    assert_eq!(
        report.attributes.unwrap().value("ecs.instance-type"),
        Some("g2.2xlarge")
    );
}

#[test]
fn an_instance_whose_answer_cannot_be_believed_is_not_read() {
    let instance = ContainerInstance::builder()
        .container_instance_arn(format!("{HOME}:container-instance/default/a1"))
        .status("ACTIVE")
        .registered_resources(amount("CPU", -1))
        .build();
    let why = instance_report(&cluster(), &instance).unwrap_err();
    assert!(why.contains("registeredResources.CPU"), "{why}");
}

fn task() -> aws_sdk_ecs::types::builders::TaskBuilder {
    Task::builder()
        .cluster_arn(format!("{HOME}:cluster/default"))
        .task_arn(format!("{HOME}:task/default/t1"))
        .container_instance_arn(format!("{HOME}:container-instance/default/a1"))
        .task_definition_arn(format!("{HOME}:task-definition/etl:12"))
        .version(4)
        .last_status("RUNNING")
        .desired_status("RUNNING")
        .created_at(DateTime::from_millis(9_000))
        .started_by("berth/2/etl")
}

#[test]
fn a_described_task_is_read_as_an_event_would_be() {
    let binding = NetworkBinding::builder()
        .host_port(53)
        .protocol(TransportProtocol::Udp)
        .build();
    let container = Container::builder()
        .cpu("100")
        .memory("200")
        .network_bindings(binding)
        .gpu_ids("GPU-a")
        .build();
    let interface = Attachment::builder().r#type("ElasticNetworkInterface").build();
    let report = task_report(
        &cluster(),
        &task().containers(container).attachments(interface).build(),
    )
    .unwrap();
    assert_eq!(
        (report.task.as_str(), report.instance.unwrap().id()),
        (&*format!("{HOME}:task/default/t1"), "a1")
    );
    assert_eq!((report.version.get(), report.status), (4, TaskStatus::Running));
    assert_eq!(report.created_at, Some(Timestamp::from_millis(9_000)));
    assert_eq!(report.group.as_str(), "family:etl");
    assert_eq!(report.attempt.unwrap().started_by(), "berth/2/etl");
    assert_eq!(
        (report.demand.cpu, report.demand.memory),
        (CpuUnits::new(100), MemoryMib::new(200))
    );
    assert_eq!(
        (report.demand.gpu, report.demand.eni),
        (GpuCount::new(1), EniCount::new(1))
    );
    assert!(report.demand.ports.udp.contains(53));
    assert_eq!(report.end, None);
}

#[test]
fn a_stopped_task_tells_how_it_ended() {
    let stopped = task()
        .last_status("STOPPED")
        .desired_status("STOPPED")
        .stopped_at(DateTime::from_millis(12_345))
        .stop_code(TaskStopCode::EssentialContainerExited)
        .stopped_reason("Essential container in task exited")
        .containers(Container::builder().exit_code(3).build());
    let end = task_report(&cluster(), &stopped.build()).unwrap().end.unwrap();
    assert_eq!(end.stopped_at, Some(Timestamp::from_millis(12_345)));
    assert_eq!(end.stop_code.as_deref(), Some("EssentialContainerExited"));
    assert_eq!(end.exit_code, Some(3));
    // Long after its end, an answer has the ARN and the statuses only.
    let bare = Task::builder()
        .cluster_arn(format!("{HOME}:cluster/default"))
        .task_arn(format!("{HOME}:task/default/t1"))
        .task_definition_arn(format!("{HOME}:task-definition/etl:12"))
        .last_status("STOPPED");
    assert_eq!(
        task_report(&cluster(), &bare.build()).unwrap().status,
        TaskStatus::Stopped
    );
}

#[test]
fn a_task_definition_keeps_what_placement_needs() {
    let mapping = aws_sdk_ecs::types::PortMapping::builder()
        .container_port(80)
        .host_port(8_080)
        .build();
    let gpu = aws_sdk_ecs::types::ResourceRequirement::builder()
        .value("1")
        .r#type(aws_sdk_ecs::types::ResourceType::Gpu)
        .build()
        .unwrap();
    let container = aws_sdk_ecs::types::ContainerDefinition::builder()
        .name("app")
        .cpu(100)
        .memory(300)
        .memory_reservation(200)
        .environment(KeyValuePair::builder().name("A").value("1").build())
        .port_mappings(mapping)
        .resource_requirements(gpu)
        .build();
    let constraint = TaskDefinitionPlacementConstraint::builder()
        .r#type(TaskDefinitionPlacementConstraintType::MemberOf)
        .expression("attribute:stack == prod")
        .build();
    let definition = TaskDefinition::builder()
        .task_definition_arn(format!("{HOME}:task-definition/etl:12"))
        .status(TaskDefinitionStatus::Active)
        .network_mode(aws_sdk_ecs::types::NetworkMode::Bridge)
        .container_definitions(container)
        .placement_constraints(constraint)
        .requires_attributes(Attribute::builder().name("ecs.capability.x").build().unwrap())
        .build();
    let read = task_definition_of(&definition).read().unwrap();
    assert_eq!(read.arn.family(), "etl");
    let [container] = read.containers.as_slice() else {
        panic!()
    };
    assert_eq!(
        (container.cpu, container.memory_reservation),
        (Some(CpuUnits::new(100)), Some(MemoryMib::new(200)))
    );
    assert_eq!(container.port_mappings.first().unwrap().host_port, Some(8_080));
    assert_eq!(read.placement_constraints, ["attribute:stack == prod"]);
    assert_eq!(read.required_attributes.first().unwrap().name, "ecs.capability.x");
}
