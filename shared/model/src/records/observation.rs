//! What a report of ECS changes in a capacity record.

use super::offers_more;
use crate::state::{Hold, Instance, Others, Report, State, TaskSet};
use crate::world::{Model, Mutation, Timestamps};

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    /// It is written, and somebody may start who could not before.
    Recorded,
    /// It is written, and nobody may.
    Noted,
    /// It is newer, and tells only what follows from the record.
    Expected,
    /// It tells what is stored.
    Unchanged,
    /// It is older than what is known.
    Stale,
}

impl Observed {
    /// Whether the record was written.
    pub(crate) fn is_change(self) -> bool {
        matches!(self, Self::Recorded | Self::Noted)
    }
}

/// How a report came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Event,
    /// The answer to a question.
    Described {
        /// Tasks recorded as placed before ECS was asked.
        placed_before: TaskSet,
        /// The capacity record is as it was before ECS was asked.
        unchanged: bool,
    },
}

/// How old a report is beside what is known of our tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// It may tell of a moment before what is known.
    MayBeOlder,
    OfAnEvent,
    /// It is the answer to a question, and nothing was recorded meanwhile.
    AskedFor,
}

fn age(model: &Model, newest: &Instance, report: Report, source: Source) -> Age {
    match source {
        Source::Event if report.version < newest.ended && !model.has(Mutation::BelieveOldEvent) => {
            Age::MayBeOlder
        }
        Source::Event => Age::OfAnEvent,
        Source::Described { unchanged, .. } if unchanged || model.has(Mutation::BelieveOverlap) => {
            Age::AskedFor
        }
        Source::Described { .. } => Age::MayBeOlder,
    }
}

/// Whether a report counts a task that was placed on its instance.
pub(super) fn counts(
    model: &Model,
    state: &State,
    index: usize,
    (instance, report): (usize, Report),
    source: Source,
) -> bool {
    let task = &state.tasks[index];
    let newer = report.version > task.reservations[instance].at_version;
    let placed_before = match source {
        Source::Event => 0,
        Source::Described { placed_before, .. } => placed_before,
    };
    let asked = newer && placed_before & (1 << index) != 0;
    let all_equal = model.world.timestamps == Timestamps::AllEqual;
    match model.mutation {
        Some(Mutation::SettleAtReply) => true,
        Some(Mutation::SettleOnAnyNewerVersion) => newer,
        _ => asked || (newer && report.dated && (all_equal || report.version >= task.created_at_version)),
    }
}

/// Applies a report to a capacity record.
pub(crate) fn observe(
    model: &Model,
    state: &mut State,
    instance: usize,
    report: Report,
    source: Source,
) -> Observed {
    let newest = state.instances[instance];
    if report.version < newest.stored.version || (newest.stored.inactive && source == Source::Event) {
        return Observed::Stale;
    }
    let newer = report.version > newest.stored.version;
    let mut next = *state;
    let stored = &mut next.instances[instance].stored;
    if newer {
        *stored = report;
    } else if report.dated && !model.has(Mutation::UndatedForGood) {
        stored.dated = true;
    }
    let stored = *stored;
    for index in model.tasks() {
        let hold = next.tasks[index].reservations[instance].hold;
        if hold == Hold::NotCounted && counts(model, &next, index, (instance, stored), source) {
            next.tasks[index].reservations[instance].hold = Hold::Counted;
        }
    }
    let age = age(model, &newest, report, source);
    let others = others_after(model, &next, (instance, report), &newest, age);
    let is_doubtful = others.is_none();
    let after = &mut next.instances[instance];
    after.others = others.unwrap_or(newest.others);
    after.stored.remaining = match after.others {
        Others::Besides(_) => 0,
        _ if is_doubtful => newest.stored.remaining,
        _ => report.remaining,
    };
    if next == *state {
        return Observed::Unchanged;
    }
    if newer && tells_nothing_else(&next.instances[instance], &newest) {
        if is_doubtful {
            return Observed::Stale;
        }
        if let Others::Besides(_) = newest.others {
            return Observed::Expected;
        }
    }
    let before = std::mem::replace(state, next);
    state.touch_instance(instance, None);
    if offers_more(model, &before, state, instance) {
        Observed::Recorded
    } else {
        Observed::Noted
    }
}

/// Whether a newer report tells nothing but what the record tells already.
fn tells_nothing_else(after: &Instance, newest: &Instance) -> bool {
    after.others == newest.others
        && after.stored.remaining == newest.stored.remaining
        && after.stored.inactive == newest.stored.inactive
}

/// What is known of the use by others once a report is taken in; `None` when the report may be older than what is
/// known of our tasks, and cannot be explained by it.
///
/// They use what they used before if that explains the report. They use more as soon as it says so, and less only
/// when ECS says so once more upon a question: the difference may be a task of ours whose end is not known yet.
fn others_after(
    model: &Model,
    next: &State,
    (instance, report): (usize, Report),
    newest: &Instance,
    age: Age,
) -> Option<Others> {
    let is_repeated = next.instances[instance].stored.version == newest.stored.version;
    let (before, was_in_doubt) = match newest.others {
        Others::Unknown => return Some(Others::Unknown),
        // The report that is stored comes again: who was taken for its use may have ended since.
        Others::Besides(_) if is_repeated && model.has(Mutation::RepeatSaysNothing) => {
            return Some(newest.others);
        }
        Others::Besides(used) => (used, false),
        Others::InDoubt(used) => (used, true),
    };
    let (mut counted, mut in_doubt) = (0, false);
    for index in model.tasks() {
        match next.tasks[index].reservations[instance].hold {
            Hold::None => {}
            Hold::Pending | Hold::NotCounted => in_doubt = true,
            Hold::Counted => counted += model.demand(index),
        }
    }
    let used = model.world.instances[instance].saturating_sub(report.remaining);
    let most = used.saturating_sub(counted);
    let is_explained = most == before && (used >= counted || before == 0);
    if is_explained {
        return Some(Others::Besides(before));
    }
    if age == Age::MayBeOlder {
        return None;
    }
    let for_certain = most == 0 || !in_doubt;
    let is_believed = most >= before || (was_in_doubt && age == Age::AskedFor);
    Some(if for_certain && is_believed {
        Others::Besides(most)
    } else {
        Others::InDoubt(before)
    })
}
