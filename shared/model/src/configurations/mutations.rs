//! Every mistake that must be caught, and where.

use super::{
    ALONE, BOTH_SUBMITTED, CRASH, Caught, DELAYED, EXPIRY, FOREIGN, FORGOTTEN, LOSSY, LOST_REPLY, PAUSED,
    PAUSED_ELSEWHERE, ROOMY, ROOMY_RECONCILED, TIGHT_WITH_FOREIGN, TWO_ADMITTERS, TWO_WITH_FOREIGN,
};
use crate::property::Violation;
use crate::world::{Faults, Model, Mutation, PLAIN, Refusals, Reports, World};

/// A mistake in a world, and what it is caught as.
const fn caught(mutation: Mutation, world: World, violation: Violation) -> Caught {
    Caught {
        model: Model {
            world,
            mutation: Some(mutation),
        },
        violation,
    }
}

/// The same where every newer report is written.
const fn all_reports(world: World) -> World {
    World {
        reports: Reports::All,
        ..world
    }
}

const FOREIGN_ALONE: World = World {
    faults: FOREIGN,
    ..ALONE
};
const TWO_WITH_CRASH: World = World {
    faults: CRASH,
    ..PLAIN
};
const TWO_WITH_LOST_REPLY: World = World {
    faults: LOST_REPLY,
    ..PLAIN
};
const TWO_WITH_PAUSE: World = World {
    faults: EXPIRY,
    submitted: 0,
    ..TWO_ADMITTERS
};
const ALONE_WITH_CRASH: World = World {
    faults: CRASH,
    ..ALONE
};
const ALONE_ROOMY_WITH_CRASH: World = World {
    instances: &[2],
    ..ALONE_WITH_CRASH
};
const ALONE_WITH_PAUSE: World = World {
    demands: &[1],
    ..TWO_WITH_PAUSE
};
const ALONE_WITH_LOST_REPLY: World = World {
    faults: LOST_REPLY,
    ..ALONE
};
const ROOMY_TWO_ADMITTERS: World = World {
    instances: &[2],
    ..TWO_ADMITTERS
};
const PAUSED_FOREIGN: World = World {
    demands: &[1, 1],
    ..PAUSED
};
const REMEMBERED: World = World {
    refusals: Refusals::Remembered,
    ..FOREIGN_ALONE
};
const CRASH_REFUSED: World = World {
    faults: Faults {
        crashes: 1,
        ..FOREIGN
    },
    ..ALONE
};

/// Every mistake, in a small configuration that shows it.
pub const MUTATIONS: &[Caught] = &[
    caught(
        Mutation::SettleAtReply,
        all_reports(TWO_WITH_FOREIGN),
        Violation::Overcommitted,
    ),
    caught(
        Mutation::SettleOnAnyNewerVersion,
        all_reports(TWO_WITH_FOREIGN),
        Violation::Overcommitted,
    ),
    caught(
        Mutation::SubtractUntilStopped,
        all_reports(ROOMY),
        Violation::IdleAtRest,
    ),
    caught(Mutation::SleepUnconditionally, PLAIN, Violation::IdleAtRest),
    caught(
        Mutation::SkipEqualVersion,
        all_reports(TWO_WITH_CRASH),
        Violation::IdleAtRest,
    ),
    caught(Mutation::AnnounceBeforeWrite, PLAIN, Violation::IdleAtRest),
    caught(Mutation::FreshToken, TWO_WITH_LOST_REPLY, Violation::StartedTwice),
    caught(
        Mutation::SameAttemptNumber,
        all_reports(REMEMBERED),
        Violation::Stuck,
    ),
    caught(
        Mutation::RequeueAtOnce,
        all_reports(DELAYED),
        Violation::StartedTwice,
    ),
    caught(Mutation::NoTokenAge, FORGOTTEN, Violation::StartedTwice),
    caught(Mutation::StaleRead, PLAIN, Violation::IdleAtRest),
    caught(Mutation::EarlyRedelivery, TWO_WITH_CRASH, Violation::IdleAtRest),
    caught(Mutation::EndInTwoWrites, TWO_ADMITTERS, Violation::IdleAtRest),
    caught(
        Mutation::DequeueAtReserve,
        all_reports(FOREIGN_ALONE),
        Violation::IdleAtRest,
    ),
    caught(
        Mutation::ReleaseFirst,
        all_reports(CRASH_REFUSED),
        Violation::IdleAtRest,
    ),
    caught(
        Mutation::IgnoreRevisions,
        all_reports(TWO_WITH_PAUSE),
        Violation::Overcommitted,
    ),
    caught(Mutation::TaskFirst, ALONE_WITH_CRASH, Violation::Stuck),
    caught(
        Mutation::LaunchUnrecorded,
        ALONE_ROOMY_WITH_CRASH,
        Violation::StartedTwice,
    ),
    caught(Mutation::TakeBackOwn, ALONE_WITH_LOST_REPLY, Violation::Stuck),
    caught(
        Mutation::ReleaseUnstruck,
        all_reports(TWO_WITH_PAUSE),
        Violation::Overcommitted,
    ),
    caught(
        Mutation::AnyInstance,
        all_reports(PAUSED_ELSEWHERE),
        Violation::Stuck,
    ),
    caught(
        Mutation::NobodyWaitsNothingOpen,
        all_reports(PAUSED_ELSEWHERE),
        Violation::Stuck,
    ),
    caught(Mutation::AttentionBeforeWrite, PLAIN, Violation::IdleAtRest),
    caught(Mutation::AwakeIsNotCounted, PLAIN, Violation::IdleAtRest),
    caught(Mutation::LateCount, TWO_ADMITTERS, Violation::IdleAtRest),
    caught(Mutation::JoinBehindAnybody, BOTH_SUBMITTED, Violation::IdleAtRest),
    caught(Mutation::NoSecondLook, ROOMY_TWO_ADMITTERS, Violation::IdleAtRest),
    caught(Mutation::IdleAfterStart, PLAIN, Violation::IdleAtRest),
    caught(
        Mutation::ReservedIsOrphan,
        all_reports(PAUSED_FOREIGN),
        Violation::Overtaken,
    ),
    caught(
        Mutation::GoOnWithoutTurn,
        ALONE_WITH_PAUSE,
        Violation::ModelTooSmall,
    ),
    caught(
        Mutation::WakeAtOnceAfterFailure,
        TWO_WITH_LOST_REPLY,
        Violation::IdleAtRest,
    ),
    caught(Mutation::SendLate, all_reports(PAUSED), Violation::StartedTwice),
    caught(
        Mutation::ForgetClosed,
        all_reports(TWO_WITH_FOREIGN),
        Violation::IdleAtRest,
    ),
    caught(
        Mutation::UndatedForGood,
        all_reports(ROOMY_RECONCILED),
        Violation::IdleAtRest,
    ),
    caught(Mutation::BelieveOldEvent, PLAIN, Violation::IdleAtRest),
    caught(Mutation::KeepOldDoubt, PLAIN, Violation::IdleAtRest),
    caught(Mutation::EndUntold, TWO_WITH_CRASH, Violation::IdleAtRest),
    caught(
        Mutation::NotedQuietly,
        all_reports(TWO_WITH_FOREIGN),
        Violation::IdleAtRest,
    ),
    caught(
        Mutation::RepeatSaysNothing,
        TIGHT_WITH_FOREIGN,
        Violation::IdleAtRest,
    ),
    caught(Mutation::BelieveOverlap, ROOMY_RECONCILED, Violation::IdleAtRest),
    // An event is lost, and nobody compares the records with ECS.
    caught(Mutation::NoReconciler, LOSSY, Violation::Stuck),
];
