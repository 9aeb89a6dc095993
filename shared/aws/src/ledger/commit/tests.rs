use aws_sdk_dynamodb::types::CancellationReason;
use berth_scheduler::run_time::RunOutlook;
use serde_json::json;

use super::*;

fn sample(revision: u64, moved: Committed) -> Part {
    let key = key::Key {
        partition: "task#etl".to_owned(),
        sort: "task".to_owned(),
    };
    part(
        "tasks",
        &key,
        json!({"schema": 1, "revision": revision}),
        Revision::new(revision),
        None,
        moved,
    )
}

fn parts() -> Vec<Part> {
    vec![
        sample(3, Committed::TaskMoved),
        sample(8, Committed::InstanceMoved),
    ]
}

fn reason(code: &str) -> CancellationReason {
    CancellationReason::builder().code(code).build()
}

fn refused(stored: &Part) -> CancellationReason {
    CancellationReason::builder()
        .code("ConditionalCheckFailed")
        .set_item(Some(stored.item.clone()))
        .build()
}

fn committed(parts: &[Part], reasons: &[CancellationReason]) -> Option<Committed> {
    match read_reasons(parts, reasons).unwrap() {
        Try::Refused(met) => verdict(parts, &met),
        Try::Written | Try::Conflict => None,
    }
}

#[test]
fn a_new_record_follows_nothing_and_a_later_one_its_revision() {
    let first = sample(1, Committed::TaskMoved);
    assert_eq!(
        (first.follows, condition_of(&first), checked_name(&first)),
        (None, "attribute_not_exists(#checked)", "pk")
    );
    let later = sample(8, Committed::TaskMoved);
    assert_eq!(
        (later.follows, condition_of(&later), checked_name(&later)),
        (Some(7), "#checked = :follows", "revision")
    );
}

#[test]
fn a_cancelled_transaction_names_the_record_that_moved() {
    let parts = parts();
    let other = sample(9, Committed::TaskMoved);
    let (fine, moved) = (|| reason("None"), || refused(&other));
    assert_eq!(committed(&parts, &[moved(), fine()]), Some(Committed::TaskMoved));
    assert_eq!(
        committed(&parts, &[fine(), moved()]),
        Some(Committed::InstanceMoved)
    );
    assert_eq!(committed(&parts, &[moved(), moved()]), Some(Committed::TaskMoved));
}

#[test]
fn what_is_stored_exactly_as_it_was_to_be_written_counts_as_written() {
    let parts = parts();
    let [task, instance] = parts.as_slice() else {
        panic!()
    };
    assert_eq!(
        committed(&parts, &[refused(task), refused(instance)]),
        Some(Committed::Done)
    );
    let half = [refused(task), reason("None")];
    assert_eq!(committed(&parts, &half), Some(Committed::TaskMoved));
}

#[test]
fn an_expiry_does_not_make_a_record_another_one() {
    let part = sample(3, Committed::TaskMoved);
    let mut stored = part.item.clone();
    stored.insert(EXPIRES_AT.to_owned(), AttributeValue::N("1".to_owned()));
    assert_eq!(met(&part, Some(&stored)), Met::Itself);
    assert_eq!(met(&part, None), Met::Other);
}

#[test]
fn a_conflict_is_tried_again_and_throttling_is_told() {
    let parts = parts();
    let conflict = [reason("None"), reason("TransactionConflict")];
    assert!(matches!(read_reasons(&parts, &conflict), Ok(Try::Conflict)));
    let throttled = read_reasons(&parts, &[reason("ThrottlingError")]);
    assert!(matches!(throttled, Err(PortError::Throttled { .. })));
    let too_large = read_reasons(&parts, &[reason("ValidationError")]);
    assert!(matches!(too_large, Err(PortError::Failed { .. })));
    assert_eq!(committed(&parts, &[]), None);
}

#[test]
fn a_token_belongs_to_the_content() {
    let (one, other) = (parts(), vec![sample(4, Committed::TaskMoved)]);
    let token = token_of(&one);
    assert_eq!(token, token_of(&parts()));
    assert_ne!(token, token_of(&other));
    assert!(token.len() <= 36 && !token.is_empty());
}

/// Only what is over may expire: a record with a reservation or a waiting task must never vanish.
#[test]
fn only_the_record_of_an_empty_instance_that_is_gone_expires() {
    let cluster = ClusterName::parse("default").unwrap();
    let now = Timestamp::from_millis(1_000_000);
    let expiry = |record: &InstanceRecord| {
        let item = instance_part("capacity", &cluster, record, now).item;
        item.get(EXPIRES_AT).cloned()
    };
    let active = active_instance();
    assert_eq!(expiry(&active), None);
    let gone = active.gone().unwrap();
    assert_eq!(
        expiry(&gone),
        Some(AttributeValue::N((1_000 + 86_400).to_string()))
    );
    let task = berth_scheduler::id::TaskId::parse("etl").unwrap();
    let attempt = berth_scheduler::id::AttemptId {
        task,
        number: berth_scheduler::id::AttemptNumber::new(1),
    };
    let group = berth_scheduler::id::TaskGroup::parse("family:etl").unwrap();
    let demand = berth_scheduler::resources::Demand::default();
    let reserved = active
        .reserve(attempt, &demand, &group, RunOutlook::default())
        .unwrap()
        .gone()
        .unwrap();
    assert_eq!(expiry(&reserved), None);
}

fn active_instance() -> InstanceRecord {
    use berth_scheduler::instance::{Observed, observe};
    use berth_scheduler::report::{AgentConnection, InstanceReport, ReportSource};
    let arn = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/a1";
    let report = InstanceReport {
        instance: berth_scheduler::id::ContainerInstanceArn::parse(arn).unwrap(),
        ec2_instance_id: None,
        status: InstanceStatus::Active,
        agent: AgentConnection::Connected,
        agent_version: None,
        version: berth_scheduler::id::ReportVersion::new(1),
        updated_at: None,
        registered_at: None,
        registered: berth_scheduler::resources::Resources::default(),
        remaining: berth_scheduler::resources::Resources::default(),
        running_tasks: 0,
        attributes: None,
        source: ReportSource::Event,
    };
    match observe(None, &report) {
        Observed::Updated(record) => *record,
        _known => panic!(),
    }
}
