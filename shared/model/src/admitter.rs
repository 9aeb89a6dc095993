//! An invocation of admitter: it takes in a submission or a wake message and runs an admission cycle, one
//! call after the other.

mod end;
mod intake;
mod reserve;
pub(crate) mod resolve;
mod wave;

use crate::action::{Actor, Successors};
use crate::property::Violation;
use crate::records::{open, room};
use crate::state::{Attention, Hold, PassEnd, Progress, State, Step, Turn};
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
        Step::Idle => intake::receive(model, state, by, actor, out),
        Step::Enqueue => add("put the waiting entry", intake::enqueue),
        Step::LookAhead => add("look who is ahead in the lane", intake::look_ahead),
        Step::TakeTurn => add("take the turn, begin a pass", take_turn),
        Step::CountLoss => add("count the news for the holder of the turn", intake::count_loss),
        Step::BeginPass => add(
            "begin another pass: read the generation and the epoch",
            begin_another_pass,
        ),
        Step::LoadLanes => add("load the lanes", load_lanes),
        Step::LoadInstances => add("load the instances", load_instances),
        Step::Resolve => resolve::steps(model, state, by, actor, out),
        Step::Strike => add("strike the orphaned attempt", resolve::strike),
        Step::ReleaseOrphan => add("release the orphaned reservation", resolve::release_orphan),
        Step::LookUp => add("look the task up", resolve::look_up),
        Step::Adopt => add("adopt what was found", resolve::adopt),
        Step::ReadTask => add("read the task's record", reserve::read_task),
        Step::ReserveRoom => reserve::reserve_room(model, state, by, actor, out),
        Step::ReserveTask => reserve::reserve_task(model, state, by, actor, out),
        Step::TakeBack => add("take the reservation back", reserve::take_back),
        Step::RemoveOrphan => add("remove an orphaned entry", reserve::remove_orphan),
        Step::Launch => wave::launch(model, state, by, actor, out),
        Step::Settle => add("settle", wave::settle_next),
        Step::ReadRefusing => add(
            "read the record of the instance that refused",
            wave::read_refusing,
        ),
        Step::DescribeRefusing => add("describe the instance that refused", wave::describe_refusing),
        Step::RecordRefusing => add("record what ECS describes", wave::record_refusing),
        Step::SecondLook => add("look at the fronts of the lanes again", end::second_look),
        Step::EndCycle => add("end the cycle unless the generation moved", end::end_cycle),
        Step::FallAsleep => add("fall asleep in a write of its own", end::fall_asleep),
        Step::HandBack => add("hand back the turn", end::hand_back),
        Step::WakeLater => add("send a wake message, done", end::wake_later),
        Step::GiveUp => add(
            "hand back the turn after a failure, message comes again",
            end::give_up,
        ),
    }
}

/// One write takes the turn, wakes the cluster and tells the generation that the first pass begins with.
fn take_turn(model: &Model, state: &mut State, by: usize) -> Outcome {
    if state.cluster.turn != Turn::Free {
        state.admitters[by].step = Step::CountLoss;
        return Ok(());
    }
    state.cluster.turn = Turn::Held(u8::try_from(by).unwrap_or(u8::MAX));
    state.cluster.attention = Attention::Awake;
    for (index, admitter) in state.admitters.iter_mut().enumerate() {
        admitter.epoch_holds = index == by;
    }
    begin_pass(model, state, by)
}

/// The record that tells the generation tells the epoch, too. A cycle whose turn is another one's by now stops
/// here: two of them could strike and take back each other's reservations without end.
fn begin_another_pass(model: &Model, state: &mut State, by: usize) -> Outcome {
    if state.admitters[by].epoch_holds || model.has(Mutation::GoOnWithoutTurn) {
        return begin_pass(model, state, by);
    }
    state.admitters[by].step = Step::WakeLater;
    Ok(())
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
    state.admitters[by].somebody_waits = waiting != 0;
    if waiting == 0 && model.has(Mutation::NobodyWaitsNothingOpen) {
        end::finish_pass(model, state, by, PassEnd::Complete);
    } else {
        // Even when nobody waits: a holder that was paused may have reserved room for a task that another one
        // started elsewhere meanwhile.
        state.admitters[by].step = Step::LoadInstances;
    }
    Ok(())
}

fn load_instances(model: &Model, state: &mut State, by: usize) -> Outcome {
    if !model.has(Mutation::StaleRead) {
        read_instances(model, state, by);
    }
    if resolve::is_anything_open(&state.admitters[by]) {
        state.admitters[by].step = Step::Resolve;
    } else {
        wave::plan(model, state, by);
    }
    Ok(())
}

fn read_generation(model: &Model, state: &mut State, by: usize) {
    let waits = |index: &usize| {
        let task = &state.tasks[*index];
        task.progress == Progress::Waiting && task.entry
    };
    let visible = model.tasks().filter(waits).fold(0, |set, index| set | 1 << index);
    state.admitters[by].visible = visible;
    state.admitters[by].moved = false;
}

fn read_instances(model: &Model, state: &mut State, by: usize) {
    for index in model.tasks() {
        for instance in model.instances() {
            let reservation = state.tasks[index].reservations[instance];
            state.admitters[by].open[index][instance] = match reservation.hold {
                Hold::Pending => reservation.attempt,
                Hold::None | Hold::NotCounted | Hold::Counted => 0,
            };
        }
    }
    for instance in model.instances() {
        state.admitters[by].room[instance] = room(model, state, instance);
    }
    let under_way = open(model, state);
    let admitter = &mut state.admitters[by];
    admitter.fresh_instances = u8::MAX;
    admitter.under_way = under_way;
}
