//! The flow of admitter: a batch of SQS messages is stored first, whole; then each cluster it concerns gets
//! an admission cycle.
//!
//! One malformed body must not reject its batch: what Berth refuses goes to the refusals queue at once, and
//! only what it could not handle now comes again.

mod dead_letter;

use std::collections::{BTreeMap, BTreeSet};

use berth_scheduler::id::ClusterName;
use berth_scheduler::timestamp::Timestamp;
use futures_util::future::join_all;

use crate::cycle::{CycleEnd, run_cycle};
use crate::obey::{Obeyed, obey};
use crate::ports::{Clock, Inspector, Launcher, Ledger, Messenger, PortError, Ports};
use crate::records::CommandStamp;
use crate::settings::Settings;
use crate::submit::{Joined, Submitted, submit};
use crate::wire::command::Command;
use crate::wire::refusal::Refusal;
use crate::wire::submission::{Message, decode_message};

pub use dead_letter::DeadLetter;

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
    /// What SQS does with it if it cannot be handled now.
    pub after_failure: AfterFailure,
}

/// What SQS does with a message that could not be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// It hands it out again.
    ComesAgain,
    /// It moves it to the dead-letter queue: it has handed it out as often as it may.
    DeadLetter,
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
    /// Messages that failed on their last try and are on the dead-letter queue now, each with its error.
    pub dead_letters: Vec<(String, PortError)>,
    /// Submissions accepted.
    pub accepted: u32,
    /// Submissions that were known already.
    pub repeated: u32,
    /// Commands carried out.
    pub obeyed: u32,
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
    /// Accepted, and no cycle need look.
    Joined,
    Repeated(ClusterName),
    Obeyed(BTreeSet<ClusterName>),
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
    let taken = take_in_all(ports, invocation, messages).await;
    // The clusters to look at, each with the wake messages that asked for it: those are done only when a
    // cycle has looked.
    let mut clusters: BTreeMap<ClusterName, Vec<String>> = BTreeMap::new();
    for (message, taken) in taken {
        let counted = match &taken {
            Ok(TakenIn::Accepted(_) | TakenIn::Joined) => &mut report.accepted,
            Ok(TakenIn::Repeated(_)) => &mut report.repeated,
            Ok(TakenIn::Refused) => &mut report.refused,
            Ok(TakenIn::Obeyed(_)) => &mut report.obeyed,
            Ok(TakenIn::Wake(_)) | Err(_) => &mut 0,
        };
        *counted = counted.saturating_add(1);
        match taken {
            Ok(TakenIn::Accepted(cluster) | TakenIn::Repeated(cluster)) => {
                clusters.entry(cluster).or_default();
            }
            Ok(TakenIn::Obeyed(obeyed)) => {
                for cluster in obeyed {
                    clusters.entry(cluster).or_default();
                }
            }
            Ok(TakenIn::Wake(cluster)) => {
                clusters
                    .entry(cluster)
                    .or_default()
                    .push(message.message_id.clone());
            }
            Ok(TakenIn::Joined | TakenIn::Refused) => {}
            Err(error) => {
                if let Some(cluster) = left_behind(message, invocation.settings) {
                    clusters.entry(cluster).or_default();
                }
                dead_letter::fail(ports.messenger, message, error, &mut report).await;
            }
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

/// The cluster where a submission that is not tried again may have left a part of it: no later try looks at that, and
/// others may have joined behind it.
fn left_behind(message: &InboundMessage, settings: &Settings) -> Option<ClusterName> {
    if message.after_failure == AfterFailure::ComesAgain {
        return None;
    }
    match decode_message(&message.body, &message.message_id, settings) {
        Ok(Message::Submission(submission)) => Some(submission.cluster.clone()),
        _ => None,
    }
}

/// Takes in submissions side by side, and after them the commands, one by one in the order they were sent: a
/// command may be about a submission of the same batch, or about what another command has done.
async fn take_in_all<'m, L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    invocation: Invocation<'_>,
    messages: &'m [InboundMessage],
) -> Vec<(&'m InboundMessage, Result<TakenIn, PortError>)> {
    let decoded = messages.iter().map(|message| {
        let content = decode_message(&message.body, &message.message_id, invocation.settings);
        (message, content)
    });
    let (mut commands, others): (Vec<_>, Vec<_>) =
        decoded.partition(|(_, content)| matches!(content, Ok(Message::Command(_))));
    let others = others.into_iter().map(|(message, content)| async move {
        (
            message,
            take_in_one(ports, invocation.settings, message, content).await,
        )
    });
    let mut taken = join_all(others).await;
    commands.sort_by_key(|(message, _)| stamp_of(message));
    for (message, content) in commands {
        if let Ok(Message::Command(command)) = content {
            taken.push((message, take_command(ports, invocation, message, &command).await));
        }
    }
    taken
}

async fn take_in_one<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    settings: &Settings,
    message: &InboundMessage,
    content: Result<Message, Refusal>,
) -> Result<TakenIn, PortError> {
    let submission = match content {
        Ok(Message::Submission(submission)) => submission,
        Ok(Message::Wake(cluster)) => return Ok(TakenIn::Wake(cluster)),
        // They come after all others.
        Ok(Message::Command(_)) => return Ok(TakenIn::Obeyed(BTreeSet::new())),
        Err(refusal) => return refuse(ports, message, &refusal).await,
    };
    let cluster = submission.cluster.clone();
    match submit(ports, &submission, message.sent_at, settings.aging).await? {
        Submitted::Refused(refusal) => refuse(ports, message, &refusal).await,
        Submitted::Accepted(Joined::BehindOthers) => Ok(TakenIn::Joined),
        Submitted::Accepted(Joined::ToBeLookedAt) => Ok(TakenIn::Accepted(cluster)),
        Submitted::AlreadyKnown => Ok(TakenIn::Repeated(cluster)),
    }
}

fn stamp_of(message: &InboundMessage) -> CommandStamp {
    CommandStamp {
        sent_at: message.sent_at,
        message_id: message.message_id.clone(),
    }
}

async fn take_command<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock>(
    ports: Ports<'_, L, E, M, C>,
    invocation: Invocation<'_>,
    message: &InboundMessage,
    command: &Command,
) -> Result<TakenIn, PortError> {
    let stamp = stamp_of(message);
    // Half of the time is for the cycles that follow.
    let now = ports.clock.now();
    let half = invocation.deadline.millis_since(now) / 2;
    let work_until = now.saturating_add_millis(half);
    match obey(ports, command, &stamp, work_until).await? {
        Obeyed::Refused(refusal) => refuse(ports, message, &refusal).await,
        Obeyed::Done(clusters) => Ok(TakenIn::Obeyed(clusters)),
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
