//! Records that cannot be read: finding them, and putting others in their place.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use berth_control::damage::{Damaged, RecordName, Replaced, Replacement};
use berth_control::ports::{Clock, PortError};
use berth_control::records::form::RecordError;
use berth_control::records::{
    attributes as attribute_record, instance, lane as lane_record, task, waiting as waiting_record,
};
use berth_scheduler::id::{ClusterName, LaneKey, TaskId};
use berth_scheduler::timestamp::Timestamp;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::commit::{REVISION, unbuildable};
use super::item::{EXPIRES_AT, Item, attribute_of, item_of, key_item, number, record_of, text};
use super::key::{self, Key};
use super::{DynamoLedger, SERVICE};
use crate::clock::SystemClock;
use crate::error::port_error;

/// First entries of a lane that are looked at: those that a cycle reads, and as many of a damaged lane are told.
const ENTRIES_MAX: i32 = 25;

/// Lanes whose entries are read at the same time.
const LANES_AT_ONCE: usize = 16;

/// How long a copy of a damaged record is kept, in milliseconds: as long as the record of a finished task.
const COPY_KEPT_MS: u64 = 16 * 86_400_000;

impl DynamoLedger {
    pub(super) async fn find_damaged(&self, cluster: &ClusterName) -> Result<Vec<Damaged>, PortError> {
        let mut found = self.find_damaged_instances(cluster).await?;
        let lanes = self.query_all(&self.tables.tasks, &key::lanes(cluster)).await?;
        let looks = stream::iter(lanes).map(|lane| self.find_damaged_in_lane(cluster, lane));
        let in_lanes: Vec<Vec<Damaged>> = looks.buffered(LANES_AT_ONCE).try_collect().await?;
        found.extend(in_lanes.into_iter().flatten());
        Ok(found)
    }

    async fn find_damaged_instances(&self, cluster: &ClusterName) -> Result<Vec<Damaged>, PortError> {
        let partition = key::instances(cluster);
        let mut found = Vec::new();
        let mut records = Vec::new();
        for item in self.query_all(&self.tables.capacity, &partition).await? {
            let id = text(&item, key::SORT).and_then(|sort| sort.strip_prefix(key::INSTANCE_PREFIX));
            let content = record_of(&item);
            match (instance::from_json(&content), id) {
                (Ok(record), _) => records.push(record),
                (Err(error), Some(id)) => {
                    found.push(damaged(RecordName::Instance(id.to_owned()), error, content));
                }
                (Err(_), None) => {}
            }
        }
        // What is in order is in memory already.
        for (arn, error, content) in self.read_unknown_attributes(cluster, &records).await? {
            found.push(damaged(
                RecordName::Attributes(arn.id().to_owned()),
                error,
                content,
            ));
        }
        Ok(found)
    }

    /// The lane itself if it is damaged, and those of its first entries that are.
    async fn find_damaged_in_lane(
        &self,
        cluster: &ClusterName,
        item: Item,
    ) -> Result<Vec<Damaged>, PortError> {
        let Some(lane) = text(&item, key::SORT).and_then(|lane| LaneKey::parse(lane).ok()) else {
            return Ok(Vec::new());
        };
        let partition = key::waiting_in(cluster, &lane);
        let (entries, _) = self
            .query(&self.tables.tasks, &partition, None, Some(ENTRIES_MAX))
            .await?;
        let mut waiting = Vec::new();
        let mut found = Vec::new();
        for entry in entries {
            let content = record_of(&entry);
            waiting.extend(text(&entry, key::SORT).and_then(waiting_record::task_of_sort_key));
            match (waiting_record::from_json(&content), text(&entry, key::SORT)) {
                (Err(error), Some(place)) => {
                    let (lane, place) = (lane.clone(), place.to_owned());
                    found.push(damaged(RecordName::Waiting { lane, place }, error, content));
                }
                (Ok(_), _) | (Err(_), None) => {}
            }
        }
        let content = record_of(&item);
        if let Err(error) = lane_record::from_json(&content) {
            found.push(Damaged {
                waiting,
                ..damaged(RecordName::Lane(lane), error, content)
            });
        }
        Ok(found)
    }

    pub(super) async fn find_damaged_task(&self, id: &TaskId) -> Result<Option<Damaged>, PortError> {
        let item = self.get(&self.tables.tasks, &key::task(id)).await?;
        let content = item.as_ref().map(record_of);
        Ok(content.and_then(|content| {
            let error = task::from_json(&content).err()?;
            Some(damaged(RecordName::Task(id.clone()), error, content))
        }))
    }

    /// Copy and replacement are one transaction. Whoever writes the record meanwhile, by a revision that it had before
    /// it was damaged, makes the transaction fail.
    pub(super) async fn swap_damaged(
        &self,
        cluster: &ClusterName,
        of: &Damaged,
        with: Replacement,
    ) -> Result<Replaced, PortError> {
        let table = match &of.name {
            RecordName::Instance(_) | RecordName::Attributes(_) => &self.tables.capacity,
            RecordName::Task(_) | RecordName::Lane(_) | RecordName::Waiting { .. } => &self.tables.tasks,
        };
        let key = key_of(cluster, &of.name);
        let revision = of.content.get(REVISION).and_then(Value::as_u64);
        let condition = match revision {
            Some(_) => "#revision = :revision",
            None => "attribute_not_exists(#revision)",
        };
        let revision = revision.map(number);
        let now = SystemClock.now();
        let copy = Put::builder()
            .table_name(table)
            .set_item(Some(copy_of(cluster, &key, of, now)))
            .build();
        let copy = TransactWriteItem::builder().put(copy.map_err(|error| unbuildable(&error))?);
        let change = match record_of_replacement(with) {
            Some(record) => {
                let mut put = Put::builder()
                    .table_name(table)
                    .set_item(Some(item_of(&key, &record)))
                    .condition_expression(condition)
                    .expression_attribute_names("#revision", REVISION);
                if let Some(revision) = revision {
                    put = put.expression_attribute_values(":revision", revision);
                }
                TransactWriteItem::builder().put(put.build().map_err(|error| unbuildable(&error))?)
            }
            None => {
                let mut delete = Delete::builder()
                    .table_name(table)
                    .set_key(Some(key_item(&key)))
                    .condition_expression(condition)
                    .expression_attribute_names("#revision", REVISION);
                if let Some(revision) = revision {
                    delete = delete.expression_attribute_values(":revision", revision);
                }
                TransactWriteItem::builder().delete(delete.build().map_err(|error| unbuildable(&error))?)
            }
        };
        let request = self.client.transact_write_items();
        let request = request
            .transact_items(copy.build())
            .transact_items(change.build());
        let error = match Box::pin(request.send()).await {
            Ok(_) => return Ok(Replaced::Done),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(service) if service.is_transaction_canceled_exception() => Ok(Replaced::Moved),
            _ => Err(port_error(SERVICE, "TransactWriteItems", &error)),
        }
    }
}

fn damaged(name: RecordName, error: RecordError, content: Value) -> Damaged {
    Damaged {
        name,
        error,
        content,
        waiting: Vec::new(),
    }
}

fn key_of(cluster: &ClusterName, name: &RecordName) -> Key {
    match name {
        RecordName::Task(task) => key::task(task),
        RecordName::Instance(id) => key::instance_with_id(cluster, id),
        RecordName::Attributes(id) => key::attributes_with_id(cluster, id),
        RecordName::Lane(lane) => key::lane(cluster, lane),
        RecordName::Waiting { lane, place } => key::waiting_at(cluster, lane, place),
    }
}

/// The stored form of a replacement; `None` when nothing takes the record's place.
fn record_of_replacement(with: Replacement) -> Option<Value> {
    match with {
        Replacement::Instance(record) => Some(instance::to_json(&record)),
        Replacement::Attributes(attributes) => Some(attribute_record::to_json(&attributes)),
        Replacement::Lane(lane) => Some(lane_record::to_json(&lane)),
        Replacement::Waiting(entry) => Some(waiting_record::to_json(&entry)),
        Replacement::Nothing => None,
    }
}

/// The copy that is kept: what was stored, in one attribute, with the reason.
fn copy_of(cluster: &ClusterName, key: &Key, of: &Damaged, now: Timestamp) -> Item {
    let mut item = key_item(&key::damaged(cluster, key, now));
    let expires_at = now
        .saturating_add_millis(COPY_KEPT_MS)
        .as_millis()
        .div_euclid(1_000);
    item.insert("reason".to_owned(), AttributeValue::S(of.error.to_string()));
    item.insert("content".to_owned(), attribute_of(&of.content));
    item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string()));
    item
}
