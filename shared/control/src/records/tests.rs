mod instance_texts;
mod strategy;

use proptest::prelude::*;
use serde_json::{Value, json};

use berth_scheduler::attributes::AttributeSet;
use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{LaneKey, TaskId};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Priority, Rank};

use super::form::RecordError;
use super::{LaneRecord, appointment, attributes, hold, instance, lane, task, waiting};

/// Through text and back, as a table or a file would do it.
fn through_text(value: &Value) -> Value {
    serde_json::from_str(&value.to_string()).unwrap()
}

proptest! {
    #[test]
    fn a_capacity_record_is_read_as_it_was_written(state in strategy::instance_state()) {
        let record = InstanceRecord::from_state(state);
        prop_assert_eq!(instance::from_json(&through_text(&instance::to_json(&record))), Ok(record));
    }

    #[test]
    fn attributes_are_read_as_they_were_written(pairs in strategy::attributes()) {
        let set: AttributeSet = pairs.into_iter().collect();
        let read = attributes::from_json(&through_text(&attributes::to_json(&set))).unwrap();
        prop_assert_eq!(read.fingerprint(), set.fingerprint());
        prop_assert_eq!(read, set);
    }

    #[test]
    fn a_lane_is_read_as_it_was_written(shape in strategy::shape()) {
        let record = LaneRecord { key: LaneKey::parse("lane").unwrap(), shape: shape.into() };
        prop_assert_eq!(lane::from_json(&through_text(&lane::to_json(&record))), Ok(record));
    }

    #[test]
    fn a_hold_reason_is_read_as_it_was_written_and_has_a_text(reason in strategy::hold_reason()) {
        let json = through_text(&hold::to_json(&reason));
        prop_assert_eq!(json["text"].as_str().unwrap(), hold::text(&reason));
        prop_assert_eq!(hold::from_json(&json), Ok(reason));
    }

    #[test]
    fn a_waiting_entry_is_read_as_it_was_written(task in strategy::waiting_task()) {
        prop_assert_eq!(waiting::from_json(&through_text(&waiting::to_json(&task))), Ok(task));
    }

    #[test]
    fn a_task_is_read_as_it_was_written(record in strategy::task()) {
        prop_assert_eq!(task::from_json(&through_text(&task::to_json(&record))), Ok(record));
    }

    #[test]
    fn an_appointment_is_read_as_it_was_written_and_found_by_its_time(
        it in strategy::appointment(), other in strategy::appointment()
    ) {
        prop_assert_eq!(appointment::from_json(&through_text(&appointment::to_json(&it))), Ok(it.clone()));
        prop_assert_eq!(appointment::sort_key(&it) < appointment::sort_key_after(other.due), it.due <= other.due);
    }

    #[test]
    fn sort_keys_sort_as_ranks_do(one in strategy::rank(), other in strategy::rank()) {
        prop_assert_eq!(waiting::sort_key(&one).cmp(&waiting::sort_key(&other)), one.cmp(&other));
        prop_assert_eq!(waiting::task_of_sort_key(&waiting::sort_key(&one)), Some(one.task()));
    }
}

#[test]
fn an_id_sorts_before_the_longer_ones_that_begin_with_it() {
    let rank = |task| {
        Rank::new(
            Priority::default(),
            Timestamp::from_millis(0),
            &TaskId::parse(task).unwrap(),
        )
    };
    let mut keys =
        ["ab", "a-b", "a/10", "a0", "a/2", "a", "a_", "aA"].map(|task| waiting::sort_key(&rank(task)));
    keys.sort_unstable();
    let tasks = keys.map(|key| key.split_once("Z#").unwrap().1.to_owned());
    assert_eq!(
        tasks,
        [
            "a#01", "a#02", "a#10", "a-b#01", "a0#01", "aA#01", "a_#01", "ab#01"
        ]
    );
}

#[test]
fn a_sort_key_can_be_read_by_people() {
    let at = Timestamp::parse_iso8601("2026-11-21T10:00:00Z").unwrap();
    let rank = Rank::new(Priority::new(50).unwrap(), at, &TaskId::parse("etl/3").unwrap());
    assert_eq!(waiting::sort_key(&rank), "0950#2026-11-21T10:00:00.000Z#etl#03");
}

#[test]
fn a_record_of_a_newer_release_is_left_alone() {
    let mut json = hold::to_json(&HoldReason::Throttled);
    json["schema"] = json!(2);
    assert_eq!(
        hold::from_json(&json),
        Err(RecordError::NewerSchema { found: 2, highest: 1 })
    );
    assert_eq!(
        hold::from_json(&json!({"reason": "throttled"})),
        Err(RecordError::NoSchema)
    );
}

#[test]
fn a_lane_of_an_older_release_knows_no_subnets() {
    let lane = json!({
        "schema": 1, "lane": "a1",
        "shape": {"demand": {"cpu": 0, "memory": 100}, "constraints": [], "zones": []}
    });
    assert_eq!(lane::from_json(&lane).unwrap().shape.subnets, []);
}

#[test]
fn a_hold_reason_is_told_in_a_sentence() {
    assert_eq!(
        hold::text(&strategy::plain_shortfall()),
        "no instance has room now: 3 looked at, 1 not matching `attribute:stack == prod`, 2 short of memory; \
         nearest is a1: memory: needs 100 MiB, 12 free"
    );
}
