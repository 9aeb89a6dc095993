//! The configurations that the protocol is checked in, and those that catch its mutations.

mod mutations;

use crate::property::Violation;
use crate::world::{
    AtRest, Faults, Model, NO_FAULTS, PLAIN, Reconciling, Refusals, Reports, Timestamps, World,
};

pub use mutations::MUTATIONS;

/// A mistake, where it is caught, and as what.
#[derive(Clone, Copy, Debug)]
pub struct Caught {
    /// The configuration with the mistake.
    pub model: Model,
    /// The promise it breaks.
    pub violation: Violation,
}

const CRASH: Faults = Faults {
    crashes: 1,
    ..NO_FAULTS
};
const LOST_REPLY: Faults = Faults {
    lost_replies: 1,
    ..NO_FAULTS
};
const FOREIGN: Faults = Faults {
    foreign_tasks: 1,
    ..NO_FAULTS
};
const EXPIRY: Faults = Faults {
    expiries: 1,
    ..NO_FAULTS
};

/// One task that waits from the beginning, one place.
const ALONE: World = World {
    demands: &[1],
    submitted: 0,
    ..PLAIN
};
/// Two tasks, room for both on one instance.
const ROOMY: World = World {
    instances: &[2],
    ..PLAIN
};
/// Two invocations of admitter.
const TWO_ADMITTERS: World = World {
    admitters: 2,
    ..PLAIN
};
/// A refusal that may not be definite waits for reconciler.
const DELAYED: World = World {
    faults: Faults {
        delayed_calls: 1,
        ..FOREIGN
    },
    reconciler: Reconciling::WhenCalm,
    rest: AtRest::NoIdleRoomOnceReconciled,
    ..ALONE
};
/// The holder of the turn is paused, and the task that it was about to start is refused.
const PAUSED: World = World {
    admitters: 2,
    faults: Faults {
        foreign_tasks: 1,
        ..EXPIRY
    },
    reconciler: Reconciling::WhenCalm,
    rest: AtRest::NoIdleRoomOnceReconciled,
    ..ALONE
};
/// More than an hour passes while a launch is unresolved.
const FORGOTTEN: World = World {
    faults: Faults {
        long_pauses: 1,
        ..CRASH
    },
    submitted: 0,
    reconciler: Reconciling::WhenCalm,
    rest: AtRest::NoIdleRoomOnceReconciled,
    ..PLAIN
};
/// An event is lost.
const LOSSY: World = World {
    faults: Faults {
        losses: 1,
        ..NO_FAULTS
    },
    rest: AtRest::NoIdleRoomOnceReconciled,
    ..PLAIN
};

/// The holder of the turn is paused, and another one starts the task on another instance.
const PAUSED_ELSEWHERE: World = World {
    instances: &[1, 1],
    faults: Faults {
        lost_replies: 1,
        ..EXPIRY
    },
    ..PAUSED
};
const BOTH_SUBMITTED: World = World {
    submitted: 0b11,
    ..TWO_ADMITTERS
};
const ROOMY_RECONCILED: World = World {
    reconciler: Reconciling::AnyTime,
    ..ROOMY
};
/// Where an old report of a foreign task's start is believed after the newer one of its end, reconciler must come.
const TWO_WITH_FOREIGN_RECONCILED: World = World {
    reconciler: Reconciling::WhenCalm,
    rest: AtRest::NoIdleRoomOnceReconciled,
    ..TWO_WITH_FOREIGN
};
/// The same with one place.
const TIGHT_WITH_FOREIGN: World = World {
    instances: &[1],
    ..TWO_WITH_FOREIGN_RECONCILED
};
const TWO_WITH_FOREIGN: World = World {
    faults: FOREIGN,
    submitted: 0,
    ..ROOMY
};

/// Configurations of seconds.
pub const QUICK: &[World] = &[
    World {
        name: "2 tasks, 1 place",
        ..PLAIN
    },
    World {
        name: "2 tasks, 2 places",
        ..ROOMY
    },
    World {
        name: "3 tasks of sizes 1, 2, 1, 2 places",
        demands: &[1, 2, 1],
        submitted: 0b100,
        ..ROOMY
    },
    World {
        name: "crash 1, lost reply 1, 1 task",
        faults: Faults {
            lost_replies: 1,
            ..CRASH
        },
        submitted: 1,
        ..ALONE
    },
    World {
        name: "lost reply 1",
        faults: LOST_REPLY,
        ..PLAIN
    },
    World {
        name: "crash 1, waiting from the beginning",
        faults: CRASH,
        submitted: 0,
        ..PLAIN
    },
    World {
        name: "event loss 1, reconciler",
        reconciler: Reconciling::WhenCalm,
        ..LOSSY
    },
    World {
        name: "reconciler at any time, 1 task",
        reconciler: Reconciling::AnyTime,
        ..ALONE
    },
    World {
        name: "2 admitters",
        submitted: 0b11,
        ..TWO_ADMITTERS
    },
    World {
        name: "2 admitters, paused holder, 1 task",
        faults: EXPIRY,
        ..World {
            admitters: 2,
            ..ALONE
        }
    },
    World {
        name: "2 admitters, paused holder, 2 instances, 1 task",
        admitters: 2,
        instances: &[1, 1],
        faults: EXPIRY,
        ..ALONE
    },
    World {
        name: "foreign task 1, all reports",
        reports: Reports::All,
        faults: FOREIGN,
        submitted: 0,
        ..ROOMY
    },
    World {
        name: "foreign task 1, delayed call 1, reconciler, 1 task",
        ..DELAYED
    },
    World {
        name: "the same, refusals remembered",
        refusals: Refusals::Remembered,
        ..DELAYED
    },
    World {
        name: "2 instances, one dies",
        instances: &[1, 1],
        submitted: 0,
        faults: Faults {
            dead_instances: 1,
            ..NO_FAULTS
        },
        ..PLAIN
    },
    World {
        name: "token forgotten, crash 1, reconciler",
        ..FORGOTTEN
    },
    World {
        name: "2 instances, one dies, delayed call 1, reconciler, 1 task",
        instances: &[1, 1],
        faults: Faults {
            dead_instances: 1,
            delayed_calls: 1,
            ..NO_FAULTS
        },
        reconciler: Reconciling::WhenCalm,
        rest: AtRest::NoIdleRoomOnceReconciled,
        ..ALONE
    },
    World {
        name: "all timestamps equal",
        timestamps: Timestamps::AllEqual,
        ..ROOMY
    },
];

/// The same with two tasks and room for both.
const DELAYED_ROOMY: World = World {
    demands: &[1, 1],
    instances: &[2],
    ..DELAYED
};

/// Configurations of minutes.
pub const LONG: &[World] = &[
    World {
        name: "crash 1, duplicate 1",
        faults: Faults {
            duplicates: 1,
            ..CRASH
        },
        ..PLAIN
    },
    World {
        name: "crash 2, 1 task, submitted",
        faults: Faults { crashes: 2, ..CRASH },
        submitted: 1,
        ..ALONE
    },
    World {
        name: "crash 1, event loss 1, reconciler",
        faults: Faults { losses: 1, ..CRASH },
        reconciler: Reconciling::WhenCalm,
        ..LOSSY
    },
    World {
        name: "reconciler at any time, 2 places, all reports",
        reports: Reports::All,
        reconciler: Reconciling::AnyTime,
        ..ROOMY
    },
    World {
        name: "2 admitters, crash 1",
        faults: CRASH,
        ..TWO_ADMITTERS
    },
    World {
        name: "2 admitters, paused holder, all reports",
        reports: Reports::All,
        faults: EXPIRY,
        ..TWO_ADMITTERS
    },
    World {
        name: "2 admitters, paused holder, crash 1, 1 task",
        admitters: 2,
        faults: Faults { crashes: 1, ..EXPIRY },
        ..ALONE
    },
    World {
        name: "2 admitters, holder paused twice, 1 task",
        admitters: 2,
        faults: Faults {
            expiries: 2,
            ..NO_FAULTS
        },
        ..ALONE
    },
    World {
        name: "2 admitters, paused holder, token forgotten, reconciler, 1 task",
        faults: Faults {
            long_pauses: 1,
            ..EXPIRY
        },
        ..PAUSED
    },
    World {
        name: "2 admitters, paused holder, crash 1, event loss 1, reconciler, 1 task, all reports",
        reports: Reports::All,
        faults: Faults {
            crashes: 1,
            losses: 1,
            ..EXPIRY
        },
        ..PAUSED
    },
    World {
        name: "2 admitters, paused holder, 2 instances, lost reply 1, reconciler, 1 task",
        ..PAUSED_ELSEWHERE
    },
    World {
        name: "2 admitters, paused holder, 2 instances, crash 1, reconciler, 1 task, all reports",
        reports: Reports::All,
        faults: Faults { crashes: 1, ..EXPIRY },
        ..PAUSED_ELSEWHERE
    },
    World {
        name: "2 admitters, both submitted, 2 places",
        instances: &[2],
        ..BOTH_SUBMITTED
    },
    World {
        name: "foreign task 1, reconciler",
        ..TIGHT_WITH_FOREIGN
    },
    World {
        name: "reconciler at any time",
        reconciler: Reconciling::AnyTime,
        ..PLAIN
    },
    World {
        name: "foreign task 1, reconciler, 2 places",
        ..TWO_WITH_FOREIGN_RECONCILED
    },
    World {
        name: "2 instances, one dies, foreign task 1, crash 1, reconciler, 1 task, all reports",
        reports: Reports::All,
        instances: &[1, 1],
        admitters: 1,
        faults: Faults {
            dead_instances: 1,
            crashes: 1,
            ..FOREIGN
        },
        ..PAUSED
    },
    World {
        name: "2 admitters, paused holder, foreign task 1, reconciler, 1 task, all reports",
        reports: Reports::All,
        ..PAUSED
    },
    World {
        name: "foreign task 1, crash 1, 2 places, all reports",
        reports: Reports::All,
        faults: Faults {
            crashes: 1,
            ..FOREIGN
        },
        submitted: 0,
        ..ROOMY
    },
    World {
        name: "foreign task 1, delayed call 1, reconciler, 2 places, all reports",
        reports: Reports::All,
        ..DELAYED_ROOMY
    },
    World {
        name: "the same with 2 places, refusals remembered, all reports",
        reports: Reports::All,
        refusals: Refusals::Remembered,
        ..DELAYED_ROOMY
    },
    World {
        name: "all timestamps equal, crash 1",
        timestamps: Timestamps::AllEqual,
        faults: CRASH,
        ..ROOMY
    },
    World {
        name: "3 tasks, 2 places, crash 1, all reports",
        reports: Reports::All,
        demands: &[1, 1, 1],
        submitted: 0b100,
        faults: CRASH,
        ..ROOMY
    },
];
