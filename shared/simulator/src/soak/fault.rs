//! What can go wrong, how strongly in a run, and how often it did.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

/// Chances are counted out of this many.
const ALL_CHANCES: u32 = 10_000;

macro_rules! fault_kinds {
    ($($(#[$doc:meta])* $kind:ident, $name:literal, $most:literal;)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FaultKind {
            $($(#[$doc])* $kind,)*
        }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// Its chance at most, out of 10,000 occasions: what an occasion is depends on the kind.
            const fn most(self) -> u32 {
                match self { $(Self::$kind => $most,)* }
            }
        }
    };
}

fault_kinds! {
    /// An invocation dies before a call takes effect.
    CrashBefore, "crash-before-call", 80;
    /// An invocation dies after a call has taken effect.
    CrashAfter, "crash-after-call", 80;
    /// A call fails without effect.
    ErrorBefore, "error-without-effect", 300;
    /// A call takes effect, and its answer is lost.
    LostReply, "lost-reply", 500;
    /// A call that was given up takes effect later.
    LateWrite, "late-write", 200;
    /// A RunTask call that was given up arrives up to 50 s later.
    LateLaunch, "late-run-task", 1_500;
    /// Calls are throttled for some seconds.
    Throttle, "throttled", 1_500;
    /// A conditional write meets another one on the same record.
    Conflict, "write-conflict", 1_500;
    /// A call takes up to the rest of the invocation's time.
    Pause, "pause", 60;
    /// An invocation's clock is up to 2 s wrong.
    ClockSkew, "clock-skew", 10_000;
    /// Describe calls answer what was true before, or leave out what is new.
    StaleDescribe, "stale-describe", 3_000;
    /// ECS forgets that it refused a client token.
    ForgottenRefusal, "forgotten-refusal", 10_000;
    /// An event never comes.
    EventLost, "event-lost", 1_500;
    /// An event comes twice, the second time up to minutes later.
    EventDuplicated, "event-duplicated", 3_000;
    /// An event comes up to hours late, so that others overtake it.
    EventDelayed, "event-delayed", 600;
    /// All events of an instance wait, and come in any order.
    EventsClogged, "events-clogged", 500;
    /// A message is delivered twice.
    MessageDuplicated, "message-duplicated", 2_000;
    /// A message is delivered up to a minute late.
    MessageDelayed, "message-delayed", 1_000;
    /// Every call to ECS, to DynamoDB or to both fails for up to 80 minutes.
    Outage, "outage", 150;
    /// Somebody else starts a task.
    ForeignTask, "foreign-task", 3_000;
    /// Somebody stops one of our tasks.
    TaskStopped, "task-stopped-by-people", 300;
    /// An instance is drained, and active again later.
    InstanceDrained, "instance-drained", 300;
    /// An instance is terminated, its agent connected or not, and replaced later.
    InstanceTerminated, "instance-terminated", 200;
    /// An agent is disconnected for a while.
    AgentLost, "agent-disconnected", 600;
    /// An agent registers its instance again.
    RegisteredAgain, "instance-registered-again", 300;
    /// A task definition is deregistered while its tasks wait.
    DefinitionGone, "task-definition-deregistered", 60;
    /// A capacity record, a lane or an entry of one is damaged.
    RecordDamaged, "record-damaged", 150;
}

/// One kind's dice: each kind has its own, so that turning one off leaves the others as they are.
#[derive(Debug)]
struct Dice {
    random: Rng,
    chance: u32,
    thrown: u64,
}

/// The faults of one run.
#[derive(Debug)]
pub(super) struct Faults {
    dice: BTreeMap<FaultKind, Dice>,
    calm: bool,
}

impl Faults {
    /// A swarm: each kind is off in half of all seeds, else of any strength up to its most. `always` are on
    /// in any case and strong; `never` are off.
    pub(super) fn swarm(seed: u64, always: &[FaultKind], never: &BTreeSet<FaultKind>) -> Self {
        let dice = FaultKind::ALL.iter().zip(1_u64..).map(|(kind, number)| {
            let mut random = Rng::with_seed(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let on = random.bool();
            let drawn = random.u32(1..=kind.most());
            let chance = match (never.contains(kind), always.contains(kind), on) {
                (true, ..) | (false, false, false) => 0,
                (false, true, _) => kind.most(),
                (false, false, true) => drawn,
            };
            (
                *kind,
                Dice {
                    random,
                    chance,
                    thrown: 0,
                },
            )
        });
        Self {
            dice: dice.collect(),
            calm: false,
        }
    }

    /// Whether a kind can occur in this run at all.
    pub(super) fn is_on(&self, kind: FaultKind) -> bool {
        self.dice.get(&kind).is_some_and(|dice| dice.chance > 0)
    }

    /// The kinds that can occur.
    pub(super) fn kinds(&self) -> Vec<FaultKind> {
        FaultKind::ALL
            .iter()
            .copied()
            .filter(|kind| self.is_on(*kind))
            .collect()
    }

    /// From now on nothing goes wrong.
    pub(super) fn end(&mut self) {
        self.calm = true;
    }

    /// Whether a fault of this kind occurs now. It counts as injected.
    pub(super) fn hits(&mut self, kind: FaultKind) -> bool {
        if self.calm {
            return false;
        }
        let Some(dice) = self.dice.get_mut(&kind).filter(|dice| dice.chance > 0) else {
            return false;
        };
        let hit = dice.random.u32(0..ALL_CHANCES) < dice.chance;
        dice.thrown = dice.thrown.saturating_add(u64::from(hit));
        hit
    }

    /// A number for the details of a fault: 0 to one below `end`.
    pub(super) fn number(&mut self, kind: FaultKind, end: u64) -> u64 {
        let random = self
            .dice
            .get_mut(&kind)
            .map(|dice| dice.random.u64(0..end.max(1)));
        random.unwrap_or(0)
    }

    /// One more of a kind that lasts.
    pub(super) fn count(&mut self, kind: FaultKind) {
        if let Some(dice) = self.dice.get_mut(&kind) {
            dice.thrown = dice.thrown.saturating_add(1);
        }
    }

    /// How often each kind occurred.
    pub(super) fn counts(&self) -> BTreeMap<FaultKind, u64> {
        self.dice
            .iter()
            .map(|(kind, dice)| (*kind, dice.thrown))
            .collect()
    }
}
