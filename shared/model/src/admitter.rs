//! An invocation of admitter: it takes in a submission or a wake message and runs an admission cycle, one
//! call after the other.

pub(crate) mod resolve;
mod wave;

use crate::action::{Actor, Successors};
use crate::property::Violation;
use crate::records::room;
use crate::state::{Admitter, Message, PassEnd, Progress, Reservation, State, Step, Submission, Turn};
use crate::world::{Model, Mutation};

/// What a call leads to.
type Outcome = Result<(), Violation>;

/// Adds every possible next call of an invocation.
pub(crate) fn steps(model: &Model, state: &State, by: usize, out: &mut Successors) {
    let admitter = &state.admitters[by];
    let subject = usize::from(admitter.task);
    let actor = Actor::Admitter(u8::try_from(by).unwrap_or(u8::MAX));
    let mut add = |what, change: fn(&Model, &mut State, usize) -> Outcome| {
        out.add(state, actor, what, subject, |next| change(model, next, by));
    };
    match admitter.step {
        Step::Idle => receive(model, state, by, actor, out),
        Step::Enqueue => add("put the waiting entry", enqueue),
        Step::CountSubmission => add("count the submission", count_submission),
        Step::TakeTurn => add("take the turn", take_turn),
        Step::CountLoss => add("count the news for the holder of the turn, done", count_loss),
        Step::BeginPass => add("begin a pass: awake, read the generation", begin_pass),
        Step::LoadLanes => add("load the lanes", load_lanes),
        Step::LoadInstances => add("load the instances", load_instances),
        Step::Resolve => resolve::steps(model, state, by, actor, out),
        Step::LookUp => add("look the task up", resolve::look_up),
        Step::Adopt => add("adopt what was found", resolve::adopt),
        Step::Reserve => add("reserve", wave::reserve_next),
        Step::RemoveOrphan => add("remove an orphaned entry", wave::remove_orphan),
        Step::Launch => wave::launch(model, state, by, actor, out),
        Step::Settle => add("settle", wave::settle_next),
        Step::HandBack => add("hand back the turn", hand_back),
        Step::FallAsleep => add("fall asleep unless the generation moved", fall_asleep),
        Step::WakeLater => add("send a wake message, done", wake_later),
        Step::GiveUp => add("hand back the turn after a failure, message comes again", give_up),
    }
}

/// A message is received and its first call made: nothing is lost by taking both as one step, because a
/// message in hand without an effect is as good as one in the queue.
fn receive(model: &Model, state: &State, by: usize, actor: Actor, out: &mut Successors) {
    // Idle invocations are alike: only the first one starts.
    let first_idle = state.admitters.iter().position(|it| it.step == Step::Idle);
    if first_idle != Some(by) || by >= model.world.admitters {
        return;
    }
    if state.cluster.wakes > 0 {
        out.add(state, actor, "receive a wake message, take the turn", 0, |next| {
            next.cluster.wakes -= 1;
            next.admitters[by].message = Message::Wake;
            take_turn(model, next, by)
        });
    }
    for index in model
        .tasks()
        .filter(|&index| state.tasks[index].submission == Submission::Queued)
    {
        out.add(
            state,
            actor,
            "receive a submission, put the task's record",
            index,
            |next| {
                put_task(next, by, index);
                Ok(())
            },
        );
    }
}

/// Puts a task's record unless it is there.
pub(crate) fn put_task(state: &mut State, by: usize, index: usize) {
    let number = u8::try_from(index).unwrap_or(u8::MAX);
    let task = &mut state.tasks[index];
    task.submission = Submission::InHand;
    if task.progress == Progress::Absent {
        task.progress = Progress::Waiting;
    }
    let waits = task.progress == Progress::Waiting;
    let admitter = &mut state.admitters[by];
    admitter.message = Message::Submission(number);
    admitter.task = number;
    admitter.step = if waits {
        Step::Enqueue
    } else {
        Step::CountSubmission
    };
}

fn enqueue(_: &Model, state: &mut State, by: usize) -> Outcome {
    let index = usize::from(state.admitters[by].task);
    state.tasks[index].entry = true;
    state.admitters[by].step = Step::CountSubmission;
    Ok(())
}

fn count_submission(_: &Model, state: &mut State, by: usize) -> Outcome {
    state.bump();
    state.admitters[by].step = Step::TakeTurn;
    Ok(())
}

fn take_turn(_: &Model, state: &mut State, by: usize) -> Outcome {
    if state.cluster.turn != Turn::Free {
        state.admitters[by].step = Step::CountLoss;
        return Ok(());
    }
    state.cluster.turn = Turn::Held(u8::try_from(by).unwrap_or(u8::MAX));
    for (index, admitter) in state.admitters.iter_mut().enumerate() {
        admitter.fence_holds = index == by;
    }
    state.admitters[by].step = Step::BeginPass;
    Ok(())
}

fn count_loss(_: &Model, state: &mut State, by: usize) -> Outcome {
    state.bump();
    done(state, by);
    Ok(())
}

/// The invocation ends well: its message is deleted.
fn done(state: &mut State, by: usize) {
    if let Message::Submission(index) = state.admitters[by].message {
        state.tasks[usize::from(index)].submission = Submission::Done;
    }
    state.admitters[by] = Admitter::default();
}

fn begin_pass(model: &Model, state: &mut State, by: usize) -> Outcome {
    if model.has(Mutation::StaleRead) {
        read_instances(model, state, by);
    } else {
        read_generation(model, state, by);
    }
    state.admitters[by].step = Step::LoadLanes;
    Ok(())
}

/// Reads who waits. An open reservation counts as waiting: its entry is removed last.
fn load_lanes(model: &Model, state: &mut State, by: usize) -> Outcome {
    if model.has(Mutation::StaleRead) {
        read_generation(model, state, by);
    }
    let waiting = model
        .tasks()
        .filter(|&index| state.tasks[index].entry)
        .fold(0, |set, index| set | 1 << index);
    state.admitters[by].waiting = waiting;
    if waiting == 0 {
        finish_pass(model, state, by, PassEnd::Complete);
    } else {
        state.admitters[by].step = Step::LoadInstances;
    }
    Ok(())
}

fn load_instances(model: &Model, state: &mut State, by: usize) -> Outcome {
    if !model.has(Mutation::StaleRead) {
        read_instances(model, state, by);
    }
    if state.admitters[by].open == 0 {
        wave::plan(model, state, by);
    } else {
        state.admitters[by].step = Step::Resolve;
    }
    Ok(())
}

fn read_generation(model: &Model, state: &mut State, by: usize) {
    state.cluster.awake = true;
    let waits = |index: &usize| {
        let task = &state.tasks[*index];
        task.progress == Progress::Waiting && task.entry
    };
    let visible = model.tasks().filter(waits).fold(0, |set, index| set | 1 << index);
    state.admitters[by].visible = visible;
    state.admitters[by].moved = false;
}

fn read_instances(model: &Model, state: &mut State, by: usize) {
    let pending = |index: &usize| state.tasks[*index].reservation == Reservation::Pending;
    let open = model
        .tasks()
        .filter(pending)
        .fold(0, |set, index| set | 1 << index);
    for instance in model.instances() {
        state.admitters[by].room[instance] = room(model, state, instance);
    }
    let admitter = &mut state.admitters[by];
    admitter.fresh_instances = u8::MAX;
    admitter.open = open;
    admitter.under_way = open;
}

/// A pass has ended.
fn finish_pass(model: &Model, state: &mut State, by: usize, end: PassEnd) {
    let admitter = &mut state.admitters[by];
    // An instance that refused a task was left out: whoever is held may fit there, and no news may come.
    let left_out = end == PassEnd::Complete && admitter.closed != 0 && !model.has(Mutation::ForgetClosed);
    admitter.end = if left_out { PassEnd::Later } else { end };
    admitter.step = match admitter.end {
        PassEnd::Open | PassEnd::Again => Step::BeginPass,
        PassEnd::Later => Step::HandBack,
        PassEnd::Complete if model.has(Mutation::AsleepFirst) => Step::FallAsleep,
        PassEnd::Complete => Step::HandBack,
        PassEnd::TurnLost => Step::WakeLater,
    };
    if end == PassEnd::TurnLost && model.has(Mutation::TurnLostInSilence) {
        done(state, by);
    }
}

fn free_turn(state: &mut State, by: usize) {
    if state.cluster.turn == Turn::Held(u8::try_from(by).unwrap_or(u8::MAX)) {
        state.cluster.turn = Turn::Free;
    }
}

fn hand_back(model: &Model, state: &mut State, by: usize) -> Outcome {
    free_turn(state, by);
    let complete = state.admitters[by].end == PassEnd::Complete;
    if complete && model.has(Mutation::AsleepFirst) {
        done(state, by);
    } else {
        state.admitters[by].step = if complete {
            Step::FallAsleep
        } else {
            Step::WakeLater
        };
    }
    Ok(())
}

fn fall_asleep(model: &Model, state: &mut State, by: usize) -> Outcome {
    let stays = state.admitters[by].moved && !model.has(Mutation::SleepUnconditionally);
    let turn_first = !model.has(Mutation::AsleepFirst);
    match (stays, turn_first) {
        (true, true) => state.admitters[by].step = Step::TakeTurn,
        (true, false) => state.admitters[by].step = Step::BeginPass,
        (false, true) => {
            state.cluster.awake = false;
            done(state, by);
        }
        (false, false) => {
            state.cluster.awake = false;
            state.admitters[by].step = Step::HandBack;
        }
    }
    Ok(())
}

fn wake_later(_: &Model, state: &mut State, by: usize) -> Outcome {
    state.send_wake();
    done(state, by);
    Ok(())
}

/// A call failed. The submission is stored, so its message is done and a wake message goes on; a wake
/// message comes again by itself.
fn give_up(_: &Model, state: &mut State, by: usize) -> Outcome {
    free_turn(state, by);
    if state.admitters[by].message != Message::None {
        state.send_wake();
    }
    done(state, by);
    Ok(())
}
