use super::*;

fn with_token(lab: &Lab, token: &str) -> RunTaskRequest {
    RunTaskRequest {
        client_token: Some(Arc::from(token)),
        ..lab.request("etl")
    }
}

#[test]
fn the_same_request_with_the_same_token_starts_its_tasks_once() {
    let mut lab = lab();
    let instance = lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    let request = RunTaskRequest {
        count: 2,
        ..with_token(&lab, "one")
    };
    let first = lab.ecs.run_task(&request).unwrap();
    assert_eq!(lab.ecs.run_task(&request).unwrap(), first);
    assert_eq!(lab.memory_left(&instance), 312);

    // Also when the revision is no longer ACTIVE: the first answer stands.
    lab.ecs.deregister_task_definition("etl:1").unwrap();
    assert_eq!(lab.ecs.run_task(&request).unwrap(), first);
}

#[test]
fn another_request_with_the_same_token_is_a_conflict_that_names_the_tasks() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    let request = with_token(&lab, "one");
    let first = lab.ecs.run_task(&request).unwrap();
    let error = lab
        .ecs
        .run_task(&RunTaskRequest { count: 2, ..request })
        .unwrap_err();
    assert_eq!(error.kind.code(), "ConflictException");
    assert_eq!(error.resource_ids, [first.tasks[0].to_string()]);
}

#[test]
fn a_refusal_is_repeated_under_its_token_although_there_is_room_now() {
    let mut lab = lab();
    lab.instance("i-1", 100);
    lab.define_memory("etl", 100);
    let blocking = lab.run_one("etl");
    let request = with_token(&lab, "one");
    let refused = lab.ecs.run_task(&request).unwrap();
    assert_eq!(reasons(&refused), ["RESOURCE:MEMORY"]);
    lab.advance_to_second(2);
    lab.ecs.stop_task(&lab.cluster, blocking.as_str(), "").unwrap();
    assert_eq!(lab.ecs.run_task(&request).unwrap(), refused);
    assert_eq!(lab.ecs.run_task(&with_token(&lab, "two")).unwrap().tasks.len(), 1);
}

#[test]
fn a_token_lives_for_an_hour_after_its_task() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    let request = with_token(&lab, "one");
    let first = lab.ecs.run_task(&request).unwrap();
    lab.advance_to_second(71 + 3_599);
    assert_eq!(lab.ecs.run_task(&request).unwrap(), first);
    lab.advance_to_second(71 + 3_600);
    assert_ne!(lab.ecs.run_task(&request).unwrap(), first);
}

#[test]
fn a_token_lives_for_a_day_at_most() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    let request = RunTaskRequest {
        duration_ms: Some(u64::MAX),
        ..with_token(&lab, "one")
    };
    let first = lab.ecs.run_task(&request).unwrap();
    lab.advance_to_second(86_399);
    assert_eq!(lab.ecs.run_task(&request).unwrap(), first);
    lab.advance_to_second(86_400);
    assert_ne!(lab.ecs.run_task(&request).unwrap(), first);
}

#[test]
fn a_token_belongs_to_one_cluster() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    lab.ecs.run_task(&with_token(&lab, "one")).unwrap();
    let cluster = ClusterName::parse("other").unwrap();
    lab.ecs.create_cluster(&cluster, Document::new());
    let elsewhere = RunTaskRequest {
        cluster,
        ..with_token(&lab, "one")
    };
    assert_eq!(
        lab.ecs.run_task(&elsewhere).unwrap_err().kind.code(),
        "InvalidParameterException"
    );
}
