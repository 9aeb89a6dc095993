//! What is modelled in one run: the size of the system, the faults, and at most one deliberate mistake.

pub use crate::state::Faults;

/// One configuration of the model.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// What it is for.
    pub name: &'static str,
    /// How much room each task needs, highest rank first; at most three.
    pub demands: &'static [u8],
    /// Tasks that are submitted during the run, one bit each; the others wait from the beginning.
    pub submitted: u8,
    /// Room on each instance; at most two instances.
    pub instances: &'static [u8],
    /// Invocations of admitter that can be at work at the same time, one or two.
    pub admitters: usize,
    /// How many faults may happen.
    pub faults: Faults,
    /// Whether reconciler runs.
    pub reconciler: Reconciling,
    /// Whether ECS answers a known token with the refusal it gave before.
    pub refusals: Refusals,
    /// What ECS's timestamps tell.
    pub timestamps: Timestamps,
    /// Which reports are written.
    pub reports: Reports,
    /// What must have happened once nothing moves any more.
    pub rest: AtRest,
}

/// Whether reconciler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconciling {
    /// Never: what is left then must be right without it.
    Never,
    /// A run may begin when no message is under way and nobody is at work; what it causes may then come
    /// between its calls.
    WhenCalm,
    /// A run may begin at any moment.
    AnyTime,
}

/// Whether ECS remembers refusals under a client token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusals {
    /// A repeated call is decided anew.
    DecidedAnew,
    /// A repeated call gets the old refusal.
    Remembered,
}

/// What ECS's timestamps tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamps {
    /// A report made before a task was created is dated earlier.
    Ordered,
    /// All are equal: dates tell nothing.
    AllEqual,
}

/// Which reports about instances are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reports {
    /// A report is not written while others use what they used before, and our tasks explain the rest.
    AsReserved,
    /// All newer ones.
    All,
}

/// What must have happened once nothing moves any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtRest {
    /// No task waits that would fit, and no reservation is open.
    NoIdleRoom,
    /// No task waits that would fit and still finds no room once reconciler has run.
    NoIdleRoomOnceReconciled,
    /// Nothing: reconciler has still to come.
    Anything,
}

/// No faults.
pub const NO_FAULTS: Faults = Faults {
    crashes: 0,
    duplicates: 0,
    losses: 0,
    lost_replies: 0,
    delayed_calls: 0,
    expiries: 0,
    foreign_tasks: 0,
    dead_instances: 0,
    long_pauses: 0,
};

/// A configuration to start from: two tasks of size one, one instance of size one, one admitter, no fault.
pub const PLAIN: World = World {
    name: "plain",
    demands: &[1, 1],
    submitted: 0b10,
    instances: &[1],
    admitters: 1,
    faults: NO_FAULTS,
    reconciler: Reconciling::Never,
    refusals: Refusals::DecidedAnew,
    timestamps: Timestamps::Ordered,
    reports: Reports::AsReserved,
    rest: AtRest::NoIdleRoom,
};

/// A deliberate mistake in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A task counts as reported as soon as RunTask has answered.
    SettleAtReply,
    /// A task counts as reported with any version newer than the reservation's.
    SettleOnAnyNewerVersion,
    /// Every task is subtracted from what ECS says remains until it has stopped.
    SubtractUntilStopped,
    /// The cluster falls asleep whether or not the generation has moved.
    SleepUnconditionally,
    /// A report with the stored version is taken for handled and not announced.
    SkipEqualVersion,
    /// capacity-tracker counts and wakes before it writes.
    AnnounceBeforeWrite,
    /// Each RunTask call has a token of its own.
    FreshToken,
    /// A refused attempt is tried again under its old number.
    SameAttemptNumber,
    /// A refused call is taken as definite although an earlier one may still arrive.
    RequeueAtOnce,
    /// A token is sent again however old it is.
    NoTokenAge,
    /// Who looks at news is read before they are written, and acted on after.
    AttentionBeforeWrite,
    /// News are not counted while somebody is at work.
    AwakeIsNotCounted,
    /// A loser of the turn counts its news and goes, whether or not the holder has ended meanwhile.
    LateCount,
    /// A submission goes quietly when anybody else is in its lane, whatever the ranks.
    JoinBehindAnybody,
    /// A cycle ends after its wave without looking at the lanes again.
    NoSecondLook,
    /// A cycle that started somebody takes it that nobody else waits.
    IdleAfterStart,
    /// A pass that finds nobody waiting does not look for open reservations.
    NobodyWaitsNothingOpen,
    /// The capacity records are read before the generation: what an eventually consistent read can give.
    StaleRead,
    /// A dead holder's wake message comes back while its lease still stands.
    EarlyRedelivery,
    /// A cycle frees the turn first, and falls asleep in a second write that does not look at the epoch.
    EndInTwoWrites,
    /// The waiting entry is removed when room is reserved.
    DequeueAtReserve,
    /// A refused attempt's room is given back in a write of its own, before the task's record.
    ReleaseFirst,
    /// Reservations are written without looking at the stored records' revisions.
    IgnoreRevisions,
    /// The task's record says reserved before the capacity record does.
    TaskFirst,
    /// RunTask is called as soon as the capacity record says reserved.
    LaunchUnrecorded,
    /// A holder whose own write of the task's record was repeated and refused takes the reservation back.
    TakeBackOwn,
    /// An orphaned reservation is released although its paused holder can still write the task's record.
    ReleaseUnstruck,
    /// An open reservation is resolved by its attempt alone, wherever the task's record says its room is.
    AnyInstance,
    /// The entry of a task that another cycle has reserved is taken for an orphan.
    ReservedIsOrphan,
    /// A cycle begins another pass whether or not the turn is still its own.
    GoOnWithoutTurn,
    /// A failed cycle sends its wake message at once, though its turn may still stand.
    WakeAtOnceAfterFailure,
    /// RunTask is sent however long ago it was decided.
    SendLate,
    /// A cycle in which ECS refused a task is complete although that instance was left out.
    ForgetClosed,
    /// An event does not date a report that Describe gave before it under the same version.
    UndatedForGood,
    /// An event that nothing explains is believed, although it is older than the end of a task of ours.
    BelieveOldEvent,
    /// An answer of Describe that nothing explains is believed, although the record was written meanwhile.
    BelieveOverlap,
    /// A report that left the use by others in doubt is kept although a task ended after it.
    KeepOldDoubt,
    /// An open reservation whose task has ended is released without telling when.
    EndUntold,
    /// A report that gives nobody room is not announced while the use by others is in doubt.
    NotedQuietly,
    /// The stored report that comes again tells nothing of others whose use is known.
    RepeatSaysNothing,
    /// Nobody compares the records with ECS. Shown where [`World::reconciler`] is [`Reconciling::Never`].
    NoReconciler,
}

/// A configuration with at most one mistake.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// The configuration.
    pub world: World,
    /// The mistake; `None` is the protocol as it should be.
    pub mutation: Option<Mutation>,
}

impl Model {
    pub(crate) fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub(crate) fn tasks(&self) -> std::ops::Range<usize> {
        0..self.world.demands.len()
    }

    pub(crate) fn instances(&self) -> std::ops::Range<usize> {
        0..self.world.instances.len()
    }

    pub(crate) fn demand(&self, task: usize) -> u8 {
        self.world.demands[task]
    }
}
