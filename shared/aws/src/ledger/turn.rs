//! Generation, attention and the turn.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use berth_control::ports::{
    Attention, FallAsleep, PassStart, PauseOrder, PortError, Turn, TurnRequest, WakeState,
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
/// Since when and why nothing may be started, if so.
const PAUSE: &str = "pause";
/// Which command has paused or resumed the cluster.
const PAUSE_STAMP: &str = "pauseStamp";
/// The fields of a cluster's turn.
pub(super) const EPOCH: &str = "epoch";
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

    pub(super) async fn awaken(&self, cluster: &ClusterName) -> Result<PassStart, PortError> {
        let updated = self
            .update(Update {
                key: key::wake(cluster),
                change: "SET #awake = :yes",
                condition: None,
                names: &[("#awake", AWAKE)],
                values: vec![(":yes", AttributeValue::Bool(true))],
            })
            .await?;
        Ok(PassStart {
            generation: Generation::new(counter(updated.item(), GENERATION)),
            pause: pause_of(&key::wake(cluster), updated.item())?,
        })
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

    pub(super) async fn withdraw_attention(
        &self,
        cluster: &ClusterName,
        seen: Generation,
    ) -> Result<FallAsleep, PortError> {
        // A generation that nobody has counted up yet is not stored, and was seen as 0.
        let condition = if seen == Generation::new(0) {
            "attribute_not_exists(#generation) OR #generation = :seen"
        } else {
            "#generation = :seen"
        };
        let updated = self
            .update(Update {
                key: key::wake(cluster),
                change: "SET #awake = :no",
                condition: Some(condition),
                names: &[("#awake", AWAKE), ("#generation", GENERATION)],
                values: vec![
                    (":no", AttributeValue::Bool(false)),
                    (":seen", number(seen.get())),
                ],
            })
            .await?;
        Ok(match updated {
            Updated::Changed(_) => FallAsleep::Asleep,
            Updated::Refused(_) => FallAsleep::Moved,
        })
    }

    /// Takes the turn. A repetition of the call by the same owner takes it again under a newer epoch, so a
    /// lost answer does no harm.
    pub(super) async fn lease(
        &self,
        cluster: &ClusterName,
        owner: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<TurnRequest, PortError> {
        let updated = self
            .update(Update {
                key: key::turn(cluster),
                change: "SET #owner = :owner, #until = :until ADD #epoch :one",
                // ISO 8601 in UTC compares as text as the instants do.
                condition: Some("attribute_not_exists(#until) OR #until <= :now OR #owner = :owner"),
                names: &[("#owner", OWNER), ("#until", UNTIL), ("#epoch", EPOCH)],
                values: vec![
                    (":owner", AttributeValue::S(owner.to_owned())),
                    (":until", AttributeValue::S(until.to_string())),
                    (":now", AttributeValue::S(now.to_string())),
                    (":one", number(1)),
                ],
            })
            .await?;
        Ok(match updated {
            Updated::Changed(item) => {
                let epoch = Epoch::new(counter(&item, EPOCH));
                TurnRequest::Taken(Turn {
                    cluster: cluster.clone(),
                    epoch,
                    until,
                })
            }
            Updated::Refused(item) => TurnRequest::HeldUntil(until_of(&item).unwrap_or(now)),
        })
    }

    /// Ends the lease. The epoch stays: it only ever rises.
    pub(super) async fn end_lease(&self, turn: &Turn) -> Result<(), PortError> {
        self.update(Update {
            key: key::turn(&turn.cluster),
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
        let turn = self
            .get(&self.tables.capacity, &key::turn(cluster))
            .await?
            .unwrap_or_default();
        Ok(WakeState {
            attention: attention_of(&wake),
            turn_until: until_of(&turn),
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

fn attention_of(item: &Item) -> Attention {
    match item.get(AWAKE) {
        Some(AttributeValue::Bool(true)) => Attention::Awake,
        _ => Attention::Asleep,
    }
}

fn until_of(item: &Item) -> Option<Timestamp> {
    text(item, UNTIL).and_then(Timestamp::parse_iso8601)
}
