//! capacity-tracker: an event becomes a record, is counted, and wakes the admitter if nobody is awake.

use crate::action::{Actor, Successors};
use crate::property::Violation;
use crate::records::{Ended, Observed, Source, advance, observe, offers_more, place, release};
use crate::state::{Attention, EVENTS, Event, Others, Progress, Report, State, Tracker, TrackerStep};
use crate::world::{Model, Mutation};

/// Adds every possible next call.
pub(crate) fn steps(model: &Model, state: &State, out: &mut Successors) {
    let mut add = |what, change: fn(&Model, &mut State)| {
        out.add(
            state,
            Actor::CapacityTracker,
            what,
            subject(&state.tracker.event),
            |next| {
                change(model, next);
                Ok(())
            },
        );
    };
    match state.tracker.step {
        TrackerStep::Idle => receive(model, state, out),
        TrackerStep::WriteReservation => add("write the reservation", write_reservation),
        TrackerStep::ReadAttention => add("read who looks at news", announce),
        TrackerStep::Count => add("count the news", count),
        TrackerStep::Wake => add("send a wake message", wake),
        TrackerStep::WriteLast => add("write the record, after the announcement", write_last),
    }
}

fn subject(event: &Event) -> usize {
    match event {
        Event::None => 0,
        Event::Instance(index, _)
        | Event::Running(index)
        | Event::Stopped(index)
        | Event::ForeignStopped(index) => usize::from(*index),
    }
}

/// Every event under way can be the next one. Receiving it and the first write are one step: a received
/// event without an effect is as good as one under way.
fn receive(model: &Model, state: &State, out: &mut Successors) {
    for event in under_way(model, state) {
        let what = match event {
            Event::Running(_) => "a RUNNING event is recorded",
            Event::Stopped(_) => "a STOPPED event is recorded",
            Event::ForeignStopped(_) => "a foreign task's STOPPED event comes",
            Event::None | Event::Instance(..) => "an instance event is recorded",
        };
        out.add(state, Actor::CapacityTracker, what, subject(&event), |next| {
            take_away(next, &event);
            handle(model, next, event);
            Ok(())
        });
        if state.faults_left.duplicates > 0 {
            out.add(
                state,
                Actor::Fault,
                "an event is recorded and will come again",
                subject(&event),
                |next| {
                    next.faults_left.duplicates -= 1;
                    handle(model, next, event);
                    Ok(())
                },
            );
        }
        if state.faults_left.losses > 0 {
            out.add(state, Actor::Fault, "an event is lost", subject(&event), |next| {
                next.faults_left.losses -= 1;
                take_away(next, &event);
                Ok(())
            });
        }
    }
}

fn under_way(model: &Model, state: &State) -> Vec<Event> {
    let number = |index: usize| u8::try_from(index).unwrap_or(u8::MAX);
    let mut events = Vec::with_capacity(EVENTS);
    for index in model.instances() {
        let mut last = Report::default();
        for report in state.instances[index].events {
            if report.version != 0 && report != last {
                events.push(Event::Instance(number(index), report));
            }
            last = report;
        }
        if state.instances[index].foreign_stopped > 0 {
            events.push(Event::ForeignStopped(number(index)));
        }
    }
    for index in model.tasks() {
        if state.tasks[index].running_event {
            events.push(Event::Running(number(index)));
        }
        if state.tasks[index].stopped_event {
            events.push(Event::Stopped(number(index)));
        }
    }
    events
}

fn take_away(state: &mut State, event: &Event) {
    match event {
        Event::None => {}
        Event::Running(index) => state.tasks[usize::from(*index)].running_event = false,
        Event::Stopped(index) => state.tasks[usize::from(*index)].stopped_event = false,
        Event::ForeignStopped(index) => state.instances[usize::from(*index)].foreign_stopped -= 1,
        Event::Instance(index, report) => {
            let events = &mut state.instances[usize::from(*index)].events;
            if let Some(place) = events.iter_mut().find(|place| *place == report) {
                *place = Report::default();
            }
        }
    }
}

/// The event goes back to where it came from: its invocation died.
pub(crate) fn give_back(state: &mut State) -> Result<(), Violation> {
    let event = state.tracker.event;
    state.tracker = Tracker::default();
    match event {
        Event::None => {}
        Event::Running(index) => state.tasks[usize::from(index)].running_event = true,
        Event::Stopped(index) => state.tasks[usize::from(index)].stopped_event = true,
        Event::ForeignStopped(index) => state.instances[usize::from(index)].foreign_stopped += 1,
        Event::Instance(index, report) => crate::ecs::add_event(state, usize::from(index), report)?,
    }
    Ok(())
}

fn handle(model: &Model, state: &mut State, event: Event) {
    state.tracker.event = event;
    if model.has(Mutation::AnnounceBeforeWrite) {
        announce(model, state);
        return;
    }
    if model.has(Mutation::AttentionBeforeWrite) {
        state.tracker.foreseen = Some(state.cluster.attention);
    }
    record(model, state);
}

/// The first write of an event, and where to go from there.
fn record(model: &Model, state: &mut State) {
    match state.tracker.event {
        Event::None => {}
        Event::Instance(index, report) => {
            record_report(model, state, usize::from(index), report);
        }
        Event::Running(index) => record_task(state, usize::from(index), Progress::Started),
        Event::Stopped(index) => record_task(state, usize::from(index), Progress::Ended),
        // What it gave back, its instance's report tells; whoever read that may have announced nothing.
        Event::ForeignStopped(_) => written(model, state),
    }
}

fn record_report(model: &Model, state: &mut State, instance: usize, report: Report) {
    let before = state.instances[instance].others;
    let observed = observe(model, state, instance, report, Source::Event);
    let is_known = |others: Others| matches!(others, Others::Besides(_));
    let in_doubt = !is_known(before) || !is_known(state.instances[instance].others);
    match observed {
        // It may overtake one that gave room, and whose handler died before it announced that.
        Observed::Noted if in_doubt && !model.has(Mutation::NotedQuietly) => written(model, state),
        Observed::Stale | Observed::Expected | Observed::Noted => done(state),
        Observed::Unchanged if model.has(Mutation::SkipEqualVersion) => done(state),
        Observed::Unchanged | Observed::Recorded => written(model, state),
    }
}

fn record_task(state: &mut State, index: usize, progress: Progress) {
    let task = &state.tasks[index];
    if task.attempt != task.run_attempt {
        done(state);
        return;
    }
    let moves = match task.progress {
        Progress::Reserved => true,
        Progress::Started | Progress::Doubt => progress == Progress::Ended,
        _ => false,
    };
    if moves {
        advance(state, index, progress, None);
    }
    state.tracker.step = TrackerStep::WriteReservation;
}

fn write_reservation(model: &Model, state: &mut State) {
    match state.tracker.event {
        Event::Running(index) => {
            let task = &state.tasks[usize::from(index)];
            let (started, run) = (
                task.progress == Progress::Started,
                (task.run_attempt, task.run_instance),
            );
            // Known is not news, and only a counted task gives anybody more room.
            let before = *state;
            if started
                && place(model, state, usize::from(index), run, None)
                && offers_more(model, &before, state, usize::from(run.1))
            {
                written(model, state);
            } else {
                done(state);
            }
        }
        Event::Stopped(index) => {
            let task = &state.tasks[usize::from(index)];
            let run = (task.run_attempt, task.run_instance);
            release(model, state, usize::from(index), run, Ended::ByReport, None);
            written(model, state);
        }
        Event::None | Event::Instance(..) | Event::ForeignStopped(_) => done(state),
    }
}

/// News are written: now they are announced.
fn written(model: &Model, state: &mut State) {
    if model.has(Mutation::AnnounceBeforeWrite) {
        done(state);
    } else if state.tracker.foreseen.is_some() {
        announce(model, state);
    } else {
        state.tracker.step = TrackerStep::ReadAttention;
    }
}

/// Nobody looks: whoever comes reads everything. Somebody waits and nobody is at work: wake. Somebody is at
/// work: count.
fn announce(model: &Model, state: &mut State) {
    match state.tracker.foreseen.take().unwrap_or(state.cluster.attention) {
        Attention::Idle => announced(model, state),
        Attention::Asleep => state.tracker.step = TrackerStep::Wake,
        Attention::Awake if model.has(Mutation::AwakeIsNotCounted) => announced(model, state),
        Attention::Awake => state.tracker.step = TrackerStep::Count,
    }
}

fn count(model: &Model, state: &mut State) {
    if state.bump() == Attention::Asleep {
        state.tracker.step = TrackerStep::Wake;
    } else {
        announced(model, state);
    }
}

fn wake(model: &Model, state: &mut State) {
    state.send_wake();
    announced(model, state);
}

fn announced(model: &Model, state: &mut State) {
    if model.has(Mutation::AnnounceBeforeWrite) {
        state.tracker.step = TrackerStep::WriteLast;
    } else {
        done(state);
    }
}

/// The mistake's order: all writes after the announcement.
fn write_last(model: &Model, state: &mut State) {
    record(model, state);
    if state.tracker.step == TrackerStep::WriteReservation {
        write_reservation(model, state);
    }
    done(state);
}

fn done(state: &mut State) {
    state.tracker = Tracker::default();
}
