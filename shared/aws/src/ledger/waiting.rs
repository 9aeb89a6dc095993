//! Lanes and who waits in them.
//!
//! A task must never wait in a lane that is not listed, and an empty lane must leave the list one day. Told as
//! events: whoever enqueues does (1) put the entry, (2) look at the lane, (3) list it unless it is listed and
//! not closing. Whoever retires does (a) mark the lane as closing, with a mark of its own, (b) look for
//! entries, (c) remove the lane if it still carries that mark. If (b) misses the entry, then (b) came before
//! (1), so (2) sees the mark or no lane at all, and (3) takes the mark away or lists the lane again: before
//! (c), which then fails, or after it.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;
use berth_control::ports::{PortError, StoredLane};
use berth_control::records::form::RecordError;
use berth_control::records::{LaneRecord, hold, lane as lane_record, waiting as waiting_record};
use berth_scheduler::hold::HoldReason;
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, LaneKey, Revision};
use berth_scheduler::shape::Shape;
use berth_scheduler::timestamp::Timestamp;
use berth_scheduler::waiting::{Lane, LaneTail, Rank, WaitingTask};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::item::{Item, attribute_of, item_of, key_item, key_of, number, text, value_of};
use super::key;
use super::{DynamoLedger, SERVICE, Written, read, written};
use crate::error::port_error;

/// Which revision of its task's record an entry was put by.
const STAMP: &str = "stamp";
/// The mark of a lane that is being retired.
const CLOSING: &str = "closing";
/// Why the lane's tasks wait.
const HOLD: &str = "hold";
/// When that was recorded.
const HELD_AT: &str = "heldAt";
/// The instances that are set aside for its first tasks.
const CLAIMS: &str = "claims";

/// Lanes whose heads are read at the same time. A few hundred lanes are then a few dozen round trips.
const LANES_AT_ONCE: usize = 16;

/// Most shapes that a process remembers. Real workloads have a few hundred.
const SHAPES_MAX: usize = 10_000;

impl DynamoLedger {
    pub(super) async fn list_lane(&self, cluster: &ClusterName, lane: &LaneRecord) -> Result<(), PortError> {
        let key = key::lane(cluster, &lane.key);
        // A look is cheaper than a write, and many submissions of one shape would all write this one item.
        let stored = self.get(&self.tables.tasks, &key).await?;
        let is_in_order = |stored: Item| !stored.contains_key(CLOSING) && !is_damaged(&stored);
        if stored.is_some_and(is_in_order) {
            return Ok(());
        }
        let serde_json::Value::Object(fields) = lane_record::to_json(lane) else {
            return Ok(());
        };
        let mut request = self
            .client
            .update_item()
            .table_name(&self.tables.tasks)
            .set_key(Some(key_item(&key)));
        let mut settings = Vec::new();
        for (position, (name, value)) in fields.iter().enumerate() {
            settings.push(format!("#f{position} = :f{position}"));
            request = request
                .expression_attribute_names(format!("#f{position}"), name)
                .expression_attribute_values(format!(":f{position}"), attribute_of(value));
        }
        let request = request
            .update_expression(format!("SET {} REMOVE #closing", settings.join(", ")))
            .expression_attribute_names("#closing", CLOSING);
        let answer = request.send().await;
        answer
            .map(|_| ())
            .map_err(|error| port_error(SERVICE, "UpdateItem", &error))
    }

    /// Whether the first entry of a lane is at this place or behind it. One that cannot be read keeps nobody waiting.
    pub(super) async fn is_first(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        rank: &Rank,
    ) -> Result<bool, PortError> {
        let partition = key::waiting_in(cluster, lane);
        let (entries, _) = self.query(&self.tables.tasks, &partition, None, Some(1)).await?;
        let first = entries
            .first()
            .and_then(|entry| read(entry, waiting_record::from_json).ok());
        Ok(first.is_none_or(|first| first.rank >= *rank))
    }

    pub(super) async fn unlist_lane(&self, cluster: &ClusterName, lane: &LaneKey) -> Result<(), PortError> {
        let mark = AttributeValue::S(format!("{:016x}", RandomState::new().hash_one(lane.as_str())));
        let key = key_item(&key::lane(cluster, lane));
        let marked = self
            .client
            .update_item()
            .table_name(&self.tables.tasks)
            .set_key(Some(key.clone()))
            .update_expression("SET #closing = :mark")
            .condition_expression("attribute_exists(#pk)")
            .expression_attribute_names("#closing", CLOSING)
            .expression_attribute_names("#pk", key::PARTITION)
            .expression_attribute_values(":mark", mark.clone())
            .send()
            .await;
        if written("UpdateItem", marked)? == Written::ConditionFailed {
            return Ok(());
        }
        let (entries, _) = self
            .query(&self.tables.tasks, &key::waiting_in(cluster, lane), None, Some(1))
            .await?;
        if entries.is_empty() {
            self.remove_closing_lane(key, mark).await
        } else {
            self.keep_lane(key, mark).await
        }
    }

    async fn remove_closing_lane(&self, key: Item, mark: AttributeValue) -> Result<(), PortError> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.tables.tasks)
            .set_key(Some(key));
        let request = request
            .condition_expression("#closing = :mark")
            .expression_attribute_names("#closing", CLOSING)
            .expression_attribute_values(":mark", mark);
        written("DeleteItem", request.send().await).map(|_| ())
    }

    /// Takes the mark away again, unless somebody else has done so or set another one.
    async fn keep_lane(&self, key: Item, mark: AttributeValue) -> Result<(), PortError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.tables.tasks)
            .set_key(Some(key));
        let request = request
            .update_expression("REMOVE #closing")
            .condition_expression("#closing = :mark")
            .expression_attribute_names("#closing", CLOSING)
            .expression_attribute_values(":mark", mark);
        written("UpdateItem", request.send().await).map(|_| ())
    }

    pub(super) async fn put_entry(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        task: &WaitingTask,
    ) -> Result<(), PortError> {
        let key = key::waiting(cluster, lane, &task.rank);
        let request = self
            .client
            .put_item()
            .table_name(&self.tables.tasks)
            .set_item(Some(item_of(&key, &waiting_record::to_json(task))))
            .condition_expression("attribute_not_exists(#stamp) OR #stamp < :stamp")
            .expression_attribute_names("#stamp", STAMP)
            .expression_attribute_values(":stamp", number(task.stamp.get()));
        written("PutItem", request.send().await).map(|_| ())
    }

    pub(super) async fn delete_entry(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        rank: &Rank,
        seen: Revision,
    ) -> Result<(), PortError> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.tables.tasks)
            .set_key(Some(key_item(&key::waiting(cluster, lane, rank))))
            .condition_expression("attribute_not_exists(#stamp) OR #stamp <= :seen")
            .expression_attribute_names("#stamp", STAMP)
            .expression_attribute_values(":seen", number(seen.get()));
        written("DeleteItem", request.send().await).map(|_| ())
    }

    pub(super) async fn write_hold(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        reason: &HoldReason,
        now: Timestamp,
    ) -> Result<(), PortError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.tables.tasks)
            .set_key(Some(key_item(&key::lane(cluster, lane))))
            .update_expression("SET #hold = :hold, #heldAt = :now")
            .condition_expression("attribute_exists(#pk)")
            .expression_attribute_names("#hold", HOLD)
            .expression_attribute_names("#heldAt", HELD_AT)
            .expression_attribute_names("#pk", key::PARTITION)
            .expression_attribute_values(":hold", attribute_of(&hold::to_json(reason)))
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()));
        written("UpdateItem", request.send().await).map(|_| ())
    }

    pub(super) async fn write_claims(
        &self,
        cluster: &ClusterName,
        lane: &LaneKey,
        claims: &[ContainerInstanceArn],
    ) -> Result<(), PortError> {
        let request = self
            .client
            .update_item()
            .table_name(&self.tables.tasks)
            .set_key(Some(key_item(&key::lane(cluster, lane))))
            .condition_expression("attribute_exists(#pk)")
            .expression_attribute_names("#claims", CLAIMS)
            .expression_attribute_names("#pk", key::PARTITION);
        let request = if claims.is_empty() {
            request.update_expression("REMOVE #claims")
        } else {
            request
                .update_expression("SET #claims = :claims")
                .expression_attribute_values(":claims", attribute_of(&lane_record::claims_to_json(claims)))
        };
        written("UpdateItem", request.send().await).map(|_| ())
    }

    pub(super) async fn load_lane_heads(
        &self,
        cluster: &ClusterName,
        heads_max: usize,
    ) -> Result<Vec<StoredLane>, PortError> {
        let items = self.query_all(&self.tables.tasks, &key::lanes(cluster)).await?;
        let lanes = stream::iter(items).map(|item| self.load_lane(cluster, item, heads_max));
        let lanes: Vec<Option<StoredLane>> = lanes.buffered(LANES_AT_ONCE).try_collect().await?;
        Ok(lanes.into_iter().flatten().collect())
    }

    async fn load_lane(
        &self,
        cluster: &ClusterName,
        item: Item,
        heads_max: usize,
    ) -> Result<Option<StoredLane>, PortError> {
        let (lane, shape) = match self.shape_of(&item) {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(%error, "a lane is left out");
                return Ok(None);
            }
        };
        let partition = key::waiting_in(cluster, &lane);
        // One more than asked for tells whether there are more.
        let limit = i32::try_from(heads_max.saturating_add(1)).unwrap_or(i32::MAX);
        let mut heads = Vec::new();
        let mut from = None;
        let mut tail = LaneTail::Empty;
        loop {
            let (page, next) = self
                .query(&self.tables.tasks, &partition, from, Some(limit))
                .await?;
            for entry in &page {
                match read(entry, waiting_record::from_json) {
                    Ok(head) => heads.push(head),
                    Err(error) => tracing::warn!(%error, "an entry of a lane is left out"),
                }
            }
            if heads.len() > heads_max {
                heads.truncate(heads_max);
                tail = LaneTail::MoreWaiting;
                break;
            }
            match next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        Ok(Some(StoredLane {
            lane: Lane {
                key: lane,
                shape,
                heads,
                tail,
                claims: claims_of(&item),
            },
            hold: hold_of(&item),
        }))
    }

    /// A lane's key and shape. The key is worked out from the shape, so a shape that was read once under its
    /// key is not parsed again: expressions are the dear part.
    fn shape_of(&self, item: &Item) -> Result<(LaneKey, Arc<Shape>), PortError> {
        let known = text(item, key::SORT).and_then(|lane| LaneKey::parse(lane).ok());
        if let Some(lane) = known {
            let shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(shape) = shapes.get(&lane) {
                return Ok((lane, Arc::clone(shape)));
            }
        }
        let record: LaneRecord = read(item, lane_record::from_json)?;
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        if shapes.len() >= SHAPES_MAX {
            shapes.clear();
        }
        shapes.insert(record.key.clone(), Arc::clone(&record.shape));
        Ok((record.key, record.shape))
    }
}

/// Whether a lane must be written anew. One of a newer release is not damaged.
fn is_damaged(item: &Item) -> bool {
    let read = lane_record::from_json(&super::item::record_of(item));
    read.is_err_and(|error| !matches!(error, RecordError::NewerSchema { .. }))
}

fn claims_of(item: &Item) -> Vec<ContainerInstanceArn> {
    let claims = item.get(CLAIMS);
    claims.map_or_else(Vec::new, |claims| {
        lane_record::claims_from_json(&value_of(claims))
    })
}

/// Why a lane waits, as far as it can be read: it is told to people and decides nothing, so one that cannot be
/// read is written anew and keeps nobody waiting.
fn hold_of(item: &Item) -> Option<(HoldReason, Timestamp)> {
    let reason = match hold::from_json(&value_of(item.get(HOLD)?)) {
        Ok(reason) => reason,
        Err(error) => {
            tracing::warn!(key = key_of(item), %error, "a hold reason cannot be read");
            return None;
        }
    };
    Some((reason, Timestamp::parse_iso8601(text(item, HELD_AT)?)?))
}
