//! Writing records together or not at all.
//!
//! One record alone is a plain conditional PutItem, at half the price of a transaction.
//!
//! A condition also fails when an earlier try of the same write had succeeded and its answer was lost. So a
//! record that is stored exactly as it was to be written counts as written.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use berth_control::ports::{Change, Clock, Committed, PortError};
use berth_control::records::{TaskRecord, instance, task};
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, Revision};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::report::InstanceStatus;
use berth_scheduler::timestamp::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::item::{EXPIRES_AT, Item, item_of, key_item, number, record_of};
use super::{DynamoLedger, SERVICE, Tables, key};
use crate::clock::SystemClock;
use crate::error::{is_throttling, port_error};

/// How often a write is tried when another one on the same items is under way at that very moment.
const TRIES_MAX: u32 = 5;

/// The first pause between two tries, in milliseconds; each later one is twice as long, and each is cut by a
/// random part so that two writers do not meet again.
const PAUSE_MS: u64 = 20;

/// How long the record of an instance that is gone is kept: as long as EventBridge tries to deliver an event,
/// so that a late one does not bring the instance back, in seconds.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html>
const TOMBSTONE_KEPT_SECONDS: i64 = 86_400;

/// The revision that every write checks and raises.
pub(super) const REVISION: &str = "revision";

/// One record to be written.
#[derive(Clone, Debug)]
struct Part {
    table: String,
    item: Item,
    record: Value,
    /// The stored revision that this one follows; `None` when nothing may be stored yet.
    follows: Option<u64>,
    /// What it means when something else is stored.
    moved: Committed,
}

/// What became of one try.
enum Try {
    /// All is written.
    Written,
    /// Another write on the same items was under way.
    Conflict,
    /// Nothing is written, because of what each part met.
    Refused(Vec<Met>),
}

/// What one part of a refused write met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    /// The revision that it follows.
    Expected,
    /// Itself: an earlier try had succeeded.
    Itself,
    /// Something else.
    Other,
}

impl DynamoLedger {
    pub(super) async fn commit_change(&self, change: Change<'_>) -> Result<Committed, PortError> {
        let now = SystemClock.now();
        let mut parts: Vec<Part> = Vec::new();
        parts.extend(change.task.map(|task| task_part(&self.tables, task, now)));
        parts.extend(
            change
                .instance
                .map(|(cluster, record)| instance_part(&self.tables.capacity, cluster, record, now)),
        );
        for number in 1..=TRIES_MAX {
            let answer = match parts.as_slice() {
                [] => Try::Written,
                [part] => self.put_part(part).await?,
                parts => self.transact(parts).await?,
            };
            match answer {
                Try::Written => {
                    if let Some((cluster, record)) = change.instance.filter(|(_, record)| is_over(record)) {
                        self.expire_attributes(cluster, record.arn(), now).await;
                    }
                    return Ok(Committed::Done);
                }
                Try::Conflict => pause(number).await,
                Try::Refused(met) => {
                    // Whoever reads the record again and writes it must not meet the same other writers at
                    // the same moment.
                    pause(1).await;
                    return verdict(&parts, &met).ok_or_else(|| PortError::Failed {
                        operation: "commit",
                        message: "the transaction was cancelled without a reason".to_owned(),
                    });
                }
            }
        }
        Err(PortError::Failed {
            operation: "commit",
            message: format!("another write was under way in each of {TRIES_MAX} tries"),
        })
    }

    /// The attributes of an instance that is gone go with its record. If this fails they stay, which costs next to
    /// nothing and misleads nobody.
    async fn expire_attributes(&self, cluster: &ClusterName, arn: &ContainerInstanceArn, now: Timestamp) {
        let expires_at = seconds(now).saturating_add(TOMBSTONE_KEPT_SECONDS);
        let request = self
            .client
            .update_item()
            .table_name(&self.tables.capacity)
            .set_key(Some(key_item(&key::attributes(cluster, arn))))
            .update_expression("SET #expiresAt = :at")
            .condition_expression("attribute_exists(#pk)")
            .expression_attribute_names("#expiresAt", EXPIRES_AT)
            .expression_attribute_names("#pk", key::PARTITION)
            .expression_attribute_values(":at", AttributeValue::N(expires_at.to_string()));
        let _stays = Box::pin(request.send()).await;
    }

    async fn put_part(&self, part: &Part) -> Result<Try, PortError> {
        let mut request = self
            .client
            .put_item()
            .table_name(&part.table)
            .set_item(Some(part.item.clone()))
            .condition_expression(condition_of(part))
            .expression_attribute_names("#checked", checked_name(part))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if let Some(revision) = part.follows {
            request = request.expression_attribute_values(":follows", number(revision));
        }
        let error = match request.send().await {
            Ok(_) => return Ok(Try::Written),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Try::Refused(vec![met(part, failed.item())]))
            }
            Some(PutItemError::TransactionConflictException(_)) => Ok(Try::Conflict),
            _ => Err(port_error(SERVICE, "PutItem", &error)),
        }
    }

    async fn transact(&self, parts: &[Part]) -> Result<Try, PortError> {
        let mut writes = Vec::new();
        for part in parts {
            writes.push(TransactWriteItem::builder().put(put_of(part)?).build());
        }
        let request = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes));
        let answer = request.client_request_token(token_of(parts)).send().await;
        let error = match answer {
            Ok(_) => return Ok(Try::Written),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                read_reasons(parts, canceled.cancellation_reasons())
            }
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => Ok(Try::Conflict),
            Some(other) if other.code() == Some("TransactionConflictException") => Ok(Try::Conflict),
            _ => Err(port_error(SERVICE, "TransactWriteItems", &error)),
        }
    }
}

fn task_part(tables: &Tables, record: &TaskRecord, now: Timestamp) -> Part {
    let (table, kept) = (&tables.tasks, tables.final_tasks_kept);
    let json = task::to_json(record);
    let expires_at = record
        .progress
        .is_final()
        .then(|| seconds(now).saturating_add(i64::from(kept.get())));
    part(
        table,
        &key::task(&record.id),
        json,
        record.revision,
        expires_at,
        Committed::TaskMoved,
    )
}

/// Whether a record may go: what is still reserved on an instance that is gone must be resolved before.
fn is_over(record: &InstanceRecord) -> bool {
    let state = record.state();
    state.status == InstanceStatus::Inactive && state.reservations.is_empty()
}

fn instance_part(table: &str, cluster: &ClusterName, record: &InstanceRecord, now: Timestamp) -> Part {
    let state = record.state();
    let expires_at = is_over(record).then(|| seconds(now).saturating_add(TOMBSTONE_KEPT_SECONDS));
    let key = key::instance(cluster, record.arn());
    part(
        table,
        &key,
        instance::to_json(record),
        state.revision,
        expires_at,
        Committed::InstanceMoved,
    )
}

fn part(
    table: &str,
    key: &key::Key,
    record: Value,
    revision: Revision,
    expires_at: Option<i64>,
    moved: Committed,
) -> Part {
    let mut item = item_of(key, &record);
    if let Some(expires_at) = expires_at {
        item.insert(EXPIRES_AT.to_owned(), AttributeValue::N(expires_at.to_string()));
    }
    let follows = revision.get().checked_sub(1).filter(|revision| *revision > 0);
    Part {
        table: table.to_owned(),
        item,
        record,
        follows,
        moved,
    }
}

fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1_000)
}

fn condition_of(part: &Part) -> &'static str {
    match part.follows {
        Some(_) => "#checked = :follows",
        None => "attribute_not_exists(#checked)",
    }
}

fn checked_name(part: &Part) -> &'static str {
    match part.follows {
        Some(_) => REVISION,
        None => key::PARTITION,
    }
}

fn put_of(part: &Part) -> Result<Put, PortError> {
    let mut put = Put::builder()
        .table_name(&part.table)
        .set_item(Some(part.item.clone()))
        .condition_expression(condition_of(part))
        .expression_attribute_names("#checked", checked_name(part))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    if let Some(revision) = part.follows {
        put = put.expression_attribute_values(":follows", number(revision));
    }
    put.build().map_err(|error| unbuildable(&error))
}

pub(super) fn unbuildable(error: &aws_sdk_dynamodb::error::BuildError) -> PortError {
    PortError::Failed {
        operation: "TransactWriteItems",
        message: error.to_string(),
    }
}

/// What a part met: itself, when what is stored is what it writes.
fn met(part: &Part, stored: Option<&Item>) -> Met {
    match stored {
        Some(stored) if record_of(stored) == part.record => Met::Itself,
        _ => Met::Other,
    }
}

/// Reads why a transaction was cancelled: one reason for each part in its order.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
fn read_reasons(parts: &[Part], reasons: &[CancellationReason]) -> Result<Try, PortError> {
    let codes = || {
        reasons
            .iter()
            .filter_map(CancellationReason::code)
            .filter(|code| *code != "None")
    };
    if codes().any(|code| code == "TransactionConflict") {
        return Ok(Try::Conflict);
    }
    if codes().any(|code| is_throttling(Some(code), None) || code == "ThrottlingError") {
        return Err(PortError::Throttled { service: SERVICE });
    }
    if let Some(other) = codes().find(|code| *code != "ConditionalCheckFailed") {
        return Err(PortError::Failed {
            operation: "TransactWriteItems",
            message: other.to_owned(),
        });
    }
    let failed = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
    let met = parts
        .iter()
        .zip(reasons)
        .map(|(part, reason)| match failed(reason) {
            true => met(part, reason.item()),
            false => Met::Expected,
        });
    Ok(Try::Refused(met.collect()))
}

/// What follows from a refused write; `None` when nothing explains it. The task counts before the instance, as its part comes first.
fn verdict(parts: &[Part], met: &[Met]) -> Option<Committed> {
    if !met.is_empty() && met.iter().all(|met| *met == Met::Itself) {
        return Some(Committed::Done);
    }
    let moved = parts.iter().zip(met).find(|(_, met)| **met != Met::Expected);
    moved.map(|(part, _)| part.moved)
}

/// A token that belongs to the content, so that the repetition of a call whose answer was lost is recognised
/// for ten minutes. At most 36 characters.
fn token_of(parts: &[Part]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.table.as_bytes());
        // An expiry differs from call to call, and the same token must mean the same request.
        let expires_at = part.item.get(EXPIRES_AT);
        hash.update(format!("{} {:?} {expires_at:?}\n", part.record, part.follows).as_bytes());
    }
    let digest = hash.finalize();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

async fn pause(number: u32) {
    let longest = PAUSE_MS << number.min(8);
    let random = RandomState::new().hash_one(number);
    let millis = random.checked_rem(longest).unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[cfg(test)]
mod tests;
