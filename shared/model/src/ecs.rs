//! ECS's truth: what really runs where, and what it tells of it.

use crate::property::Violation;
use crate::state::{Report, Run, State, Task};
use crate::world::{Model, Mutation, Refusals};

/// RunTask's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Placed,
    Refused,
}

/// What is really free on an instance.
pub(crate) fn remaining(model: &Model, state: &State, instance: usize) -> u8 {
    let truth = &state.instances[instance];
    if truth.dead {
        return 0;
    }
    let ours: u8 = model
        .tasks()
        .filter(|&task| lives_on(&state.tasks[task], instance))
        .map(|task| model.demand(task))
        .sum();
    model.world.instances[instance]
        .saturating_sub(ours)
        .saturating_sub(truth.foreign)
}

pub(crate) fn lives_on(task: &Task, instance: usize) -> bool {
    task.run == Run::Live && usize::from(task.run_instance) == instance
}

/// What Describe says about an instance now.
pub(crate) fn describe(model: &Model, state: &State, instance: usize) -> Report {
    Report {
        version: state.instances[instance].version,
        remaining: remaining(model, state, instance),
        inactive: state.instances[instance].dead,
        dated: false,
    }
}

/// The instance has changed: a new version, and an event that tells of it.
fn changed(model: &Model, state: &mut State, instance: usize) -> Result<(), Violation> {
    state.instances[instance].version += 1;
    let report = Report {
        dated: true,
        ..describe(model, state, instance)
    };
    add_event(state, instance, report)
}

/// Puts an event on its way.
pub(crate) fn add_event(state: &mut State, instance: usize, report: Report) -> Result<(), Violation> {
    let events = &mut state.instances[instance].events;
    match events.iter_mut().find(|place| place.version == 0) {
        Some(place) => *place = report,
        None => return Err(Violation::ModelTooSmall),
    }
    events.sort_unstable();
    Ok(())
}

/// Carries out a RunTask call of one attempt, pinned to an instance.
pub(crate) fn run_task(
    model: &Model,
    state: &mut State,
    index: usize,
    attempt: u8,
    instance: usize,
) -> Result<Answer, Violation> {
    let room = remaining(model, state, instance);
    let task = &mut state.tasks[index];
    if !model.has(Mutation::FreshToken) {
        let known = matches!(task.run, Run::Live | Run::Stopped) && task.run_attempt == attempt;
        if known {
            return Ok(Answer::Placed);
        }
        if task.refused_attempts & (1 << attempt) != 0 {
            return Ok(Answer::Refused);
        }
    }
    if room < model.demand(index) {
        if model.world.refusals == Refusals::Remembered {
            task.refused_attempts |= 1 << attempt;
        }
        return Ok(Answer::Refused);
    }
    if task.run != Run::Never {
        return Err(Violation::StartedTwice);
    }
    task.run = Run::Live;
    task.run_attempt = attempt;
    task.run_instance = u8::try_from(instance).unwrap_or(u8::MAX);
    task.running_event = true;
    changed(model, state, instance)?;
    state.tasks[index].created_at_version = state.instances[instance].version;
    Ok(Answer::Placed)
}

/// A task ends by itself.
pub(crate) fn stop(model: &Model, state: &mut State, index: usize) -> Result<(), Violation> {
    let instance = usize::from(state.tasks[index].run_instance);
    state.tasks[index].run = Run::Stopped;
    state.tasks[index].stopped_event = true;
    changed(model, state, instance)?;
    state.tasks[index].ended_at_version = state.instances[instance].version;
    Ok(())
}

/// Somebody else's task begins.
pub(crate) fn start_foreign(model: &Model, state: &mut State, instance: usize) -> Result<(), Violation> {
    state.instances[instance].foreign += 1;
    changed(model, state, instance)
}

/// Somebody else's task ends.
pub(crate) fn stop_foreign(model: &Model, state: &mut State, instance: usize) -> Result<(), Violation> {
    state.instances[instance].foreign -= 1;
    state.instances[instance].foreign_stopped += 1;
    changed(model, state, instance)
}

/// An instance dies with everything on it.
pub(crate) fn die(model: &Model, state: &mut State, instance: usize) -> Result<(), Violation> {
    let version = state.instances[instance].version + 1;
    for task in &mut state.tasks {
        if lives_on(task, instance) {
            task.run = Run::Stopped;
            task.stopped_event = true;
            task.ended_at_version = version;
        }
    }
    state.instances[instance].foreign = 0;
    state.instances[instance].dead = true;
    changed(model, state, instance)
}

/// More than an hour passes: ECS forgets what it knew of a task that is not running.
pub(crate) fn forget(task: &mut Task) {
    if task.run == Run::Stopped {
        task.run = Run::Forgotten;
    }
    task.refused_attempts = 0;
}
