//! Who is at work on a cluster's waiting list, and whether anybody must be woken.

use berth_scheduler::id::{ClusterName, Epoch, Generation};
use berth_scheduler::progress::Request;
use berth_scheduler::timestamp::Timestamp;

use crate::records::CommandStamp;

/// One cycle's exclusive right to admit tasks in a cluster, until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The cluster.
    pub cluster: ClusterName,
    /// Which turn it is: each one that is taken has a higher number.
    pub epoch: Epoch,
    /// When the lease ends if it is not handed back.
    pub until: Timestamp,
}

/// The answer to a request for the turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnRequest {
    /// It is ours, and the cluster is awake: the first pass begins.
    Taken(Turn, PassStart),
    /// Another cycle has it, at the latest until then.
    HeldUntil(Timestamp),
}

/// Whether somebody is looking after a cluster's waiting list, or a wake message for it is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// Yes: whoever brings news counts them, and needs no wake message.
    Awake,
    /// No, and somebody waits: whoever brings news must send a wake message.
    Asleep,
    /// No, and nobody waits: news of room are of no use to anybody.
    Idle,
}

/// Whether anybody is on a cluster's waiting list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitingList {
    /// Nobody is.
    Empty,
    /// Somebody is.
    Occupied,
}

/// A cluster's wake state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakeState {
    /// Whether a cycle or a wake message is believed to be under way.
    pub attention: Attention,
    /// When the current turn's lease ends; `None` when nobody has the turn.
    pub turn_until: Option<Timestamp>,
}

/// What a pass starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassStart {
    /// The generation before anything was read.
    pub generation: Generation,
    /// Since when and why nothing may be started, if so.
    pub pause: Option<Request>,
}

/// A command that pauses or resumes a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseOrder {
    /// Which command.
    pub stamp: CommandStamp,
    /// Since when and why nothing may be started; `None` to start tasks again.
    pub pause: Option<Request>,
}

/// Whether a cycle could end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallAsleep {
    /// It has: nothing is new since the generation that was named, and the turn is free.
    Asleep,
    /// Something happened: the turn is kept, look again.
    Moved,
    /// Another cycle has taken the turn.
    TurnLost,
}
