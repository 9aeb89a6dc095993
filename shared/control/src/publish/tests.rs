use std::cell::RefCell;

use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, TaskArn};
use berth_scheduler::progress::{Request, TaskProgress};
use berth_scheduler::report::TaskEnd;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::Priority;
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::*;
use crate::records::{TaskRecord, hold, task};

/// A task as it was accepted.
fn a_task() -> TaskRecord {
    let environment = json!([{"name": "KEY", "value": "secret-1"}]);
    let record = json!({
        "schema": 2, "task": "etl/2", "cluster": "default", "priority": 50, "submittedAt": "2026-11-21T10:00:00.000Z",
        "lane": "lane-1", "group": "family:etl",
        "taskDefinition": "arn:aws:ecs:us-east-1:123456789012:task-definition/etl:12",
        "demand": {"cpu": 10, "memory": 100},
        "request": {"overrides": {"containerOverrides": [{"name": "main", "environment": environment}]}},
        "content": "0".repeat(64), "attempt": 0, "state": "waiting", "details": {}, "revision": 1
    });
    task::from_json(&record).unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn change(old: Option<&TaskRecord>, new: Option<&TaskRecord>) -> RecordChange {
    RecordChange {
        sequence_number: new.map_or_else(String::new, |new| new.revision.to_string()),
        subject: Subject::Task,
        old: old.map(task::to_json),
        new: new.map(task::to_json),
        at: at(7_000),
    }
}

fn detail(change: &RecordChange) -> Option<Value> {
    let event = event_of(change).unwrap()?;
    Some(serde_json::from_str(&event.detail).unwrap())
}

fn of_task(old: Option<&TaskRecord>, new: &TaskRecord) -> Option<Value> {
    detail(&change(old, Some(new)))
}

fn reserved() -> TaskProgress {
    let arn = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/a";
    let instance = ContainerInstanceArn::parse(arn).unwrap();
    TaskProgress::accepted().reserve(instance, at(2_000)).unwrap()
}

fn started() -> TaskProgress {
    let reserved = reserved();
    let task = TaskArn::parse("arn:aws:ecs:us-east-1:123456789012:task/default/t").unwrap();
    reserved.start(reserved.attempt, task, at(3_000)).unwrap()
}

#[test]
fn a_task_is_told_of_from_its_acceptance_to_its_end() {
    let accepted = a_task();
    let told = of_task(None, &accepted).unwrap();
    assert_eq!(
        (&told["state"], &told["previousState"]),
        (&json!("waiting"), &Value::Null)
    );
    assert_eq!(
        (&told["schema"], &told["sequence"], &told["attempt"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!(told["at"], "1970-01-01T00:00:07.000Z");

    let running = accepted.after(started());
    let told = of_task(Some(&accepted), &running).unwrap();
    assert_eq!(
        (&told["state"], &told["previousState"]),
        (&json!("started"), &json!("waiting"))
    );
    assert!(
        told["ecsTaskArn"].is_string() && told["containerInstanceArn"].is_string(),
        "{told}"
    );
    assert_eq!(told["sequence"], 2);

    let end = TaskEnd {
        exit_code: Some(3),
        ..TaskEnd::default()
    };
    let arn = TaskArn::parse("arn:aws:ecs:us-east-1:123456789012:task/default/t").unwrap();
    let progress = &running.progress;
    let ended = progress
        .end(progress.attempt, arn, end, &running.terms, at(9_000))
        .unwrap();
    let told = of_task(Some(&running), &running.after(ended)).unwrap();
    assert_eq!((&told["state"], &told["exitCode"]), (&json!("failed"), &json!(3)));
    assert!(
        told["reason"].is_string() && told["containerInstanceArn"].is_string(),
        "{told}"
    );
}

#[test]
fn a_priority_and_a_hold_are_news_and_what_changes_nothing_for_others_is_not() {
    let task = a_task();
    assert_eq!(of_task(Some(&task), &task.after(task.progress.clone())), None);
    let again = task.after(reserved());
    let called = again
        .progress
        .call_again(again.progress.attempt, at(5_000))
        .unwrap();
    assert_eq!(of_task(Some(&again), &again.after(called)), None);
    assert_eq!(detail(&change(Some(&task), None)), None);

    let mut urgent = task.after(task.progress.clone());
    urgent.rank = task.rank.with_priority(Priority::new(900).unwrap());
    assert_eq!(of_task(Some(&task), &urgent).unwrap()["priority"], 900);
    let request = Request {
        at: at(4_000),
        reason: Some("not yet".to_owned()),
    };
    let held = task.after(task.progress.put_on_hold(request).unwrap());
    let told = of_task(Some(&task), &held).unwrap();
    assert_eq!(
        (&told["state"], &told["onHold"]["reason"]),
        (&json!("waiting"), &json!("not yet"))
    );
    assert_eq!(
        of_task(Some(&held), &held.after(held.progress.release().unwrap())).unwrap()["onHold"],
        Value::Null
    );
}

#[test]
fn what_a_task_was_sent_with_is_never_published() {
    let task = a_task();
    let stored = task::to_json(&task).to_string();
    let secret = "secret-1";
    assert!(
        stored.contains(secret),
        "the test needs a task with a secret: {stored}"
    );
    let published = of_task(None, &task).unwrap().to_string();
    assert!(
        !published.contains(secret) && !published.contains("overrides"),
        "{published}"
    );
}

fn lane(reason: Option<&HoldReason>) -> Value {
    let mut lane = json!({"schema": 1, "lane": "lane-1", "shape": {}});
    if let Some(reason) = reason {
        lane["hold"] = hold::to_json(reason);
        lane["heldAt"] = json!("2026-11-21T10:00:00.000Z");
    }
    lane
}

#[test]
fn a_lane_is_told_of_when_it_waits_for_another_kind_of_reason() {
    let refused = |reason: &str| HoldReason::RefusedByEcs {
        reason: reason.to_owned(),
    };
    let of_lane = |old: Option<&HoldReason>, new: Option<&HoldReason>| {
        detail(&RecordChange {
            subject: Subject::Lane(ClusterName::parse("default").unwrap()),
            old: Some(lane(old)),
            new: Some(lane(new)),
            ..change(None, None)
        })
    };
    let told = of_lane(None, Some(&HoldReason::NoInstances)).unwrap();
    assert_eq!(
        (&told["lane"], &told["cluster"]),
        (&json!("lane-1"), &json!("default"))
    );
    assert_eq!(told["reason"], json!({"schema": 1, "reason": "noInstances"}));
    assert_eq!(
        (&told["text"], &told["at"]),
        (
            &json!("the cluster has no container instance"),
            &json!("2026-11-21T10:00:00.000Z")
        )
    );
    assert!(of_lane(Some(&HoldReason::NoInstances), Some(&refused("AGENT"))).is_some());
    assert_eq!(
        of_lane(Some(&refused("AGENT")), Some(&refused("RESOURCE:MEMORY"))),
        None
    );
    assert_eq!(of_lane(Some(&refused("AGENT")), None), None);
}

/// A bus that answers from a script, and accepts everything when that is empty.
#[derive(Default)]
struct ScriptedBus {
    script: RefCell<Vec<Result<Vec<PublishAnswer>, PortError>>>,
    batches: RefCell<Vec<usize>>,
}

impl EventBus for ScriptedBus {
    async fn publish(&self, events: &[PublishedEvent]) -> Result<Vec<PublishAnswer>, PortError> {
        self.batches.borrow_mut().push(events.len());
        match self.script.borrow_mut().pop() {
            Some(answer) => answer,
            None => Ok(vec![PublishAnswer::Accepted; events.len()]),
        }
    }
}

fn changes(count: u64) -> Vec<RecordChange> {
    let numbered = |number: u64| RecordChange {
        sequence_number: number.to_string(),
        ..change(None, Some(&a_task()))
    };
    (1..=count).map(numbered).collect()
}

fn publish(bus: &ScriptedBus, changes: &[RecordChange]) -> PublishReport {
    publish_changes(bus, changes).now_or_never().unwrap()
}

#[test]
fn events_go_out_ten_in_a_call() {
    let bus = ScriptedBus::default();
    let report = publish(&bus, &changes(23));
    assert_eq!((report.published, report.failed), (23, None));
    assert_eq!(*bus.batches.borrow(), [10, 10, 3]);
}

#[test]
fn the_first_change_that_fails_comes_again_with_all_behind_it() {
    let refused = PublishAnswer::Refused {
        reason: "ThrottlingException".to_owned(),
    };
    let answers = vec![
        PublishAnswer::Accepted,
        refused.clone(),
        PublishAnswer::Accepted,
        refused,
    ];
    let bus = ScriptedBus {
        script: RefCell::new(vec![Ok(answers)]),
        ..ScriptedBus::default()
    };
    let report = publish(&bus, &changes(4));
    assert_eq!(report.failed.unwrap().0, "2");

    let throttled = PortError::Throttled {
        service: "EventBridge",
    };
    let accepted = vec![PublishAnswer::Accepted; 10];
    let bus = ScriptedBus {
        script: RefCell::new(vec![Err(throttled), Ok(accepted)]),
        ..ScriptedBus::default()
    };
    let report = publish(&bus, &changes(31));
    assert_eq!((report.published, report.failed.unwrap().0.as_str()), (10, "11"));
    assert_eq!(*bus.batches.borrow(), [10, 10]);

    // An answer that is too short is no answer for the last one.
    let bus = ScriptedBus {
        script: RefCell::new(vec![Ok(vec![PublishAnswer::Accepted])]),
        ..ScriptedBus::default()
    };
    assert_eq!(publish(&bus, &changes(2)).failed.unwrap().0, "2");
}

#[test]
fn a_damaged_record_is_skipped_and_one_of_a_newer_release_waits_for_it() {
    let with = |number: &str, record: Value| RecordChange {
        sequence_number: number.to_owned(),
        new: Some(record),
        ..change(None, None)
    };
    let bus = ScriptedBus::default();
    let mut changes = changes(2);
    changes.insert(1, with("damaged", json!({"schema": 2})));
    changes.insert(2, with("newer", json!({"schema": 99})));
    let report = publish(&bus, &changes);
    assert_eq!((report.published, report.skipped.len()), (1, 1));
    let (sequence_number, error) = report.failed.unwrap();
    assert_eq!((sequence_number.as_str(), error.kind()), ("newer", "NewerRecord"));
}
