//! The flow of admitter: a batch of SQS messages is stored first, whole; then each cluster it concerns gets
//! an admission cycle.
//!
//! One malformed body must not reject its batch: what Berth refuses goes to the refusals queue at once, and
//! only what it could not handle now comes again.

use std::collections::BTreeMap;

use berth_scheduler::id::ClusterName;
use berth_scheduler::timestamp::Timestamp;
use futures_util::future::join_all;

use crate::cycle::{CycleEnd, run_cycle};
use crate::ports::{Clock, Inspector, Launcher, Ledger, Messenger, PortError, Ports};
use crate::settings::Settings;
use crate::submit::{Submitted, submit};
use crate::wire::refusal::Refusal;
use crate::wire::submission::{Message, decode_message};

/// When the lease of a cycle that failed is surely over, in seconds: [`TURN_LEASE_MS`] and room for the
/// difference between two clocks.
///
/// [`TURN_LEASE_MS`]: crate::cycle::TURN_LEASE_MS
const AFTER_LEASE_SECONDS: u16 = 65;

/// One SQS message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundMessage {
    /// SQS's id of the message.
    pub message_id: String,
    /// The body as sent.
    pub body: String,
    /// When it was first sent, on SQS's clock.
    pub sent_at: Timestamp,
}

/// What one invocation works with.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// What the deployment allows.
    pub settings: &'a Settings,
    /// Names this invocation, for the turn.
    pub owner: &'a str,
    /// When it must have ended.
    pub deadline: Timestamp,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct BatchReport {
    /// Messages that must come again, each with its error.
    pub failed: Vec<(String, PortError)>,
    /// Submissions accepted.
    pub accepted: u32,
    /// Submissions that were known already.
    pub repeated: u32,
    /// Messages refused.
    pub refused: u32,
    /// The cycles that were run.
    pub cycles: Vec<(ClusterName, CycleEnd)>,
    /// Cycles that failed. What they were to admit is stored; a wake message or the reconciler goes on.
    pub failed_cycles: Vec<(ClusterName, PortError)>,
}

/// What a stored message asks for.
enum TakenIn {
    Accepted(ClusterName),
    Repeated(ClusterName),
    Wake(ClusterName),
    Refused,
}

/// Takes in a batch and runs a cycle on each cluster it concerns.
pub async fn take_in<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    invocation: Invocation<'_>,
    messages: &[InboundMessage],
) -> BatchReport {
    let mut report = BatchReport::default();
    let taken = join_all(
        messages
            .iter()
            .map(|message| take_in_one(ports, invocation.settings, message)),
    )
    .await;
    // The clusters to look at, each with the wake messages that asked for it: those are done only when a
    // cycle has looked.
    let mut clusters: BTreeMap<ClusterName, Vec<String>> = BTreeMap::new();
    for (message, taken) in messages.iter().zip(taken) {
        let counted = match &taken {
            Ok(TakenIn::Accepted(_)) => &mut report.accepted,
            Ok(TakenIn::Repeated(_)) => &mut report.repeated,
            Ok(TakenIn::Refused) => &mut report.refused,
            Ok(TakenIn::Wake(_)) | Err(_) => &mut 0,
        };
        *counted = counted.saturating_add(1);
        match taken {
            Ok(TakenIn::Accepted(cluster) | TakenIn::Repeated(cluster)) => {
                clusters.entry(cluster).or_default();
            }
            Ok(TakenIn::Wake(cluster)) => {
                clusters
                    .entry(cluster)
                    .or_default()
                    .push(message.message_id.clone());
            }
            Ok(TakenIn::Refused) => {}
            Err(error) => report.failed.push((message.message_id.clone(), error)),
        }
    }
    for (cluster, wakes) in clusters {
        let policy = invocation.settings.policies.of(&cluster);
        match run_cycle(ports, &cluster, policy, invocation.owner, invocation.deadline).await {
            Ok(end) => report.cycles.push((cluster, end)),
            Err(error) => {
                // The submissions are stored, so they are done. A wake message comes again by itself; where
                // there was none, one is sent for now, and one for when the lease is over: the turn may be
                // taken although its answer was lost, and a wake message that finds it taken is used up. If
                // that fails too, the reconciler wakes the cluster.
                report
                    .failed
                    .extend(wakes.iter().map(|wake| (wake.clone(), error.clone())));
                report.failed_cycles.push((cluster.clone(), error));
                for delay_seconds in [0, AFTER_LEASE_SECONDS] {
                    if wakes.is_empty()
                        && let Err(error) = ports.messenger.wake(&cluster, delay_seconds).await
                    {
                        report.failed_cycles.push((cluster.clone(), error));
                    }
                }
            }
        }
    }
    report
}

async fn take_in_one<L: Ledger, E: Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    settings: &Settings,
    message: &InboundMessage,
) -> Result<TakenIn, PortError> {
    let submission = match decode_message(&message.body, &message.message_id, settings) {
        Ok(Message::Submission(submission)) => submission,
        Ok(Message::Wake(cluster)) => return Ok(TakenIn::Wake(cluster)),
        Err(refusal) => return refuse(ports, message, &refusal).await,
    };
    let cluster = submission.cluster.clone();
    match submit(
        ports.ledger,
        ports.ecs,
        &submission,
        message.sent_at,
        settings.aging,
    )
    .await?
    {
        Submitted::Refused(refusal) => refuse(ports, message, &refusal).await,
        accepted_or_known => {
            // Counted before the cycle: if another cycle has the turn, it looks again.
            ports.ledger.bump(&cluster).await?;
            Ok(match accepted_or_known {
                Submitted::Accepted => TakenIn::Accepted(cluster),
                _known => TakenIn::Repeated(cluster),
            })
        }
    }
}

async fn refuse<L, E, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    message: &InboundMessage,
    refusal: &Refusal,
) -> Result<TakenIn, PortError> {
    let text = refusal.to_message(&message.message_id, &message.body, ports.clock.now());
    ports.messenger.refuse(&text).await?;
    Ok(TakenIn::Refused)
}
