//! What the world does by itself, and what goes wrong.

use crate::action::{Action, Actor, Successor, Successors};
use crate::admitter::resolve::deliver_delayed;
use crate::ecs;
use crate::state::{
    Admitter, Cluster, Message, Progress, Reconciler, ReconcilerStep, Run, State, Step, Submission,
    TrackerStep, Turn, Wave,
};
use crate::tracker;
use crate::world::{Model, Mutation};

/// Adds what happens without anybody's fault.
pub(crate) fn world_steps(model: &Model, state: &State, out: &mut Successors) {
    for index in model.tasks() {
        if state.tasks[index].run == Run::Live {
            out.add(state, Actor::World, "a task ends", index, |next| {
                ecs::stop(model, next, index)
            });
        }
        if state.tasks[index].delayed_attempt != 0 {
            out.add(
                state,
                Actor::World,
                "a delayed RunTask call arrives",
                index,
                |next| deliver_delayed(model, next, index),
            );
        }
    }
    for index in model.instances() {
        if state.instances[index].foreign > 0 {
            out.add(state, Actor::World, "a foreign task ends", index, |next| {
                ecs::stop_foreign(model, next, index)
            });
        }
    }
    if let Turn::Abandoned(message) = state.cluster.turn {
        out.add(
            state,
            Actor::World,
            "a dead holder's lease ends, its message comes back",
            0,
            |next| {
                next.cluster.turn = Turn::Free;
                come_back(next, message);
                Ok(())
            },
        );
    }
}

/// A message is visible in its queue again.
fn come_back(state: &mut State, message: Message) {
    match message {
        Message::None => {}
        Message::Wake => state.send_wake(),
        Message::Submission(index) => state.tasks[usize::from(index)].submission = Submission::Queued,
    }
}

/// Adds the faults of the world: other people's tasks, dead instances, time, repeated submissions.
pub(crate) fn world_faults(model: &Model, state: &State, out: &mut Successors) {
    let left = &state.faults_left;
    for index in model.instances() {
        if left.foreign_tasks > 0 && ecs::remaining(model, state, index) > 0 {
            out.add(state, Actor::Fault, "a foreign task starts", index, |next| {
                next.faults_left.foreign_tasks -= 1;
                ecs::start_foreign(model, next, index)
            });
        }
        if left.dead_instances > 0 && !state.instances[index].dead {
            out.add(state, Actor::Fault, "an instance dies", index, |next| {
                next.faults_left.dead_instances -= 1;
                ecs::die(model, next, index)
            });
        }
    }
    for index in model.tasks() {
        let task = &state.tasks[index];
        let open = task.progress == Progress::Reserved && !task.old && task.delayed_attempt == 0;
        if left.long_pauses > 0 && open {
            out.add(state, Actor::Fault, "more than an hour passes", index, |next| {
                next.faults_left.long_pauses -= 1;
                next.tasks[index].old = true;
                ecs::forget(&mut next.tasks[index]);
                for admitter in &mut next.admitters {
                    admitter.too_late |= admitter.wave.contains(&Wave::Reserved);
                }
                Ok(())
            });
        }
        if left.duplicates > 0
            && task.submission == Submission::Done
            && model.world.submitted & (1 << index) != 0
        {
            out.add(
                state,
                Actor::Fault,
                "a submission is delivered once more",
                index,
                |next| {
                    next.faults_left.duplicates -= 1;
                    next.tasks[index].submission = Submission::Queued;
                    Ok(())
                },
            );
        }
    }
}

/// Adds deaths and pauses of invocations.
pub(crate) fn invocation_faults(model: &Model, state: &State, out: &mut Successors) {
    let left = &state.faults_left;
    if left.crashes > 0 {
        for by in 0..state.admitters.len() {
            if state.admitters[by].step != Step::Idle {
                out.add(state, Actor::Fault, "an admitter dies", by, |next| {
                    next.faults_left.crashes -= 1;
                    die(model, next, by);
                    Ok(())
                });
            }
        }
        if state.tracker.step != TrackerStep::Idle {
            out.add(
                state,
                Actor::Fault,
                "capacity-tracker dies, its event comes again",
                0,
                |next| {
                    next.faults_left.crashes -= 1;
                    tracker::give_back(next)
                },
            );
        }
        if state.reconciler.step != ReconcilerStep::Idle {
            out.add(state, Actor::Fault, "reconciler dies", 0, |next| {
                next.faults_left.crashes -= 1;
                next.reconciler = Reconciler::default();
                Ok(())
            });
        }
    }
    if left.expiries > 0
        && let Turn::Held(holder) = state.cluster.turn
    {
        let by = usize::from(holder);
        out.add(
            state,
            Actor::Fault,
            "the holder is paused, its lease ends",
            by,
            |next| {
                next.faults_left.expiries -= 1;
                next.cluster.turn = Turn::Free;
                Ok(())
            },
        );
        out.add(
            state,
            Actor::Fault,
            "the holder is paused, its lease ends, its message comes back",
            by,
            |next| {
                next.faults_left.expiries -= 1;
                next.cluster.turn = Turn::Free;
                come_back(next, next.admitters[by].message);
                next.admitters[by].message = Message::None;
                Ok(())
            },
        );
    }
}

fn holds_turn(state: &State, by: usize) -> bool {
    state.cluster.turn == Turn::Held(u8::try_from(by).unwrap_or(u8::MAX))
}

fn die(model: &Model, state: &mut State, by: usize) {
    let message = state.admitters[by].message;
    if holds_turn(state, by) {
        if model.has(Mutation::EarlyRedelivery) {
            state.cluster.turn = Turn::Abandoned(Message::None);
            come_back(state, message);
        } else {
            state.cluster.turn = Turn::Abandoned(message);
        }
    } else {
        come_back(state, message);
    }
    state.admitters[by] = Admitter::default();
}

/// Adds, for a call of an admitter, that it took effect and its answer was lost.
pub(crate) fn lost_reply(model: &Model, state: &State, by: usize, call: &Successor, out: &mut Successors) {
    let before = &state.admitters[by];
    let Ok(after) = &call.outcome else { return };
    let fault = call.action.actor == Actor::Fault;
    if state.faults_left.lost_replies == 0 || fault || matches!(before.step, Step::Launch) {
        return;
    }
    let mut next = *after;
    next.faults_left.lost_replies -= 1;
    let message = if before.step == Step::Idle {
        after.admitters[by].message
    } else {
        before.message
    };
    let took_turn = holds_turn(after, by) && !holds_turn(state, by);
    let not_handed_back = matches!(before.step, Step::HandBack | Step::GiveUp) && holds_turn(state, by);
    if took_turn || not_handed_back {
        abandon(model, &mut next, by, message);
    } else if matches!(before.step, Step::Idle | Step::Enqueue | Step::LookAhead) {
        // Before the submission is stored whole, its message itself comes again.
        come_back(&mut next, message);
        next.admitters[by] = Admitter::default();
    } else {
        if let Message::Submission(index) = message {
            next.tasks[usize::from(index)].submission = Submission::InHand;
        }
        next.admitters[by] = Admitter {
            step: Step::GiveUp,
            message,
            ..Admitter::default()
        };
    }
    next.normalise();
    let what = "the answer to the next call is lost";
    let action = Action {
        actor: Actor::Fault,
        what,
        subject: call.action.subject,
    };
    out.all.push(Successor {
        action,
        outcome: Ok(next),
    });
}

/// The turn stands although nobody is at work. A wake message comes again by itself after the lease; for a
/// submission, which is stored and done, one is sent that arrives after the lease.
fn abandon(model: &Model, state: &mut State, by: usize, message: Message) {
    let mut later = message;
    if let Message::Submission(index) = message {
        state.tasks[usize::from(index)].submission = Submission::Done;
        later = Message::Wake;
        if model.has(Mutation::WakeAtOnceAfterFailure) {
            state.send_wake();
            later = Message::None;
        }
    }
    let Cluster { attention, wakes, .. } = state.cluster;
    state.cluster = Cluster {
        attention,
        wakes,
        turn: Turn::Abandoned(later),
    };
    state.admitters[by] = Admitter::default();
}
