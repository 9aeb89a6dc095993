//! One state of the whole system: Berth's records, ECS's truth, messages under way, and how far each
//! invocation has come.
//!
//! No counter grows without bound. What the protocol compares for equality (revisions, epochs, generations)
//! is kept as "still current" bits in the hands of whoever read it; what it compares for order (report
//! versions) is replaced by its rank after every step. So two moments that differ only in how often
//! something happened before are one state.

/// Most tasks in a model.
pub(crate) const TASKS: usize = 3;
/// Most container instances in a model.
pub(crate) const INSTANCES: usize = 2;
/// Most invocations of admitter at the same time.
pub(crate) const ADMITTERS: usize = 2;
/// Most events of one instance under way at the same time.
pub(crate) const EVENTS: usize = 10;

/// A set of tasks, one bit each.
pub(crate) type TaskSet = u8;

/// Everything at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) tasks: [Task; TASKS],
    pub(crate) instances: [Instance; INSTANCES],
    pub(crate) admitters: [Admitter; ADMITTERS],
    pub(crate) tracker: Tracker,
    pub(crate) reconciler: Reconciler,
    pub(crate) cluster: Cluster,
    pub(crate) faults_left: Faults,
}

/// How many faults of each kind may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// An invocation dies between two calls.
    pub crashes: u8,
    /// An event or submission is delivered once more.
    pub duplicates: u8,
    /// An event is never delivered.
    pub losses: u8,
    /// A call takes effect and its caller never hears of it.
    pub lost_replies: u8,
    /// A RunTask call arrives long after its caller has given up.
    pub delayed_calls: u8,
    /// A turn's lease ends while its holder is only paused.
    pub expiries: u8,
    /// Somebody else starts a task on an instance.
    pub foreign_tasks: u8,
    /// An instance dies with all tasks on it.
    pub dead_instances: u8,
    /// More than an hour passes while a reservation is open.
    pub long_pauses: u8,
}

/// Where a submission's SQS message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Submission {
    #[default]
    Done,
    Queued,
    InHand,
}

/// The state of a task's record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Progress {
    #[default]
    Absent,
    Waiting,
    Reserved,
    Started,
    Ended,
    Doubt,
}

/// How far a reservation has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Hold {
    #[default]
    None,
    Pending,
    /// Placed, and the newest report does not count it yet.
    NotCounted,
    /// Placed, and the newest report counts it.
    Counted,
}

/// A task's reservation in the capacity record of one instance. Two holders of the turn may reserve room for
/// the same attempt on two instances, so every instance has its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Reservation {
    pub(crate) hold: Hold,
    /// The attempt that the room is for.
    pub(crate) attempt: u8,
    /// Report version stored when the room was reserved.
    pub(crate) at_version: u8,
}

/// What ECS did with a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Run {
    #[default]
    Never,
    Live,
    Stopped,
    /// Stopped so long ago that ECS knows neither the task nor its client token.
    Forgotten,
}

/// A task: its record, its waiting entry, its reservations, and the truth about it in ECS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Task {
    pub(crate) submission: Submission,
    pub(crate) progress: Progress,
    pub(crate) attempt: u8,
    /// The instance named in the record.
    pub(crate) instance: u8,
    /// A repeated call was refused while an earlier one could still arrive.
    pub(crate) refused: bool,
    /// The attempt was reserved so long ago that its token may be forgotten.
    pub(crate) old: bool,
    /// Its waiting entry is in its lane.
    pub(crate) entry: bool,
    pub(crate) reservations: [Reservation; INSTANCES],
    pub(crate) run: Run,
    pub(crate) run_attempt: u8,
    pub(crate) run_instance: u8,
    /// The instance's version that first counted the run.
    pub(crate) created_at_version: u8,
    /// The instance's version that first did not count it any more; 0 while it runs.
    pub(crate) ended_at_version: u8,
    /// Attempts whose refusal ECS would repeat, one bit each.
    pub(crate) refused_attempts: u8,
    /// A RunTask call still on its way: the attempt, 0 for none.
    pub(crate) delayed_attempt: u8,
    pub(crate) delayed_instance: u8,
    pub(crate) running_event: bool,
    pub(crate) stopped_event: bool,
}

/// A report of ECS about an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Report {
    /// 0: no report.
    pub(crate) version: u8,
    pub(crate) remaining: u8,
    /// The instance is INACTIVE.
    pub(crate) inactive: bool,
    /// The report tells when ECS made it. Events do, Describe does not.
    pub(crate) dated: bool,
}

/// What the capacity record tells of the use by others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Others {
    /// Nothing is known of it, ever: the stored report counts.
    #[default]
    Unknown,
    /// It is this; the stored report's amount does not matter.
    Besides(u8),
    /// The stored report may show less than this, which it was before, or one of our tasks more.
    InDoubt(u8),
}

/// A container instance: ECS's truth, and the report in its capacity record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Instance {
    pub(crate) version: u8,
    pub(crate) foreign: u8,
    /// STOPPED events of foreign tasks under way.
    pub(crate) foreign_stopped: u8,
    pub(crate) dead: bool,
    pub(crate) stored: Report,
    pub(crate) others: Others,
    /// The instance's version that first told of the last end whose reservation was released; 0 where no older
    /// event is left.
    pub(crate) ended: u8,
    /// Events under way, sorted; unused places hold version 0.
    pub(crate) events: [Report; EVENTS],
}

/// Who has the turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Turn {
    #[default]
    Free,
    Held(u8),
    /// Its holder died, or never heard that it has it: the lease must end first. The holder's message comes
    /// back after that.
    Abandoned(Message),
}

/// Who would look at news.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Attention {
    /// Nobody waits and nobody is at work: whoever comes next reads everything.
    #[default]
    Idle,
    /// Somebody waits and nobody is at work: news must wake.
    Asleep,
    /// Somebody is at work, or a message is under way that will be: news must be counted.
    Awake,
}

/// The cluster's record and the wake queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Cluster {
    pub(crate) attention: Attention,
    pub(crate) turn: Turn,
    /// Whether a wake message can be received, 0 or 1.
    pub(crate) wakes: u8,
}

/// The SQS message that an invocation of admitter works for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Message {
    #[default]
    None,
    Wake,
    Submission(u8),
}

/// The next call of an invocation of admitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    #[default]
    Idle,
    Enqueue,
    /// Whether somebody of a higher rank waits in the submission's lane.
    LookAhead,
    TakeTurn,
    CountLoss,
    BeginPass,
    LoadLanes,
    LoadInstances,
    Resolve,
    /// An orphaned reservation: its attempt must never start.
    Strike,
    ReleaseOrphan,
    LookUp,
    Adopt,
    ReadTask,
    ReserveRoom,
    ReserveTask,
    /// The task's record was not to be had: its room is given back.
    TakeBack,
    RemoveOrphan,
    Launch,
    Settle,
    /// An instance refused a task: its record is read, ECS is asked, the answer is recorded.
    ReadRefusing,
    DescribeRefusing,
    RecordRefusing,
    /// The fronts of the lanes, after somebody was started.
    SecondLook,
    EndCycle,
    /// Mutation only: the second write of an end in two writes.
    FallAsleep,
    HandBack,
    WakeLater,
    /// A call failed: the turn is handed back, the message comes again.
    GiveUp,
}

/// How far a task of the current wave has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Wave {
    #[default]
    No,
    Planned(u8),
    Reserved,
    Placed,
    StartRecorded,
    RoomRecorded,
    Refused,
    /// Back in its old place; the instance that refused it is asked next.
    Requeued,
    NoAnswer,
}

/// How a pass ends, lightest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum PassEnd {
    #[default]
    Open,
    Again,
    Later,
    Complete,
}

/// One invocation of admitter: where it is, and what it has in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Admitter {
    pub(crate) step: Step,
    pub(crate) message: Message,
    /// Its epoch is the newest.
    pub(crate) epoch_holds: bool,
    /// The generation has moved since the pass began.
    pub(crate) moved: bool,
    /// The capacity records in hand are the stored ones, one bit per instance.
    pub(crate) fresh_instances: u8,
    /// The task records in hand are the stored ones.
    pub(crate) fresh_tasks: TaskSet,
    /// Free room by the records in hand.
    pub(crate) room: [u8; INSTANCES],
    /// Tasks with a waiting entry when the lanes were loaded.
    pub(crate) waiting: TaskSet,
    /// Open reservations still to be resolved: the attempt of each, 0 for none.
    pub(crate) open: [[u8; INSTANCES]; TASKS],
    /// Tasks with open reservations when the instances were loaded.
    pub(crate) under_way: TaskSet,
    /// Tasks that waited when the pass began.
    pub(crate) visible: TaskSet,
    /// Instances where ECS refused a task in this cycle.
    pub(crate) closed: u8,
    pub(crate) wave: [Wave; TASKS],
    /// The attempt of each task of the wave, and where its room is.
    pub(crate) reserved: [(u8, u8); TASKS],
    /// The wave is one repeated call of an open reservation.
    pub(crate) resolving: bool,
    /// No earlier call of the task being resolved can still arrive.
    pub(crate) earlier_over: bool,
    /// Its time to send the call is over.
    pub(crate) too_late: bool,
    /// What interrupted the wave, or what resolving came to so far.
    pub(crate) end: PassEnd,
    /// What the answers of the wave came to so far.
    pub(crate) unsettled: PassEnd,
    /// Whether anybody waited when the lanes were last looked at.
    pub(crate) somebody_waits: bool,
    /// The instance that refused a task, and what it was asked.
    pub(crate) asked: Asked,
    /// The task of the step.
    pub(crate) task: u8,
}

/// What is in hand of a question to ECS about an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) instance: u8,
    /// Tasks recorded as placed before ECS was asked.
    pub(crate) placed_before: TaskSet,
    /// The capacity record is as it was before ECS was asked.
    pub(crate) unchanged: bool,
    /// The answer.
    pub(crate) described: Report,
}

/// What capacity-tracker has received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    #[default]
    None,
    Instance(u8, Report),
    Running(u8),
    Stopped(u8),
    /// A foreign task on this instance.
    ForeignStopped(u8),
}

/// The next call of capacity-tracker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum TrackerStep {
    #[default]
    Idle,
    /// Task events only: the reservation, after the task's record.
    WriteReservation,
    ReadAttention,
    Count,
    Wake,
    /// Mutations only: the write that should have come first.
    WriteLast,
}

/// The one invocation of capacity-tracker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tracker {
    pub(crate) step: TrackerStep,
    pub(crate) event: Event,
    /// Mutation only: the attention before the write.
    pub(crate) foreseen: Option<Attention>,
}

/// The next call of reconciler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum ReconcilerStep {
    #[default]
    Idle,
    Describe,
    Correct,
    ReadAttention,
    Count,
    Wake,
    LookAfterWaiting,
    WakeWaiting,
}

/// The one invocation of reconciler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Reconciler {
    pub(crate) step: ReconcilerStep,
    /// Tasks recorded as placed before ECS was asked.
    pub(crate) placed_before: TaskSet,
    /// Whether a launch was unresolved before ECS was asked.
    pub(crate) unresolved: bool,
    pub(crate) described: [Report; INSTANCES],
    /// The capacity records are as they were before ECS was asked, one bit per instance.
    pub(crate) unchanged: u8,
    /// Those of `placed_before` that ECS says have ended.
    pub(crate) ended: TaskSet,
    /// Whether something was corrected that is not announced yet.
    pub(crate) corrected: bool,
}

impl State {
    /// Somebody changed a task's record: every other copy is out of date. `by` has the new one in hand.
    pub(crate) fn touch_task(&mut self, task: usize, by: Option<usize>) {
        for (index, admitter) in self.admitters.iter_mut().enumerate() {
            if Some(index) != by {
                admitter.fresh_tasks &= !(1 << task);
            }
        }
    }

    /// Somebody changed a capacity record: every other copy is out of date.
    pub(crate) fn touch_instance(&mut self, instance: usize, by: Option<usize>) {
        for (index, admitter) in self.admitters.iter_mut().enumerate() {
            if Some(index) != by {
                admitter.fresh_instances &= !(1 << instance);
            }
            if usize::from(admitter.asked.instance) == instance {
                admitter.asked.unchanged = false;
            }
        }
        self.reconciler.unchanged &= !(1 << instance);
    }

    /// Counts a fact in the generation, and tells who looks at it.
    pub(crate) fn bump(&mut self) -> Attention {
        for admitter in &mut self.admitters {
            admitter.moved = true;
        }
        self.cluster.attention
    }

    /// Sends a wake message. One that can still be received stands for any number of them: whoever receives
    /// it looks at everything that was written before either was sent.
    pub(crate) fn send_wake(&mut self) {
        self.cluster.wakes = 1;
    }
}
