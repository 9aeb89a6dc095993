//! Berth's capacity records and what may change them, as in `berth-scheduler`.

use crate::ecs::{lives_on, remaining};
use crate::property::Violation;
use crate::state::{Hold, Others, Progress, Reservation, Run, State, Task, TaskSet};
use crate::world::{Model, Mutation};

use observation::counts;
pub(crate) use observation::{Observed, Source, observe};

mod observation;

/// Whose end gives a reservation back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// A task's, as ECS reports it.
    ByReport,
    /// Nobody's that ran, as far as its record tells.
    Never,
}

fn reserved_on(task: &Task, instance: usize) -> bool {
    task.reservations[instance].hold != Hold::None
}

/// Tasks for which room is recorded as placed somewhere.
pub(crate) fn placed(model: &Model, state: &State) -> TaskSet {
    let is_placed = |it: &Reservation| matches!(it.hold, Hold::NotCounted | Hold::Counted);
    model
        .tasks()
        .filter(|&index| state.tasks[index].reservations.iter().any(is_placed))
        .fold(0, |set, index| set | 1 << index)
}

/// Tasks for which room is reserved somewhere and no answer about it is recorded.
pub(crate) fn open(model: &Model, state: &State) -> TaskSet {
    let is_open = |it: &Reservation| it.hold == Hold::Pending;
    model
        .tasks()
        .filter(|&index| state.tasks[index].reservations.iter().any(is_open))
        .fold(0, |set, index| set | 1 << index)
}

/// Free room: all room minus all our tasks, and minus what others use; where that is in doubt, at most what ECS
/// reported minus our tasks it did not count.
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
    let unreserved = model.world.instances[instance].saturating_sub(all);
    match state.instances[instance].others {
        Others::Besides(used) => unreserved.saturating_sub(used),
        Others::Unknown | Others::InDoubt(_) => stored.remaining.saturating_sub(not_counted).min(unreserved),
    }
}

/// Whether somebody may start who could not before, or whoever waited for the instance alone waits no more.
pub(crate) fn offers_more(model: &Model, before: &State, after: &State, instance: usize) -> bool {
    let inactive = |state: &State| state.instances[instance].stored.inactive;
    room(model, after, instance) > room(model, before, instance) || inactive(before) != inactive(after)
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
    let stored = state.instances[instance].stored;
    let counted = counts(model, state, index, (instance, stored), Source::Event);
    let reservation = &mut state.tasks[index].reservations[instance];
    if reservation.hold != Hold::Pending || reservation.attempt != attempt {
        return false;
    }
    reservation.hold = if counted { Hold::Counted } else { Hold::NotCounted };
    state.touch_instance(instance, by);
    true
}

/// A report that was made before the end of a task may count it: what it left in doubt is what it was before.
fn leave_doubt(state: &mut State, instance: usize) {
    let it = &mut state.instances[instance];
    if let Others::InDoubt(before) = it.others
        && (!it.stored.dated || it.stored.version < it.ended)
    {
        it.others = Others::Besides(before);
        it.stored.remaining = 0;
    }
}

/// Takes back the reservation of an attempt on an instance; false when there is none.
pub(crate) fn release(
    model: &Model,
    state: &mut State,
    index: usize,
    (attempt, instance): (u8, u8),
    ended: Ended,
    by: Option<usize>,
) -> bool {
    let instance = usize::from(instance);
    let task = state.tasks[index];
    let reservation = &mut state.tasks[index].reservations[instance];
    if reservation.hold == Hold::None || reservation.attempt != attempt {
        return false;
    }
    *reservation = Reservation::default();
    let ran_here = task.run_attempt == attempt && usize::from(task.run_instance) == instance;
    if ended == Ended::ByReport && ran_here {
        let ended = &mut state.instances[instance].ended;
        *ended = task.ended_at_version.max(*ended);
        if !model.has(Mutation::KeepOldDoubt) {
            leave_doubt(state, instance);
        }
    }
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
    let by_report = match state.instances[instance].others {
        Others::Besides(used) => unclaimed(model, state, instance).saturating_sub(used),
        Others::Unknown | Others::InDoubt(_) => stored.remaining.saturating_sub(uncounted),
    };
    let by_truth = remaining(model, state, instance).saturating_sub(unstarted);
    let alone = state.instances[instance].foreign == 0
        && model.world.faults.foreign_tasks == 0
        && model.world.faults.dead_instances == 0;
    let dates_tell = model.world.timestamps == crate::world::Timestamps::Ordered;
    if (dates_tell && by_report < need) || (alone && by_truth < need) {
        return Err(Violation::Overcommitted);
    }
    Ok(())
}

/// What is left of an instance besides others: neither reserved nor really in use.
fn unclaimed(model: &Model, state: &State, instance: usize) -> u8 {
    let claims = |index: &usize| {
        let task = &state.tasks[*index];
        reserved_on(task, instance) || lives_on(task, instance)
    };
    let claimed: u8 = model
        .tasks()
        .filter(claims)
        .map(|index| model.demand(index))
        .sum();
    model.world.instances[instance].saturating_sub(claimed)
}
