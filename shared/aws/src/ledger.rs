//! The ledger on two DynamoDB tables.
//!
//! Every read is strongly consistent, hence from the base tables: a read that misses what was written before
//! the generation was read would lose a wake-up, and an index can never be read consistently.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html>

mod appointment;
mod capacity;
mod commit;
mod damage;
pub(crate) mod item;
pub(crate) mod key;
mod run_time;
mod turn;
mod waiting;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use berth_control::damage::{Damaged, Replaced, Replacement};
use berth_control::ports::{
    Attention, Change, Committed, FallAsleep, Ledger, PassStart, PauseOrder, PortError, StoredLane, Turn,
    TurnRequest, WaitingList, WakeState,
};
use berth_control::records::form::RecordError;
use berth_control::records::{
    Appointment, LaneRecord, TaskRecord, attributes as attribute_record, instance, task,
};
use berth_scheduler::attributes::{AttributeSet, Fingerprint};
use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{
    ClusterName, ContainerInstanceArn, Generation, LaneKey, Revision, TaskFamily, TaskId,
};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::progress::Request;
use berth_scheduler::quantity::Seconds;
use berth_scheduler::run_time::{RunTimeBucket, RunTimeCounts, RunTimes};
use berth_scheduler::shape::Shape;
use berth_scheduler::snapshot::InstanceView;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Rank, WaitingTask};

use self::item::{Item, item_of, key_item, record_of};
use self::key::Key;
use crate::error::port_error;

const SERVICE: &str = "DynamoDB";

/// The two tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Capacity records, attributes, and the clusters' generations and turns.
    pub capacity: String,
    /// Tasks, lanes, who waits in them, and appointments.
    pub tasks: String,
    /// For how long the record of a task is kept that nothing happens to any more.
    pub final_tasks_kept: Seconds,
}

/// The ledger on DynamoDB. It remembers what does not change, for as long as the process lives.
#[derive(Debug)]
pub struct DynamoLedger {
    client: Client,
    tables: Tables,
    attributes: Mutex<HashMap<ContainerInstanceArn, (Fingerprint, Arc<AttributeSet>)>>,
    shapes: Mutex<HashMap<LaneKey, Arc<Shape>>>,
}

impl DynamoLedger {
    /// A ledger on these tables.
    pub fn new(client: Client, tables: Tables) -> Self {
        Self {
            client,
            tables,
            attributes: Mutex::default(),
            shapes: Mutex::default(),
        }
    }

    async fn get(&self, table: &str, key: &Key) -> Result<Option<Item>, PortError> {
        let request = self.client.get_item().table_name(table).consistent_read(true);
        let answer = Box::pin(request.set_key(Some(key_item(key))).send()).await;
        answer
            .map(|answer| answer.item)
            .map_err(|error| port_error(SERVICE, "GetItem", &error))
    }

    async fn put(&self, table: &str, item: Item) -> Result<(), PortError> {
        let request = self.client.put_item().table_name(table).set_item(Some(item));
        let answer = Box::pin(request.send()).await;
        answer
            .map(|_| ())
            .map_err(|error| port_error(SERVICE, "PutItem", &error))
    }

    /// Reads a whole partition, page by page, in the order of the sort key.
    async fn query_all(&self, table: &str, partition: &str) -> Result<Vec<Item>, PortError> {
        let mut items = Vec::new();
        let mut from = None;
        loop {
            let (page, next) = self.query(table, partition, from, None).await?;
            items.extend(page);
            match next {
                Some(next) => from = Some(next),
                None => return Ok(items),
            }
        }
    }

    /// Reads one page of a partition, and tells where the next one begins.
    async fn query(
        &self,
        table: &str,
        partition: &str,
        from: Option<Item>,
        limit: Option<i32>,
    ) -> Result<(Vec<Item>, Option<Item>), PortError> {
        let request = self.client.query().table_name(table).consistent_read(true);
        let request = request
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", key::PARTITION)
            .expression_attribute_values(":pk", AttributeValue::S(partition.to_owned()));
        let request = request.set_exclusive_start_key(from).set_limit(limit);
        let answer = Box::pin(request.send()).await;
        let answer = answer.map_err(|error| port_error(SERVICE, "Query", &error))?;
        let next = answer.last_evaluated_key.filter(|key| !key.is_empty());
        Ok((answer.items.unwrap_or_default(), next))
    }
}

/// What a conditional write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// It was done.
    Done,
    /// Nothing was written, because the condition did not hold.
    ConditionFailed,
}

/// What the answer to a conditional write of one item says.
fn written<T, E, R>(operation: &'static str, answer: Result<T, SdkError<E, R>>) -> Result<Written, PortError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match answer {
        Ok(_) => Ok(Written::Done),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(Written::ConditionFailed),
        Err(error) => Err(port_error(SERVICE, operation, &error)),
    }
}

/// Reads the record of an item; the error names the key.
fn read<T>(
    item: &Item,
    from_json: impl FnOnce(&serde_json::Value) -> Result<T, RecordError>,
) -> Result<T, PortError> {
    from_json(&record_of(item)).map_err(|error| PortError::Unreadable {
        key: item::key_of(item),
        reason: error.to_string(),
    })
}

/// Calls are on the heap: the state of one in the SDK is large and deeply nested, and the flows would carry it
/// through every layer.
impl Ledger for DynamoLedger {
    async fn load_task(&self, id: &TaskId) -> Result<Option<TaskRecord>, PortError> {
        let item = self.get(&self.tables.tasks, &key::task(id)).await?;
        item.map(|item| read(&item, task::from_json)).transpose()
    }

    async fn commit(&self, change: Change<'_>) -> Result<Committed, PortError> {
        Box::pin(self.commit_change(change)).await
    }

    async fn load_instance(
        &self,
        cluster: &ClusterName,
        arn: &ContainerInstanceArn,
    ) -> Result<Option<InstanceRecord>, PortError> {
        let item = self
            .get(&self.tables.capacity, &key::instance(cluster, arn))
            .await?;
        item.map(|item| read(&item, instance::from_json)).transpose()
    }

    async fn load_instances(&self, cluster: &ClusterName) -> Result<Vec<InstanceView>, PortError> {
        Box::pin(self.load_views(cluster)).await
    }

    async fn store_attributes(
        &self,
        cluster: &ClusterName,
        instance: &ContainerInstanceArn,
        attributes: &AttributeSet,
    ) -> Result<(), PortError> {
        let item = item_of(
            &key::attributes(cluster, instance),
            &attribute_record::to_json(attributes),
        );
        self.put(&self.tables.capacity, item).await
    }

    async fn open_lane(&self, cluster: &ClusterName, lane: &LaneRecord) -> Result<(), PortError> {
        Box::pin(self.list_lane(cluster, lane)).await
    }

    async fn enqueue(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        task: &WaitingTask,
    ) -> Result<(), PortError> {
        Box::pin(self.put_entry(cluster, lane, task)).await
    }

    async fn dequeue(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        rank: &Rank,
        seen: Revision,
    ) -> Result<(), PortError> {
        Box::pin(self.delete_entry(cluster, lane, rank, seen)).await
    }

    async fn leads(&self, cluster: &ClusterName, lane: &LaneKey, rank: &Rank) -> Result<bool, PortError> {
        Box::pin(self.is_first(cluster, lane, rank)).await
    }

    async fn load_lanes(
        &self,
        cluster: &ClusterName,
        heads_max: usize,
    ) -> Result<Vec<StoredLane>, PortError> {
        Box::pin(self.load_lane_heads(cluster, heads_max)).await
    }

    async fn record_hold(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        reason: &HoldReason,
        now: Timestamp,
    ) -> Result<(), PortError> {
        Box::pin(self.write_hold(cluster, lane, reason, now)).await
    }

    async fn record_claims(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        claims: &[ContainerInstanceArn],
    ) -> Result<(), PortError> {
        Box::pin(self.write_claims(cluster, lane, claims)).await
    }

    async fn count_run_time(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
        bucket: RunTimeBucket,
    ) -> Result<(), PortError> {
        Box::pin(self.add_run_time(cluster, family, bucket)).await
    }

    async fn load_run_times_of(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
    ) -> Result<RunTimeCounts, PortError> {
        Box::pin(self.read_run_times_of(cluster, family)).await
    }

    async fn load_run_times(&self, cluster: &ClusterName) -> Result<RunTimes, PortError> {
        Box::pin(self.read_run_times(cluster)).await
    }

    async fn halve_run_times(
        &self,
        cluster: &ClusterName,
        family: &TaskFamily,
        seen: &RunTimeCounts,
    ) -> Result<(), PortError> {
        Box::pin(self.write_half(cluster, family, seen)).await
    }

    async fn retire_lane(&self, cluster: &ClusterName, lane: &LaneKey) -> Result<(), PortError> {
        Box::pin(self.unlist_lane(cluster, lane)).await
    }

    async fn appoint(&self, cluster: &ClusterName, appointment: &Appointment) -> Result<(), PortError> {
        Box::pin(self.note(cluster, appointment)).await
    }

    async fn dismiss(&self, cluster: &ClusterName, appointment: &Appointment) -> Result<(), PortError> {
        Box::pin(self.forget(cluster, appointment)).await
    }

    async fn load_appointments(
        &self,
        cluster: &ClusterName,
        due_by: Timestamp,
        most: usize,
    ) -> Result<Vec<Appointment>, PortError> {
        Box::pin(self.appointments_due(cluster, due_by, most)).await
    }

    async fn set_pause(&self, cluster: &ClusterName, order: &PauseOrder) -> Result<(), PortError> {
        Box::pin(self.write_pause(cluster, order)).await
    }

    async fn load_pause(&self, cluster: &ClusterName) -> Result<Option<Request>, PortError> {
        Box::pin(self.read_pause(cluster)).await
    }

    async fn bump(&self, cluster: &ClusterName) -> Result<Attention, PortError> {
        Box::pin(self.count_up(cluster)).await
    }

    async fn take_turn(
        &self,
        cluster: &ClusterName,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<TurnRequest, PortError> {
        Box::pin(self.lease(cluster, owner, now, until)).await
    }

    async fn begin_pass(&self, turn: &Turn) -> Result<Option<PassStart>, PortError> {
        Box::pin(self.look_again(turn)).await
    }

    async fn hand_back(&self, turn: &Turn) -> Result<(), PortError> {
        Box::pin(self.end_lease(turn)).await
    }

    async fn fall_asleep(
        &self,
        turn: &Turn,
        seen: Generation,
        waiting: WaitingList,
    ) -> Result<FallAsleep, PortError> {
        Box::pin(self.withdraw_attention(turn, seen, waiting)).await
    }

    async fn wake_state(&self, cluster: &ClusterName) -> Result<WakeState, PortError> {
        Box::pin(self.read_wake_state(cluster)).await
    }

    async fn load_damaged(&self, cluster: &ClusterName) -> Result<Vec<Damaged>, PortError> {
        Box::pin(self.find_damaged(cluster)).await
    }

    async fn load_damaged_task(&self, task: &TaskId) -> Result<Option<Damaged>, PortError> {
        Box::pin(self.find_damaged_task(task)).await
    }

    async fn replace_damaged(
        &self,
        cluster: &ClusterName,
        damaged: &Damaged,
        with: Replacement,
    ) -> Result<Replaced, PortError> {
        Box::pin(self.swap_damaged(cluster, damaged, with)).await
    }
}
