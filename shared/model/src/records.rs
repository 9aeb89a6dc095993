//! Berth's capacity records and what may change them, as in `berth-scheduler`.

use crate::ecs::remaining;
use crate::property::Violation;
use crate::state::{Hold, Progress, Report, Reservation, Run, State, Task, TaskSet};
use crate::world::{Model, Mutation, Timestamps};

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    Updated,
    Unchanged,
    Stale,
}

fn reserved_on(task: &Task, instance: usize) -> bool {
    task.reservations[instance].hold != Hold::None
}

/// Whether room for a task is recorded as placed somewhere.
pub(crate) fn is_placed(task: &Task) -> bool {
    let placed = |it: &Reservation| matches!(it.hold, Hold::NotCounted | Hold::Counted);
    task.reservations.iter().any(placed)
}

/// Whether room for a task is reserved somewhere and no answer about it is recorded.
pub(crate) fn is_open(task: &Task) -> bool {
    task.reservations.iter().any(|it| it.hold == Hold::Pending)
}

/// Free room: the smaller of what ECS reported minus our tasks it did not count, and of all room minus all
/// our tasks.
pub(crate) fn room(model: &Model, state: &State, instance: usize) -> u8 {
    let stored = &state.instances[instance].stored;
    if stored.inactive {
        return 0;
    }
    let (mut not_counted, mut all) = (0, 0);
    for index in model.tasks() {
        let task = &state.tasks[index];
        if reserved_on(task, instance) {
            all += model.demand(index);
            if task.reservations[instance].hold != Hold::Counted || model.has(Mutation::SubtractUntilStopped)
            {
                not_counted += model.demand(index);
            }
        }
    }
    let reported = stored.remaining.saturating_sub(not_counted);
    reported.min(model.world.instances[instance].saturating_sub(all))
}

/// Whether the report stored for an instance counts a task that was placed there.
fn is_counted(model: &Model, state: &State, index: usize, instance: usize) -> bool {
    let task = &state.tasks[index];
    let stored = &state.instances[instance].stored;
    let newer = stored.version > task.reservations[instance].at_version;
    let all_equal = model.world.timestamps == Timestamps::AllEqual;
    match model.mutation {
        Some(Mutation::SettleAtReply) => true,
        Some(Mutation::SettleOnAnyNewerVersion) => newer,
        _ => newer && stored.dated && (all_equal || stored.version >= task.created_at_version),
    }
}

/// Applies a report to a capacity record. `placed_before` are the tasks recorded as placed before ECS was
/// asked; an event has none.
pub(crate) fn observe(
    model: &Model,
    state: &mut State,
    instance: usize,
    report: Report,
    placed_before: TaskSet,
) -> Observed {
    let newest = state.instances[instance].stored;
    if report.version < newest.version || (newest.inactive && report.dated) {
        return Observed::Stale;
    }
    let before = *state;
    let stored = &mut state.instances[instance].stored;
    if report.version > newest.version {
        *stored = report;
    } else if report.dated && !model.has(Mutation::UndatedForGood) {
        stored.dated = true;
    }
    let version = stored.version;
    for index in model.tasks() {
        let reservation = state.tasks[index].reservations[instance];
        if reservation.hold == Hold::NotCounted {
            let asked = placed_before & (1 << index) != 0 && version > reservation.at_version;
            if asked || is_counted(model, state, index, instance) {
                state.tasks[index].reservations[instance].hold = Hold::Counted;
            }
        }
    }
    if before == *state {
        return Observed::Unchanged;
    }
    state.touch_instance(instance, None);
    Observed::Updated
}

/// Records that ECS placed an attempt on an instance; false when nothing changes.
pub(crate) fn place(
    model: &Model,
    state: &mut State,
    index: usize,
    (attempt, instance): (u8, u8),
    by: Option<usize>,
) -> bool {
    let instance = usize::from(instance);
    let counted = is_counted(model, state, index, instance);
    let reservation = &mut state.tasks[index].reservations[instance];
    if reservation.hold != Hold::Pending || reservation.attempt != attempt {
        return false;
    }
    reservation.hold = if counted { Hold::Counted } else { Hold::NotCounted };
    state.touch_instance(instance, by);
    true
}

/// Takes back the reservation of an attempt on an instance; false when there is none.
pub(crate) fn release(
    state: &mut State,
    index: usize,
    (attempt, instance): (u8, u8),
    by: Option<usize>,
) -> bool {
    let instance = usize::from(instance);
    let reservation = &mut state.tasks[index].reservations[instance];
    if reservation.hold == Hold::None || reservation.attempt != attempt {
        return false;
    }
    *reservation = Reservation::default();
    state.touch_instance(instance, by);
    true
}

/// Moves a task's record on.
pub(crate) fn advance(state: &mut State, index: usize, progress: Progress, by: Option<usize>) {
    state.tasks[index].progress = progress;
    state.touch_task(index, by);
    if let Some(by) = by {
        state.admitters[by].fresh_tasks |= 1 << index;
    }
}

/// Writes the capacity record's half of a reservation. Checks what must hold at that moment.
pub(crate) fn reserve_room(
    model: &Model,
    state: &mut State,
    index: usize,
    (attempt, instance): (u8, u8),
    by: usize,
) -> Result<(), Violation> {
    let instance = usize::from(instance);
    no_overtaking(model, state, index, instance, by)?;
    no_overcommit(model, state, index, instance)?;
    // A pass resolves what is open before it plans, and plans nothing for a task whose reservation stays
    // open: so there is one reservation per task and instance.
    if model.mutation.is_none() && reserved_on(&state.tasks[index], instance) {
        return Err(Violation::ModelTooSmall);
    }
    state.tasks[index].reservations[instance] = Reservation {
        hold: Hold::Pending,
        attempt,
        at_version: state.instances[instance].stored.version,
    };
    state.touch_instance(instance, Some(by));
    Ok(())
}

/// Writes the task's half of a reservation: from now on it may be launched. Its room must still be there.
pub(crate) fn reserve_task(
    model: &Model,
    state: &mut State,
    index: usize,
    (attempt, instance): (u8, u8),
    by: usize,
) -> Result<(), Violation> {
    let task = &mut state.tasks[index];
    let reservation = task.reservations[usize::from(instance)];
    let room_is_gone = reservation.hold != Hold::Pending || reservation.attempt != attempt;
    if room_is_gone && !model.has(Mutation::TaskFirst) {
        return Err(Violation::Overcommitted);
    }
    task.attempt = attempt;
    task.instance = instance;
    task.entry &= !model.has(Mutation::DequeueAtReserve);
    advance(state, index, Progress::Reserved, Some(by));
    Ok(())
}

/// No higher-ranked task that waited when the pass began still waits and fits in the room taken.
fn no_overtaking(
    model: &Model,
    state: &State,
    index: usize,
    instance: usize,
    by: usize,
) -> Result<(), Violation> {
    let room = room(model, state, instance);
    let overtaken = |higher: usize| {
        state.admitters[by].visible & (1 << higher) != 0
            && state.tasks[higher].progress == Progress::Waiting
            && model.demand(higher) <= room
    };
    if (0..index).any(overtaken) {
        Err(Violation::Overtaken)
    } else {
        Ok(())
    }
}

/// The room is really there: by ECS's truth if only Berth starts tasks, and in any case by the stored report
/// and the truth about which of our tasks it counts.
fn no_overcommit(model: &Model, state: &State, index: usize, instance: usize) -> Result<(), Violation> {
    let need = model.demand(index);
    let stored = &state.instances[instance].stored;
    let (mut uncounted, mut unstarted) = (0, 0);
    for other in model
        .tasks()
        .filter(|&other| reserved_on(&state.tasks[other], instance))
    {
        let task = &state.tasks[other];
        let ran_here = task.run != Run::Never && usize::from(task.run_instance) == instance;
        if !ran_here || task.created_at_version == 0 || task.created_at_version > stored.version {
            uncounted += model.demand(other);
        }
        if !ran_here {
            unstarted += model.demand(other);
        }
    }
    let by_report = stored.remaining.saturating_sub(uncounted);
    let by_truth = remaining(model, state, instance).saturating_sub(unstarted);
    let alone = state.instances[instance].foreign == 0
        && model.world.faults.foreign_tasks == 0
        && model.world.faults.dead_instances == 0;
    let dates_tell = model.world.timestamps == Timestamps::Ordered;
    if (dates_tell && by_report < need) || (alone && by_truth < need) {
        return Err(Violation::Overcommitted);
    }
    Ok(())
}
