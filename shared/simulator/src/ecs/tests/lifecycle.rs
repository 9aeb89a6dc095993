use super::*;

/// Events as short words: which task or instance, its version, and its state.
fn told(lab: &mut Lab) -> Vec<String> {
    let word = |event: EcsEvent| match event {
        EcsEvent::Instance { report, .. } => {
            format!(
                "instance v{} {} MiB",
                report.version,
                report.remaining.memory.get()
            )
        }
        EcsEvent::Task { report, .. } => format!("task v{} {:?}", report.version, report.status),
    };
    lab.ecs.take_events().into_iter().map(word).collect()
}

#[test]
fn a_task_goes_from_pending_to_stopped_and_each_change_is_an_event_with_a_higher_version() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    assert_eq!(told(&mut lab), ["instance v1 512 MiB"]);

    let task = lab.run_one("etl");
    assert_eq!(lab.last_status(&task), "PENDING");
    assert_eq!(told(&mut lab), ["task v1 Running", "instance v2 412 MiB"]);

    lab.advance_to_second(1);
    assert_eq!(lab.last_status(&task), "RUNNING");
    assert_eq!(told(&mut lab), ["task v2 Running"]);

    lab.advance_to_second(61);
    assert_eq!(lab.last_status(&task), "STOPPING");
    assert_eq!(told(&mut lab), ["task v3 Stopping", "instance v3 512 MiB"]);

    lab.advance_to_second(71);
    assert_eq!(lab.last_status(&task), "STOPPED");
    assert_eq!(told(&mut lab), ["task v4 Stopped"]);
    let end = lab.task(&task).end.unwrap();
    assert_eq!(end.stop_code.as_deref(), Some("EssentialContainerExited"));
    assert_eq!(end.exit_code, Some(0));
    assert_eq!(end.stopped_at, Some(lab.began.saturating_add_seconds(71)));
}

#[test]
fn without_a_time_to_stop_a_task_is_stopped_at_once() {
    let mut lab = lab();
    lab.ecs.settings.stop_ms = 0;
    lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    lab.run_one("etl");
    lab.advance_to_second(1);
    lab.ecs.take_events();
    lab.advance_to_second(61);
    assert_eq!(told(&mut lab), ["task v3 Stopped", "instance v3 512 MiB"]);
}

#[test]
fn resources_are_free_for_ecs_when_a_task_begins_to_stop_but_the_next_task_waits_until_it_has_stopped() {
    let mut lab = lab();
    let instance = lab.instance("i-1", 512);
    lab.define_memory("big", 512);
    let first = lab.run_one("big");
    lab.advance_to_second(5);
    assert_eq!(reasons(&lab.run("big")), ["RESOURCE:MEMORY"]);

    lab.ecs
        .stop_task(&lab.cluster, first.as_str(), "make room")
        .unwrap();
    assert_eq!(lab.memory_left(&instance), 512);
    let second = lab.run_one("big");
    assert_eq!(lab.memory_left(&instance), 0);

    lab.advance_to_second(14);
    assert_eq!(
        (lab.last_status(&first), lab.last_status(&second)),
        ("STOPPING", "PENDING")
    );
    lab.advance_to_second(15);
    assert_eq!(
        (lab.last_status(&first), lab.last_status(&second)),
        ("STOPPED", "PENDING")
    );
    lab.advance_to_second(16);
    assert_eq!(lab.last_status(&second), "RUNNING");
}

#[test]
fn the_agent_starts_its_queue_strictly_in_order() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.define_memory("big", 512);
    lab.define_memory("half", 256);
    lab.define_memory("tiny", 1);
    let stopping = lab.run_one("half");
    lab.advance_to_second(1);
    lab.ecs.stop_task(&lab.cluster, stopping.as_str(), "").unwrap();
    let head = lab.run_one("big");
    lab.ecs
        .stop_task(&lab.cluster, head.as_str(), "never started")
        .unwrap();
    assert_eq!(lab.last_status(&head), "STOPPED");
    let head = lab.run_one("half");
    assert_eq!(lab.last_status(&head), "PENDING");
    lab.advance_to_second(2);
    assert_eq!(lab.last_status(&head), "RUNNING");

    // What the stopping task still uses makes the head wait, and the head makes the tiny one wait.
    let again = lab.run("half");
    assert_eq!(again.failures, []);
    let tiny = lab.run("tiny");
    assert_eq!(reasons(&tiny), ["RESOURCE:MEMORY"]);
    lab.ecs.stop_task(&lab.cluster, head.as_str(), "").unwrap();
    let tiny = lab.run_one("tiny");
    lab.advance_to_second(10);
    assert_eq!(lab.last_status(&again.tasks[0]), "PENDING");
    assert_eq!(lab.last_status(&tiny), "PENDING");
    lab.advance_to_second(12);
    assert_eq!(lab.last_status(&again.tasks[0]), "RUNNING");
}

#[test]
fn stopping_twice_gives_back_once() {
    let mut lab = lab();
    let instance = lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    let task = lab.run_one("etl");
    lab.run_one("etl");
    lab.advance_to_second(2);
    for _ in 0..3 {
        lab.ecs.stop_task(&lab.cluster, task.as_str(), "enough").unwrap();
        assert_eq!(lab.memory_left(&instance), 412);
    }
    lab.advance_to_second(30);
    lab.ecs.stop_task(&lab.cluster, task.as_str(), "enough").unwrap();
    assert_eq!(lab.memory_left(&instance), 412);
    assert_eq!(
        lab.task(&task).end.unwrap().stopped_reason.as_deref(),
        Some("enough")
    );
}

#[test]
fn a_stopped_task_is_described_for_an_hour() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    let mut request = lab.request("etl");
    request.started_by = Some(Arc::from("me"));
    let task = lab.ecs.run_task(&request).unwrap().tasks[0].clone();
    lab.advance_to_second(71 + 3_599);
    assert_eq!(lab.task(&task).status, TaskStatus::Stopped);
    assert_eq!(lab.ecs.tasks_started_by(&lab.cluster, "me").unwrap().len(), 1);
    lab.advance_to_second(71 + 3_600);
    assert_eq!(lab.ecs.describe_task(&lab.cluster, &task).unwrap(), None);
    assert!(lab.ecs.tasks_started_by(&lab.cluster, "me").unwrap().is_empty());
    assert!(lab.ecs.stop_task(&lab.cluster, task.as_str(), "").is_err());
}

#[test]
fn the_next_due_moment_is_that_of_a_visible_change() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    assert_eq!(lab.ecs.next_due(), None);
    let task = lab.run_one("etl");
    let mut moments = Vec::new();
    while let Some(due) = lab.ecs.next_due() {
        moments.push(due.millis_since(lab.began) / SECOND_MS);
        lab.ecs.advance_to(due);
    }
    assert_eq!(moments, [1, 61, 71]);
    assert_eq!(lab.task(&task).status, TaskStatus::Stopped);
}

#[test]
fn a_great_leap_of_the_clock_passes_through_every_state_at_its_own_moment() {
    let mut lab = lab();
    lab.instance("i-1", 512);
    lab.define_memory("etl", 100);
    let task = lab.run_one("etl");
    lab.advance_to_second(3_000);
    assert_eq!(
        lab.task(&task).end.unwrap().stopped_at,
        Some(lab.began.saturating_add_seconds(71))
    );
    lab.ecs.advance_to(lab.began);
    assert_eq!(lab.ecs.now(), lab.began.saturating_add_seconds(3_000));
}

#[test]
fn thousands_of_tasks_are_soon_done() {
    let mut lab = lab();
    for number in 0..50 {
        lab.instance(&format!("i-{number}"), 4096);
    }
    lab.define_memory("etl", 100);
    let began = std::time::Instant::now();
    let (mut started, mut refused) = (0, 0);
    while started < 5_000 {
        let mut request = lab.request("etl");
        request.failure_detail = super::super::launch::FailureDetail::First;
        if lab.ecs.run_task(&request).unwrap().tasks.is_empty() {
            refused += 1;
            let due = lab.ecs.next_due().unwrap();
            lab.ecs.advance_to(due);
        } else {
            started += 1;
        }
        lab.ecs.take_events();
    }
    assert!(refused > 0);
    // Far more than it takes, so that only a scan of everything in each step would fail here.
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
