//! Deliberate mistakes in the protocol, made at the ports so that the product itself is not changed. The soak
//! must find each of them: a check that never fails proves nothing.

use std::sync::Arc;

use berth_control::records::TaskRecord;
use berth_scheduler::instance::{InstanceRecord, InstanceState};
use berth_scheduler::progress::TaskState;
use berth_scheduler::quantity::{CpuUnits, GpuCount, MemoryMib};
use berth_scheduler::reservation::{ReportInclusion, Reservation, ReservationState, TaskStage};
use berth_scheduler::snapshot::InstanceView;
use berth_scheduler::timestamp::Timestamp;

use super::fault::FaultKind;

macro_rules! mutations {
    ($($(#[$doc:meta])* $mutation:ident, $name:literal, [$($kind:ident),*];)*) => {
        /// A mistake in the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutation {
            $($(#[$doc])* $mutation,)*
        }

        impl Mutation {
            /// Every mutation.
            pub const ALL: &'static [Self] = &[$(Self::$mutation,)*];

            /// Its name in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$mutation => $name,)* }
            }

            /// The faults that bring it to light; all seeds have them.
            pub(super) const fn needs(self) -> &'static [FaultKind] {
                match self { $(Self::$mutation => &[$(FaultKind::$kind),*],)* }
            }
        }
    };
}

mutations! {
    /// A task counts as reported as soon as RunTask has answered, and tasks are not counted by identity.
    SettleAtReply, "settle at the reply, no view by identity", [];
    /// Any newer report counts every task placed on the instance.
    SettleOnAnyNewerVersion, "settle on any newer version", [ForeignTask];
    /// Every RunTask call has a client token of its own.
    FreshToken, "a fresh client token for every call", [LostReply];
    /// The cluster falls asleep whatever has happened meanwhile.
    SleepUnchecked, "asleep without the generation check", [];
    /// capacity-tracker announces before it writes.
    AnnounceBeforeWrite, "capacity-tracker announces before it writes", [];
    /// capacity-tracker does not announce what it has recorded before.
    SilentRepeat, "a repeated report is not announced", [CrashAfter, EventDuplicated];
    /// A client token is used however old it is.
    AgelessToken, "no age limit for client tokens", [Outage, LostReply];
    /// A refusal counts as definite although an earlier call may still arrive.
    HastyRefusal, "a refusal is definite at once", [LateLaunch, ForgottenRefusal, ForeignTask, AgentLost];
    /// A task leaves the waiting list when its room is reserved, and is not put back.
    DequeueAtReservation, "dequeued at the reservation", [ForeignTask, AgentLost];
    /// A wake message comes back while the lease of its dead holder stands.
    EarlyRedelivery, "a wake comes back before the lease is over", [CrashBefore, CrashAfter];
    /// A cluster is idle although somebody waits.
    IdleTooSoon, "idle although somebody waits", [];
    /// News are not counted while somebody is awake.
    UncountedNews, "news are not counted while somebody is awake", [];
    /// Whoever leads a lane is not announced.
    QuietInFront, "the first of a lane is not announced", [];
    /// The lanes are not looked at again after somebody was started.
    NoSecondLook, "no second look at the lanes", [];
    /// Room is given back whose attempt may still be begun.
    NoStrike, "room of an attempt that may still be begun is given back", [Pause, CrashAfter, LateWrite];
    /// Capacity records are read as they were two seconds ago.
    StaleRead, "stale reads of capacity records", [];
    /// Writes do not check revisions.
    BlindWrite, "writes overwrite what others wrote", [];
    /// Tasks that are stopping count as gone.
    StoppingIsFree, "stopping tasks count as free room", [TaskStopped];
    /// Events are lost and nobody reconciles.
    NoReconciliation, "events are lost and nothing is reconciled", [EventLost];
    /// A lane's tasks are read last ones first.
    LastFirst, "a lane is read in the wrong order", [];
    /// Messages are deleted when they are received.
    AckAtReceipt, "messages are deleted when they are received", [CrashBefore, ErrorBefore];
    /// Reservations that a crash left open are not resolved.
    OpenForEver, "open reservations are not resolved", [CrashBefore, LostReply];
    /// The functions' clocks are far ahead of everybody else's.
    FastClock, "clocks are five minutes ahead", [];
    /// Appointments are not written down.
    NoAppointments, "appointments are not noted", [];
    /// Nothing is ever removed from the waiting list.
    EntriesStay, "waiting entries are not removed", [];
}

impl Mutation {
    /// The instances as the mutated reader sees them.
    pub(super) fn read_views(self, views: Vec<InstanceView>) -> Vec<InstanceView> {
        let read = |view: InstanceView| InstanceView {
            record: Arc::new(self.read_instance(InstanceRecord::clone(&view.record))),
            attributes: view.attributes,
        };
        views.into_iter().map(read).collect()
    }

    /// The record as the mutated reader sees it.
    pub(super) fn read_instance(self, record: InstanceRecord) -> InstanceRecord {
        let mut state = record.state().clone();
        match self {
            Self::SettleAtReply => {
                without_identity(&mut state);
                for_each_placed(&mut state, |report, _| *report = ReportInclusion::Included);
            }
            Self::StoppingIsFree => state.reservations.retain(|_, held| !is_stopping(held)),
            _ => return record,
        }
        InstanceRecord::from_state(state)
    }

    /// The record as the mutated writer stores it: what the reader left out of account is still written.
    pub(super) fn write_instance(
        self,
        record: &InstanceRecord,
        stored: Option<&InstanceRecord>,
    ) -> InstanceRecord {
        let mut state = record.state().clone();
        let Some(stored) = stored else {
            return record.clone();
        };
        match self {
            Self::SettleAtReply if state.registered.memory == HUGE_MEMORY => {
                state.registered = stored.state().registered.clone();
            }
            Self::BlindWrite => state.revision = stored.state().revision.next(),
            _ => return record.clone(),
        }
        InstanceRecord::from_state(state)
    }

    /// The task as the mutated reader sees it.
    pub(super) fn read_task(self, mut task: TaskRecord, now: Timestamp) -> TaskRecord {
        if let TaskState::Reserved(reserved) = &mut task.progress.state {
            match self {
                Self::AgelessToken => reserved.reserved_at = now,
                Self::HastyRefusal => reserved.call_by = Timestamp::from_millis(0),
                Self::OpenForEver => {
                    reserved.reserved_at = now;
                    reserved.call_by = Timestamp::MAX;
                    reserved.refused = Some("not to be resolved".to_owned());
                }
                _ => {}
            }
        }
        task
    }
}

const HUGE_MEMORY: MemoryMib = MemoryMib::new(u32::MAX);

fn without_identity(state: &mut InstanceState) {
    state.registered.cpu = CpuUnits::new(u32::MAX);
    state.registered.memory = HUGE_MEMORY;
    state.registered.gpu = GpuCount::new(u32::MAX);
}

fn for_each_placed(state: &mut InstanceState, mut change: impl FnMut(&mut ReportInclusion, &mut TaskStage)) {
    for held in state.reservations.values_mut() {
        if let ReservationState::Placed(placed) = &mut held.state {
            change(&mut placed.report, &mut placed.stage);
        }
    }
}

fn is_stopping(held: &Reservation) -> bool {
    matches!(&held.state, ReservationState::Placed(placed) if placed.stage == TaskStage::Stopping)
}
