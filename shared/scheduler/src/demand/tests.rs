use super::*;

fn definition(containers: Vec<Container>) -> TaskDefinition {
    TaskDefinition {
        arn: TaskDefinitionArn::parse("arn:aws:ecs:us-east-1:123456789012:task-definition/etl:1").unwrap(),
        status: TaskDefinitionStatus::Active,
        operating_system: OperatingSystem::Linux,
        network_mode: NetworkMode::Bridge,
        cpu: None,
        memory: None,
        containers,
        required_attributes: Vec::new(),
        placement_constraints: Vec::new(),
    }
}

fn container(name: &str, cpu: u32, memory: u32) -> Container {
    Container {
        name: name.to_owned(),
        cpu: Some(CpuUnits::new(cpu)),
        memory: Some(MemoryMib::new(memory)),
        ..Container::default()
    }
}

fn sizes(definition: &TaskDefinition, overrides: &Overrides) -> (u32, u32, u32) {
    let demand = demand(definition, overrides).unwrap();
    (demand.cpu.get(), demand.memory.get(), demand.gpu.get())
}

#[test]
fn amounts_are_read_in_every_form_that_ecs_writes() {
    for (text, units) in [
        ("256", 256),
        (" 256 ", 256),
        ("1 vCPU", 1024),
        ("1vcpu", 1024),
        (".25 vCPU", 256),
        ("0.5 VCPU", 512),
        ("16 vCPU", 16_384),
        ("2147483647", 2_147_483_647),
    ] {
        assert_eq!(read_cpu("cpu", text).unwrap().get(), units, "{text}");
    }
    for (text, mib) in [
        ("512", 512),
        ("1GB", 1024),
        ("1 GB", 1024),
        ("0.5 gb", 512),
        ("30 GB", 30_720),
    ] {
        assert_eq!(read_memory("memory", text).unwrap().get(), mib, "{text}");
    }
}

#[test]
fn an_absurd_amount_is_an_error_that_names_its_field() {
    for text in [
        "",
        "-1",
        "1e9",
        "1.5",
        "vCPU",
        ". vCPU",
        "1 GB",
        "99999999999999999999",
        "2147483648",
        "9e18 vCPU",
    ] {
        assert!(read_cpu("cpu", text).is_err(), "{text}");
    }
    for text in [
        "1 vCPU",
        "1.2.3 GB",
        "18446744073709551615 GB",
        "0.0000000001 GB",
        "１GB",
    ] {
        assert!(read_memory("memory", text).is_err(), "{text}");
    }
    assert_eq!(
        read_cpu("overrides.cpu", "lots").unwrap_err().to_string(),
        "overrides.cpu: `lots` is not valid: give CPU units such as `256`, or vCPUs such as `1 vCPU`"
    );
    assert!(read_count("memory", -1).is_err() && read_count("memory", 1 << 31).is_err());
    assert!(read_port("hostPort", 65_536).is_err() && read_port("hostPort", -1).is_err());
}

#[test]
fn the_containers_add_up_when_the_task_says_nothing() {
    let definition = definition(vec![
        container("a", 100, 256),
        container("b", 28, 64),
        Container::default(),
    ]);
    assert_eq!(sizes(&definition, &Overrides::default()), (128, 320, 0));
}

#[test]
fn a_reservation_counts_before_the_limit() {
    let mut reserving = container("a", 0, 512);
    reserving.memory_reservation = Some(MemoryMib::new(128));
    let mut zero = container("b", 0, 64);
    zero.memory_reservation = Some(MemoryMib::ZERO);
    assert_eq!(
        sizes(&definition(vec![reserving, zero]), &Overrides::default()),
        (0, 192, 0)
    );
}

#[test]
fn the_tasks_own_amounts_count_before_its_containers_except_on_windows() {
    let mut definition = definition(vec![container("a", 100, 256)]);
    (definition.cpu, definition.memory) = (Some(CpuUnits::new(512)), Some(MemoryMib::new(1024)));
    assert_eq!(sizes(&definition, &Overrides::default()), (512, 1024, 0));

    let smaller = Overrides {
        cpu: Some(CpuUnits::new(256)),
        ..Overrides::default()
    };
    assert_eq!(sizes(&definition, &smaller), (256, 1024, 0));

    definition.operating_system = OperatingSystem::Windows;
    assert_eq!(sizes(&definition, &smaller), (100, 256, 0));
}

#[test]
fn a_containers_override_replaces_its_own_amount_only() {
    let mut reserving = container("a", 100, 512);
    reserving.memory_reservation = Some(MemoryMib::new(128));
    reserving.gpu = GpuRequest::Devices(GpuCount::new(1));
    let definition = definition(vec![reserving, container("b", 10, 64)]);
    let given = ContainerOverride {
        name: "a".to_owned(),
        cpu: Some(CpuUnits::new(200)),
        memory: Some(MemoryMib::new(4096)),
        gpu: Some(GpuRequest::Devices(GpuCount::new(3))),
        memory_reservation: None,
    };
    let overrides = Overrides {
        containers: vec![given.clone()],
        ..Overrides::default()
    };
    // The limit is raised, but what is reserved still counts.
    assert_eq!(sizes(&definition, &overrides), (210, 192, 3));

    let more = ContainerOverride {
        memory_reservation: Some(MemoryMib::new(256)),
        ..given
    };
    let overrides = Overrides {
        containers: vec![more],
        ..Overrides::default()
    };
    assert_eq!(sizes(&definition, &overrides), (210, 320, 3));
}

#[test]
fn an_override_of_an_unknown_or_repeated_container_is_named() {
    let definition = definition(vec![container("main", 1, 1), container("log", 1, 1)]);
    let named = |names: &[&str]| {
        let given = |name: &&str| ContainerOverride {
            name: (*name).to_owned(),
            ..ContainerOverride::default()
        };
        Overrides {
            containers: names.iter().map(given).collect(),
            ..Overrides::default()
        }
    };
    assert_eq!(
        demand(&definition, &named(&["mian"])).unwrap_err().to_string(),
        "container override `mian`: the task definition has no such container, only `main`, `log`"
    );
    assert_eq!(
        demand(&definition, &named(&["log", "log"])).unwrap_err(),
        DemandError::RepeatedContainer {
            name: "log".to_owned()
        }
    );
}

#[test]
fn all_gpus_of_an_instance_are_refused_by_name() {
    let mut all = container("train", 1, 1);
    all.gpu = GpuRequest::All;
    let error = demand(&definition(vec![all]), &Overrides::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "container `train`: a GPU requirement of `ALL` is not supported, give a number of GPUs"
    );
}

#[test]
fn amounts_that_add_up_to_too_much_are_an_error_and_not_a_panic() {
    let huge = i32::MAX.unsigned_abs();
    let definition = definition(vec![container("a", huge, 1), container("b", huge, 1)]);
    let error = demand(&definition, &Overrides::default()).unwrap_err();
    assert_eq!(error, DemandError::TooLarge { amount: "cpu" });
}

#[test]
fn host_ports_depend_on_the_network_mode() {
    let mapping = |container_port, host_port, protocol| PortMapping {
        container_port,
        host_port,
        protocol,
    };
    let mut web = container("web", 1, 1);
    web.port_mappings = vec![
        mapping(Some(80), Some(8080), Protocol::Tcp),
        mapping(Some(53), Some(53), Protocol::Udp),
        mapping(Some(443), None, Protocol::Tcp),
        mapping(Some(9000), Some(0), Protocol::Tcp),
        mapping(None, None, Protocol::Tcp),
    ];
    let mut definition = definition(vec![web]);
    let expected: [(NetworkMode, &[u16], &[u16], u32); 4] = [
        (NetworkMode::Bridge, &[8080], &[53], 0),
        (NetworkMode::Host, &[443, 8080, 9000], &[53], 0),
        (NetworkMode::Awsvpc, &[], &[], 1),
        (NetworkMode::None, &[], &[], 0),
    ];
    for (network_mode, tcp, udp, eni) in expected {
        definition.network_mode = network_mode;
        let demand = demand(&definition, &Overrides::default()).unwrap();
        assert_eq!(
            demand.ports.tcp.iter().collect::<Vec<_>>(),
            tcp,
            "{network_mode:?}"
        );
        assert_eq!(
            demand.ports.udp.iter().collect::<Vec<_>>(),
            udp,
            "{network_mode:?}"
        );
        assert_eq!(demand.eni.get(), eni, "{network_mode:?}");
    }
}
