//! The files in `events/` mean what their table says, as the real decoders read them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail the test by panicking"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use berth_control::settings::Settings;
use berth_control::wire::command::Order;
use berth_control::wire::event::{DecodedEvent, IgnoredEvent, decode_event};
use berth_control::wire::refusal::Refusal;
use berth_control::wire::status::{Question, decode_question};
use berth_control::wire::submission::{Message, Submission, decode_message};
use berth_scheduler::id::{AttemptId, SubmissionId};
use berth_scheduler::instance::{InstanceRecord, Observed, observe};
use berth_scheduler::report::{InstanceReport, TaskEnd, TaskReport, TaskStatus};
use berth_scheduler::resources::Room;
use md5::{Digest, Md5};
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What the template sets when nothing else is asked for.
fn settings() -> Settings {
    Settings::parse("default", "environment,resources").unwrap()
}

fn event(what: &str) -> DecodedEvent {
    decode_event(&read(&format!("eventbridge-{what}.json")), &settings().clusters)
}

fn instance(what: &str) -> InstanceReport {
    match event(&format!("instance-{what}")) {
        DecodedEvent::Instance { report, .. } => *report,
        other => panic!("{what}: {other:?}"),
    }
}

fn task(what: &str) -> TaskReport {
    match event(&format!("task-{what}")) {
        DecodedEvent::Task { report, skipped, .. } => {
            assert!(skipped.is_empty(), "{what}: {skipped:?}");
            *report
        }
        other => panic!("{what}: {other:?}"),
    }
}

fn ignored(what: &str) -> IgnoredEvent {
    match event(what) {
        DecodedEvent::Ignored(ignored) => ignored,
        other => panic!("{what}: {other:?}"),
    }
}

/// The messages of an SQS file, each as the admitter reads it.
fn messages(what: &str) -> Vec<Result<Message, Refusal>> {
    let file = json(&format!("sqs-{what}.json"));
    let decode = |record: &Value| {
        let id = record["messageId"].as_str().unwrap();
        decode_message(record["body"].as_str().unwrap(), id, &settings())
    };
    file["Records"].as_array().unwrap().iter().map(decode).collect()
}

fn submission(message: &Result<Message, Refusal>) -> &Submission {
    match message {
        Ok(Message::Submission(submission)) => submission,
        other => panic!("{other:?}"),
    }
}

fn cpu_and_memory(room: &Room) -> (u32, u32) {
    (room.cpu.get(), room.memory.get())
}

fn file_names() -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".json")).collect()
}

#[test]
fn the_table_lists_every_file_once_with_the_function_that_reads_it() {
    let readme = read("README.md");
    let mut listed = Vec::new();
    for row in readme.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [file, function, shows, sees] = cells[..] else {
            panic!("{row}")
        };
        let file = file.trim_matches('`');
        let expected = match file.split('-').next() {
            Some("eventbridge") => "CapacityTracker",
            Some("sqs") => "Admitter",
            Some("status") => "TaskStatus",
            Some("stream") => "EventPublisher",
            _ => "Reconciler",
        };
        assert_eq!(function, expected, "{file}");
        assert!(!shows.is_empty() && !sees.is_empty(), "{file}");
        listed.push(file.to_owned());
    }
    let unique: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), unique.len(), "a file is listed twice");
    assert_eq!(unique, file_names());
}

#[test]
fn every_eventbridge_file_is_a_whole_event_of_one_account_and_region() {
    let of_eventbridge = |name: &&String| name.starts_with("eventbridge-") || name.starts_with("schedule-");
    for name in file_names().iter().filter(of_eventbridge) {
        let event = json(name);
        assert_eq!(event["version"], "0", "{name}");
        assert_eq!(
            (&event["account"], &event["region"]),
            (&"123456789012".into(), &"us-east-1".into()),
            "{name}"
        );
        assert_eq!(event["id"].as_str().unwrap().len(), 36, "{name}");
        assert_eq!(
            event["time"].as_str().unwrap().len(),
            "2026-11-21T09:00:00Z".len(),
            "{name}"
        );
        let resource = event["resources"][0].as_str().unwrap();
        assert!(resource.contains(":us-east-1:123456789012:"), "{name}");
        let detail = &event["detail"];
        let about = detail.get("taskArn").or(detail.get("containerInstanceArn"));
        assert!(about.is_none_or(|arn| arn == resource), "{name}");
    }
}

#[test]
fn the_questions_are_understood_and_the_mistyped_one_is_not() {
    let ask = |name: &str| decode_question(&read(name), &settings());
    let report = SubmissionId::parse("report-2026-11-21").unwrap();
    assert_eq!(ask("status-task.json"), Ok(Question::Submission(report)));
    assert!(matches!(
        ask("status-cluster.json"),
        Ok(Question::Cluster { top: 5, .. })
    ));
    let refusal = ask("status-mistyped.json").unwrap_err();
    assert_eq!(refusal.reason, "clustr: unknown field; did you mean `cluster`?");
}

#[test]
fn every_sqs_file_is_a_whole_batch_with_right_checksums() {
    let mut ids = BTreeSet::new();
    for name in file_names().iter().filter(|name| name.starts_with("sqs-")) {
        let queue = if name == "sqs-wake.json" {
            "berth-WakeQueue"
        } else {
            "berth-SubmissionQueue"
        };
        for record in json(name)["Records"].as_array().unwrap() {
            let text = |field: &str| {
                record[field]
                    .as_str()
                    .unwrap_or_else(|| panic!("{name}: {field}"))
                    .to_owned()
            };
            let md5: String = Md5::digest(text("body").as_bytes())
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(text("md5OfBody"), md5, "{name}");
            assert_eq!(text("eventSource"), "aws:sqs", "{name}");
            assert_eq!(
                text("eventSourceARN"),
                format!("arn:aws:sqs:us-east-1:123456789012:{queue}"),
                "{name}"
            );
            assert_eq!(text("awsRegion"), "us-east-1", "{name}");
            assert!(text("receiptHandle").starts_with("AQEB"), "{name}");
            assert!(
                record["messageAttributes"].as_object().unwrap().is_empty(),
                "{name}"
            );
            let sent: i64 = record["attributes"]["SentTimestamp"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!(sent > 1_700_000_000_000, "{name}: milliseconds");
            assert!(
                ids.insert(text("messageId")),
                "{name}: a message id is used twice"
            );
        }
    }
}

/// The record that the instance's events lead to, one after the other, and what became of the last one.
fn after(events: &[&str]) -> (InstanceRecord, Observed) {
    let mut record: Option<InstanceRecord> = None;
    let mut last = Observed::Unchanged;
    for what in events {
        last = observe(record.as_ref(), &instance(what));
        if let Observed::Updated(updated) = &last {
            record = Some((**updated).clone());
        }
    }
    (record.unwrap(), last)
}

#[test]
fn the_events_of_one_instance_tell_its_story_in_the_order_of_the_table() {
    let (registered, _) = after(&["registered"]);
    assert!(instance("registered").attributes.unwrap().is_empty());
    assert_eq!(cpu_and_memory(registered.room()), (2048, 3884));
    assert!(registered.is_candidate());

    let (full, _) = after(&["registered", "full"]);
    assert_eq!(cpu_and_memory(full.room()), (0, 12));
    assert!(full.room().ports_taken.tcp.contains(8080));
    assert_ne!(full.state().attributes, registered.state().attributes);

    let (unmoved, stale) = after(&["registered", "full", "stale-version"]);
    assert_eq!((unmoved, stale), (full.clone(), Observed::Stale));

    let (disconnected, _) = after(&["registered", "full", "agent-disconnected"]);
    assert!(!disconnected.is_candidate());

    let (again, _) = after(&["registered", "full", "agent-disconnected", "room-again"]);
    assert_eq!(cpu_and_memory(again.room()), (512, 1036));
    assert!(again.is_candidate() && !again.room().ports_taken.tcp.contains(8080));

    let (draining, _) = after(&["registered", "room-again", "draining"]);
    assert!(!draining.is_candidate());

    let (gone, late) = after(&["registered", "room-again", "deregistered", "draining"]);
    assert!(!gone.is_candidate());
    assert_eq!(late, Observed::Stale);
}

#[test]
fn the_events_of_one_task_tell_its_story() {
    let stories = [
        ("running", TaskStatus::Running),
        ("stopping", TaskStatus::Stopping),
        ("stopped", TaskStatus::Stopped),
    ];
    let reports = stories.map(|(what, status)| {
        let report = task(what);
        assert_eq!(report.status, status);
        report
    });
    assert!(reports.is_sorted_by_key(|report| report.version));
    for report in &reports {
        assert_eq!(report.task, reports[0].task);
        assert_eq!(report.instance.as_ref(), Some(&instance("full").instance));
        assert_eq!(
            report.attempt,
            AttemptId::from_started_by("berth/1/report-2026-11-21")
        );
        assert_eq!((report.demand.cpu.get(), report.demand.memory.get()), (512, 1024));
        assert!(report.demand.ports.tcp.contains(8080) && report.demand.ports.len() == 1);
    }
    let [_, _, TaskReport { end: Some(end), .. }] = reports else {
        panic!("a stopped task has an end")
    };
    assert_eq!(
        (end.exit_code, end.stop_code.as_deref()),
        (Some(0), Some("EssentialContainerExited"))
    );

    // The submission that started it is one of the files, too.
    let messages = messages("submission-one");
    assert_eq!(submission(&messages[0]).id.as_str(), "report-2026-11-21");
}

#[test]
fn what_the_tasks_take_is_what_the_full_instance_lacks() {
    let (ours, theirs, full) = (task("running").demand, task("of-others").demand, instance("full"));
    let (free, all) = (full.remaining, full.registered);
    assert_eq!(
        ours.cpu.saturating_add(theirs.cpu).saturating_add(free.cpu),
        all.cpu
    );
    assert_eq!(
        ours.memory
            .saturating_add(theirs.memory)
            .saturating_add(free.memory),
        all.memory
    );
}

#[test]
fn a_task_of_others_has_no_attempt_and_counts_with_its_interface() {
    let report = task("of-others");
    assert_eq!(report.attempt, None);
    assert_eq!(report.group.as_str(), "service:web");
    assert_eq!(report.demand.eni.get(), 1);
}

#[test]
fn a_failed_task_tells_the_exit_code_that_is_not_zero() {
    let report = task("stopped-failed");
    let TaskEnd { exit_code, .. } = report.end.unwrap();
    assert_eq!(exit_code, Some(137));
    // No size of its own: the containers add up, with the reservation of the one that has one.
    assert_eq!((report.demand.cpu.get(), report.demand.memory.get()), (256, 480));
    assert_eq!(report.group.as_str(), "family:etl");
}

#[test]
fn what_berth_does_not_know_is_counted_and_the_rest_is_used() {
    let DecodedEvent::Instance { report, skipped, .. } = event("instance-gpu-unknown-resource") else {
        panic!()
    };
    assert_eq!((report.registered.gpu.get(), report.remaining.gpu.get()), (2, 1));
    assert_eq!(skipped.resources.unknown_names, ["NEURON_CORES"]);
    assert_eq!(skipped.resources.unknown_count, 2);
}

#[test]
fn events_that_would_harm_a_record_or_concern_nobody_are_ignored_with_the_reason() {
    for (what, kind, explanation) in [
        ("instance-missing-version", "unusable", "detail.version: missing"),
        (
            "instance-absurd-amount",
            "unusable",
            "detail.remainingResources.CPU: `-2048` is out of range: expected 0 to 2147483647",
        ),
        (
            "instance-other-cluster",
            "other-cluster",
            "detail.clusterArn: cluster `staging` is not one of this deployment's",
        ),
    ] {
        let ignored = ignored(what);
        assert_eq!(
            (ignored.kind(), ignored.to_string().as_str()),
            (kind, explanation)
        );
    }
    assert_eq!(ignored("service-action").kind(), "other-kind");
}

#[test]
fn every_kind_of_command_is_read() {
    let actions: Vec<String> = messages("commands")
        .into_iter()
        .map(|message| match message.unwrap() {
            Message::Command(command) => match command.order {
                Order::Tasks(action, _) => action.as_str().to_owned(),
                Order::Cluster(action, _) => format!("{action:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        actions,
        [
            "hold",
            "changePriority",
            "release",
            "retry",
            "cancel",
            "Pause",
            "Resume"
        ]
    );
}

#[test]
fn one_malformed_message_leaves_its_nine_neighbours_alone() {
    let messages = messages("submission-batch-one-malformed");
    let (good, bad): (Vec<_>, Vec<_>) = messages.iter().partition(|message| message.is_ok());
    assert_eq!((good.len(), bad.len()), (9, 1));
    let ids: BTreeSet<&str> = good
        .iter()
        .map(|message| submission(message).id.as_str())
        .collect();
    assert_eq!(ids.len(), 9);
    assert!(
        good.iter()
            .any(|message| submission(message).priority.get() == 20)
    );
    let refusal = bad[0].as_ref().unwrap_err();
    assert!(refusal.position.is_some(), "{refusal:?}");
}

#[test]
fn a_submission_may_say_where_and_how_its_tasks_run() {
    let messages = messages("submission-constraints");
    let submission = submission(&messages[0]);
    assert_eq!((submission.priority.get(), submission.count), (200, 2));
    assert_eq!(
        (submission.constraints.len(), submission.strategies.len()),
        (2, 2)
    );
    assert_eq!(submission.group.as_ref().unwrap().as_str(), "training");
}

#[test]
fn the_same_id_is_the_same_submission_only_with_the_same_content() {
    let messages = messages("submission-same-id");
    let [first, same, different] = [0, 1, 2].map(|index| submission(&messages[index]));
    assert!(first.id == same.id && first.id == different.id);
    assert_eq!(first.content_hash, same.content_hash);
    assert_ne!(first.content_hash, different.content_hash);
}

#[test]
fn every_message_of_the_refused_batch_is_refused_for_its_own_reason() {
    let refusals: Vec<Refusal> = messages("submission-batch-refused")
        .into_iter()
        .map(|message| message.unwrap_err())
        .collect();
    let fields: Vec<&str> = refusals
        .iter()
        .map(|refusal| refusal.field.as_deref().unwrap_or_default())
        .collect();
    assert_eq!(
        fields,
        [
            "priorty",
            "priority",
            "count",
            "count",
            "launchType",
            "capacityProviderStrategy",
            "overrides.taskRoleArn",
            "cluster",
            "priority",
            "priority",
        ]
    );
}

#[test]
fn a_wake_names_the_cluster() {
    let messages = messages("wake");
    let [Ok(Message::Wake(cluster))] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(cluster.as_str(), "default");
}

#[test]
fn the_schedule_is_the_event_that_a_rule_with_a_rate_sends() {
    let event = json("schedule-reconcile.json");
    assert_eq!(
        (&event["detail-type"], &event["source"]),
        (&"Scheduled Event".into(), &"aws.events".into())
    );
    assert!(event["resources"][0].as_str().unwrap().contains(":rule/"));
    // Delivered to the wrong function it does no harm.
    let decoded = decode_event(&read("schedule-reconcile.json"), &settings().clusters);
    assert!(matches!(
        decoded,
        DecodedEvent::Ignored(IgnoredEvent::OtherKind { .. })
    ));
}
