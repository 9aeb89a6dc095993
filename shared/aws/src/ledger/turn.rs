//! Generation, attention and the turn: one record for each cluster, so that a cycle begins with one write and ends
//! with one.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use berth_control::ports::{
    Attention, FallAsleep, PassStart, PauseOrder, PortError, Turn, TurnRequest, WaitingList, WakeState,
};
use berth_control::records::request;
use berth_scheduler::id::{ClusterName, Epoch, Generation};
use berth_scheduler::progress::Request;
use berth_scheduler::timestamp::Timestamp;

use super::item::{Item, attribute_of, counter, key_item, number, text, value_of};
use super::key::{self, Key};
use super::{DynamoLedger, SERVICE};
use crate::error::port_error;

/// The fields of a cluster's wake record.
const GENERATION: &str = "generation";
const AWAKE: &str = "awake";
/// Whether nobody waited when it fell asleep.
const IDLE: &str = "idle";
/// Since when and why nothing may be started, if so.
const PAUSE: &str = "pause";
/// Which command has paused or resumed the cluster.
const PAUSE_STAMP: &str = "pauseStamp";
/// The fields of its turn.
const EPOCH: &str = "epoch";
const OWNER: &str = "owner";
const UNTIL: &str = "until";

/// One UpdateItem call. Names that begin with `#` and values that begin with `:` stand for those given.
struct Update<'u> {
    key: Key,
    change: &'u str,
    condition: Option<&'u str>,
    names: &'u [(&'u str, &'u str)],
    values: Vec<(&'u str, AttributeValue)>,
}

/// What became of an update: the item as it is now.
enum Updated {
    /// It was changed.
    Changed(Item),
    /// Its condition did not hold.
    Refused(Item),
}

impl DynamoLedger {
    /// Counts up the generation and reads, in the same step, whether anybody is awake.
    pub(super) async fn count_up(&self, cluster: &ClusterName) -> Result<Attention, PortError> {
        let updated = self
            .update(Update {
                key: key::wake(cluster),
                change: "ADD #generation :one",
                condition: None,
                names: &[("#generation", GENERATION)],
                values: vec![(":one", number(1))],
            })
            .await?;
        Ok(attention_of(updated.item()))
    }

    /// Reads where the next pass begins, while the turn is ours.
    pub(super) async fn look_again(&self, turn: &Turn) -> Result<Option<PassStart>, PortError> {
        let wake = self.get(&self.tables.capacity, &key::wake(&turn.cluster)).await?;
        let wake = wake.unwrap_or_default();
        let is_ours = counter(&wake, EPOCH) == turn.epoch.get();
        is_ours.then(|| pass_start(&turn.cluster, &wake)).transpose()
    }

    /// Pauses or resumes a cluster, unless a later command has decided that already.
    pub(super) async fn write_pause(
        &self,
        cluster: &ClusterName,
        order: &PauseOrder,
    ) -> Result<(), PortError> {
        // ISO 8601 in UTC compares as text as the instants do.
        let stamp = format!("{}#{}", order.stamp.sent_at, order.stamp.message_id);
        let mut values = vec![(":stamp", AttributeValue::S(stamp))];
        let change = match &order.pause {
            Some(pause) => {
                values.push((":pause", attribute_of(&request::to_json(pause))));
                "SET #stamp = :stamp, #pause = :pause"
            }
            None => "SET #stamp = :stamp REMOVE #pause",
        };
        self.update(Update {
            key: key::wake(cluster),
            change,
            condition: Some("attribute_not_exists(#stamp) OR #stamp < :stamp"),
            names: &[("#stamp", PAUSE_STAMP), ("#pause", PAUSE)],
            values,
        })
        .await?;
        Ok(())
    }

    pub(super) async fn read_pause(&self, cluster: &ClusterName) -> Result<Option<Request>, PortError> {
        let key = key::wake(cluster);
        let wake = self.get(&self.tables.capacity, &key).await?;
        pause_of(&key, &wake.unwrap_or_default())
    }

    /// Ends the lease and withdraws attention, in one step.
    pub(super) async fn withdraw_attention(
        &self,
        turn: &Turn,
        seen: Generation,
        waiting: WaitingList,
    ) -> Result<FallAsleep, PortError> {
        // A generation that nobody has counted up yet is not stored, and was seen as 0.
        let condition = if seen == Generation::new(0) {
            "#epoch = :epoch AND attribute_exists(#owner) AND \
             (attribute_not_exists(#generation) OR #generation = :seen)"
        } else {
            "#epoch = :epoch AND attribute_exists(#owner) AND #generation = :seen"
        };
        let idle = waiting == WaitingList::Empty;
        let updated = self
            .update(Update {
                key: key::wake(&turn.cluster),
                change: "SET #awake = :no, #idle = :idle REMOVE #owner, #until",
                condition: Some(condition),
                names: &[
                    ("#awake", AWAKE),
                    ("#idle", IDLE),
                    ("#generation", GENERATION),
                    ("#owner", OWNER),
                    ("#until", UNTIL),
                    ("#epoch", EPOCH),
                ],
                values: vec![
                    (":no", AttributeValue::Bool(false)),
                    (":idle", AttributeValue::Bool(idle)),
                    (":seen", number(seen.get())),
                    (":epoch", number(turn.epoch.get())),
                ],
            })
            .await?;
        Ok(match updated {
            Updated::Changed(_) => FallAsleep::Asleep,
            Updated::Refused(item) if counter(&item, EPOCH) != turn.epoch.get() => FallAsleep::TurnLost,
            // An earlier try had succeeded, and its answer was lost.
            Updated::Refused(item) if !item.contains_key(OWNER) => FallAsleep::Asleep,
            Updated::Refused(_) => FallAsleep::Moved,
        })
    }

    /// Takes the turn and pays attention, in one step. A repetition of the call by the same owner takes it again under
    /// a newer epoch, so a lost answer does no harm.
    pub(super) async fn lease(
        &self,
        cluster: &ClusterName,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<TurnRequest, PortError> {
        let updated = self
            .update(Update {
                key: key::wake(cluster),
                change: "SET #owner = :owner, #until = :until, #awake = :yes ADD #epoch :one",
                // ISO 8601 in UTC compares as text as the instants do.
                condition: Some("attribute_not_exists(#until) OR #until <= :now OR #owner = :owner"),
                names: &[
                    ("#owner", OWNER),
                    ("#until", UNTIL),
                    ("#awake", AWAKE),
                    ("#epoch", EPOCH),
                ],
                values: vec![
                    (":yes", AttributeValue::Bool(true)),
                    (":owner", AttributeValue::S(owner.to_owned())),
                    (":until", AttributeValue::S(until.to_string())),
                    (":now", AttributeValue::S(now.to_string())),
                    (":one", number(1)),
                ],
            })
            .await?;
        Ok(match updated {
            Updated::Changed(item) => {
                let turn = Turn {
                    cluster: cluster.clone(),
                    epoch: Epoch::new(counter(&item, EPOCH)),
                    until,
                };
                TurnRequest::Taken(turn, pass_start(cluster, &item)?)
            }
            Updated::Refused(item) => TurnRequest::HeldUntil(until_of(&item).unwrap_or(now)),
        })
    }

    /// Ends the lease. The epoch stays: it only ever rises.
    pub(super) async fn end_lease(&self, turn: &Turn) -> Result<(), PortError> {
        self.update(Update {
            key: key::wake(&turn.cluster),
            change: "REMOVE #owner, #until",
            condition: Some("#epoch = :epoch"),
            names: &[("#owner", OWNER), ("#until", UNTIL), ("#epoch", EPOCH)],
            values: vec![(":epoch", number(turn.epoch.get()))],
        })
        .await?;
        Ok(())
    }

    pub(super) async fn read_wake_state(&self, cluster: &ClusterName) -> Result<WakeState, PortError> {
        let wake = self
            .get(&self.tables.capacity, &key::wake(cluster))
            .await?
            .unwrap_or_default();
        Ok(WakeState {
            attention: attention_of(&wake),
            turn_until: until_of(&wake),
        })
    }

    async fn update(&self, update: Update<'_>) -> Result<Updated, PortError> {
        let mut request = self
            .client
            .update_item()
            .table_name(&self.tables.capacity)
            .set_key(Some(key_item(&update.key)))
            .update_expression(update.change)
            .set_condition_expression(update.condition.map(str::to_owned))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for (placeholder, name) in update.names {
            request = request.expression_attribute_names(*placeholder, *name);
        }
        for (placeholder, value) in update.values {
            request = request.expression_attribute_values(placeholder, value);
        }
        match request.send().await {
            Ok(answer) => Ok(Updated::Changed(answer.attributes.unwrap_or_default())),
            Err(error) => match error.as_service_error() {
                Some(service) if service.is_conditional_check_failed_exception() => {
                    Ok(Updated::Refused(refused_item(service)))
                }
                _ => Err(port_error(SERVICE, "UpdateItem", &error)),
            },
        }
    }
}

impl Updated {
    fn item(&self) -> &Item {
        match self {
            Self::Changed(item) | Self::Refused(item) => item,
        }
    }
}

fn refused_item(error: &aws_sdk_dynamodb::operation::update_item::UpdateItemError) -> Item {
    use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
    match error {
        UpdateItemError::ConditionalCheckFailedException(failed) => {
            failed.item().cloned().unwrap_or_default()
        }
        _ => Item::new(),
    }
}

/// A pause that cannot be read keeps the cluster paused: nothing is started against somebody's will.
fn pause_of(key: &Key, item: &Item) -> Result<Option<Request>, PortError> {
    let read = |pause| {
        request::from_json(&value_of(pause)).map_err(|error| PortError::Unreadable {
            key: key.to_string(),
            reason: error.to_string(),
        })
    };
    item.get(PAUSE).map(read).transpose()
}

fn pass_start(cluster: &ClusterName, item: &Item) -> Result<PassStart, PortError> {
    Ok(PassStart {
        generation: Generation::new(counter(item, GENERATION)),
        pause: pause_of(&key::wake(cluster), item)?,
    })
}

fn attention_of(item: &Item) -> Attention {
    let is_set = |name| item.get(name) == Some(&AttributeValue::Bool(true));
    if is_set(AWAKE) {
        Attention::Awake
    } else if is_set(IDLE) {
        Attention::Idle
    } else {
        Attention::Asleep
    }
}

fn until_of(item: &Item) -> Option<Timestamp> {
    text(item, UNTIL).and_then(Timestamp::parse_iso8601)
}
