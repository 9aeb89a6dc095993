//! What the calls do when they arrive, under the eyes of the referee.

use berth_control::ports::{
    Attention, Change, Committed, DescribedInstance, FallAsleep, Inspector as _, LaunchCall, Launcher as _,
    Ledger as _, PassStart, PortError, Turn, TurnRequest, WaitingList,
};
use berth_control::records::TaskRecord;
use berth_scheduler::id::{ClusterName, ContainerInstanceArn, Generation, TaskArn};
use berth_scheduler::instance::InstanceRecord;
use berth_scheduler::launch::{LaunchOutcome, RefusalKind};
use berth_scheduler::progress::TaskState;
use berth_scheduler::report::TaskReport;
use berth_scheduler::snapshot::InstanceView;
use berth_scheduler::timestamp::Timestamp;
use futures_util::FutureExt as _;

use super::agenda::{InvocationNumber, OwnedChange};
use super::fault::FaultKind;
use super::mutation::Mutation;
use super::referee::Invariant;
use super::world::{World, short};

/// A stale Describe answer is at most this old, in milliseconds.
const STALE_MS_MAX: u64 = 60_000;

/// The ports in memory answer at once.
pub(super) fn at_once<T>(answer: impl Future<Output = Result<T, PortError>>) -> Result<T, PortError> {
    let never = PortError::Failed {
        operation: "a port in memory",
        message: "it did not answer at once".to_owned(),
    };
    answer.now_or_never().unwrap_or(Err(never))
}

/// A conditional write arrives.
pub(super) fn commit(world: &World, mut change: OwnedChange) -> Result<Committed, PortError> {
    let task_before = match &change.task {
        Some(task) => at_once(world.ledger.load_task(&task.id))?,
        None => None,
    };
    let instance_before = match &change.instance {
        Some((cluster, record)) => at_once(world.ledger.load_instance(cluster, record.arn()))?,
        None => None,
    };
    if let Some(mutation) = world.mutation {
        if let Some((_, record)) = &mut change.instance {
            *record = mutation.write_instance(record, instance_before.as_ref());
        }
        if let (Mutation::BlindWrite, Some(task), Some(before)) = (mutation, &mut change.task, &task_before) {
            task.revision = before.revision.next();
        }
    }
    if world.has(Mutation::StaleRead)
        && let Some((cluster, _)) = &change.instance
    {
        let views = world.views(cluster);
        world
            .past_views
            .borrow_mut()
            .push_back((world.now(), cluster.clone(), views));
    }
    let committed = at_once(
        world.ledger.commit(Change {
            task: change.task.as_ref(),
            instance: change
                .instance
                .as_ref()
                .map(|(cluster, record)| (cluster, record)),
        }),
    )?;
    world.note(|| describe_commit(&change, committed));
    if committed != Committed::Done {
        return Ok(committed);
    }
    if let Some(task) = &change.task {
        world.referee.borrow_mut().task_stored(task_before.as_ref(), task);
        if let Some(on) = begins(task_before.as_ref(), task) {
            world.referee.borrow_mut().begins(task, on);
        }
        if world.has(Mutation::DequeueAtReservation) && begins(task_before.as_ref(), task).is_some() {
            let (lane, rank) = (&task.lane, &task.rank);
            at_once(world.ledger.dequeue(&task.cluster, lane, rank, task.revision))?;
        }
    }
    if let Some((_, record)) = &change.instance {
        world.referee.borrow_mut().instance_stored(
            instance_before.as_ref(),
            record,
            !world.is_on(FaultKind::StaleDescribe),
        );
        if let Some(before) = &instance_before {
            watch_reservations(world, change.by, before, record)?;
        }
    }
    Ok(committed)
}

/// Where an attempt begins with this write.
fn begins<'t>(before: Option<&TaskRecord>, after: &'t TaskRecord) -> Option<&'t ContainerInstanceArn> {
    let waited = before.is_some_and(|it| matches!(it.progress.state, TaskState::Waiting { .. }));
    match &after.progress.state {
        TaskState::Reserved(reserved) if waited => Some(&reserved.instance),
        _ => None,
    }
}

/// Whether this is to strike off an attempt that was not begun.
pub(super) fn strikes_off(world: &World, change: &OwnedChange) -> Result<bool, PortError> {
    let Some(task) = &change.task else {
        return Ok(false);
    };
    let before = at_once(world.ledger.load_task(&task.id))?;
    Ok(before.is_some_and(|before| {
        let waits = |it: &TaskRecord| matches!(it.progress.state, TaskState::Waiting { .. });
        waits(&before) && waits(task) && before.progress.attempt < task.progress.attempt
    }))
}

/// Room was taken on an instance: did somebody wait for it who comes first?
fn watch_reservations(
    world: &World,
    by: InvocationNumber,
    before: &InstanceRecord,
    after: &InstanceRecord,
) -> Result<(), PortError> {
    let known = &before.state().reservations;
    let new = after.pending_attempts().filter(|it| !known.contains_key(*it));
    for attempt in new {
        let Some(task) = at_once(world.ledger.load_task(&attempt.task))? else {
            continue;
        };
        let is_put_back = match &task.progress.state {
            TaskState::Reserved(reserved) => {
                task.progress.attempt == attempt.number && reserved.instance == *after.arn()
            }
            _ => false,
        };
        if !is_put_back {
            // An entry that was damaged a moment ago is seen by nobody.
            let waiting_now = world.waiters(&task.cluster);
            let policy = world.policy();
            let mut referee = world.referee.borrow_mut();
            referee.reserved(by, &task, before, policy, &waiting_now);
        }
    }
    Ok(())
}

fn describe_commit(change: &OwnedChange, committed: Committed) -> String {
    let task = change.task.as_ref().map(|task| {
        let state = match &task.progress.state {
            TaskState::Waiting { last_refusal } => {
                let lane: String = task.lane.as_str().chars().take(6).collect();
                let priority = task.rank.priority().get();
                format!("waiting in {lane} with priority {priority} ({last_refusal:?})")
            }
            TaskState::Reserved(reserved) => format!("reserved on {}", short(reserved.instance.id())),
            TaskState::Started(started) => format!("started as {}", short(started.task.as_str())),
            TaskState::Doubt { .. } => "in doubt".to_owned(),
            TaskState::Final(task) => format!("{:?} ({})", task.outcome, task.reason),
        };
        format!(" `{}` attempt {} {state};", task.id, task.progress.attempt)
    });
    let instance = change.instance.as_ref().map(|(_, record)| {
        let state = record.state();
        format!(
            " {} version {} revision {}: {} MiB free, {} reservations;",
            short(state.instance.id()),
            state.version,
            state.revision,
            record.room().memory.get(),
            state.reservations.len()
        )
    });
    format!(
        "#{} writes{}{} {committed:?}",
        change.by.0,
        task.unwrap_or_default(),
        instance.unwrap_or_default()
    )
}

/// For the mutation that reads late: the records as they were two seconds ago.
pub(super) fn views_before(world: &World, cluster: &ClusterName) -> Vec<InstanceView> {
    let past = world.past_views.borrow();
    let late = |at: &Timestamp| world.now().millis_since(*at) < 2_000;
    let then = past.iter().find(|(at, of, _)| of == cluster && late(at));
    then.map_or_else(|| world.views(cluster), |(_, _, views)| views.clone())
}

pub(super) fn bump(
    world: &World,
    by: InvocationNumber,
    cluster: &ClusterName,
) -> Result<Attention, PortError> {
    let attention = at_once(world.ledger.bump(cluster))?;
    let mut bumps = world.bumps.borrow_mut();
    let count = bumps.entry(cluster.clone()).or_default();
    *count += 1;
    world.note(|| format!("#{} counts generation {count}: {attention:?}", by.0));
    Ok(attention)
}

pub(super) fn take_turn(
    world: &World,
    by: InvocationNumber,
    cluster: &ClusterName,
    owner: &str,
    now: Timestamp,
    until: Timestamp,
) -> Result<TurnRequest, PortError> {
    let answer = at_once(world.ledger.take_turn(cluster, owner, now, until))?;
    world.note(|| match &answer {
        TurnRequest::Taken(turn, _) => format!("#{} takes the turn {}", by.0, turn.epoch),
        TurnRequest::HeldUntil(_) => format!("#{} finds the turn taken", by.0),
    });
    if let TurnRequest::Taken(turn, start) = &answer {
        world.referee.borrow_mut().turn_taken(cluster, turn.epoch);
        pass_begins(world, by, cluster, start);
    }
    Ok(answer)
}

pub(super) fn begin_pass(
    world: &World,
    by: InvocationNumber,
    turn: &Turn,
) -> Result<Option<PassStart>, PortError> {
    let start = at_once(world.ledger.begin_pass(turn))?;
    if let Some(start) = &start {
        pass_begins(world, by, &turn.cluster, start);
    }
    Ok(start)
}

fn pass_begins(world: &World, by: InvocationNumber, cluster: &ClusterName, start: &PassStart) {
    let generation = start.generation;
    let waiters = world.waiters(cluster);
    world.note(|| {
        format!(
            "#{} begins a pass at generation {generation}, {} wait",
            by.0,
            waiters.len()
        )
    });
    world.referee.borrow_mut().pass_begins(by, cluster, waiters);
}

pub(super) fn hand_back(world: &World, by: InvocationNumber, turn: &Turn) -> Result<(), PortError> {
    world.note(|| format!("#{} hands back the turn {}", by.0, turn.epoch));
    at_once(world.ledger.hand_back(turn))
}

pub(super) fn fall_asleep(
    world: &World,
    by: InvocationNumber,
    turn: &Turn,
    seen: Generation,
    waiting: WaitingList,
) -> Result<FallAsleep, PortError> {
    let seen = if world.has(Mutation::SleepUnchecked) {
        let bumps = world.bumps.borrow();
        Generation::new(bumps.get(&turn.cluster).copied().unwrap_or(0))
    } else {
        seen
    };
    let waiting = if world.has(Mutation::IdleTooSoon) {
        WaitingList::Empty
    } else {
        waiting
    };
    let answer = at_once(world.ledger.fall_asleep(turn, seen, waiting))?;
    world.note(|| {
        format!(
            "#{} falls asleep at generation {seen}, {waiting:?}: {answer:?}",
            by.0
        )
    });
    Ok(answer)
}

/// A RunTask call arrives, in time or late (`by` nobody any more).
pub(super) fn launch(world: &World, by: Option<InvocationNumber>, call: &LaunchCall) -> LaunchOutcome {
    let mut call = call.clone();
    let own_token = call.client_token.clone();
    let refusals = world
        .refused_tokens
        .borrow()
        .get(&own_token)
        .copied()
        .unwrap_or(0);
    if world.has(Mutation::FreshToken) {
        world.tokens_drawn.set(world.tokens_drawn.get() + 1);
        call.client_token = format!("token-{}", world.tokens_drawn.get());
    } else if refusals > 0 {
        // To ECS this is the first call under a token that it has forgotten.
        call.client_token = format!("{}-{refusals}", own_token.get(..50).unwrap_or_default());
    }
    let mut outcome = world
        .ecs
        .run_task(&call)
        .now_or_never()
        .unwrap_or(LaunchOutcome::Throttled);
    match &mut outcome {
        LaunchOutcome::Placed { task, created_at } => {
            // A repeated call is answered with the time of the first one.
            let known = world
                .ecs
                .with_ecs(|ecs| ecs.describe_task(&call.cluster, task).ok().flatten());
            *created_at = known.and_then(|known| known.created_at).or(*created_at);
        }
        LaunchOutcome::Refused(refusal) => {
            world.disturb();
            if refusal.kind == RefusalKind::Resource && !world.is_on(FaultKind::ForeignTask) {
                let detail = format!("ECS refused `{}`: {}", call.attempt.task, refusal.reason);
                world.blame(Invariant::NoOvercommit, detail);
            }
            if world.hits(FaultKind::ForgottenRefusal) {
                world.refused_tokens.borrow_mut().insert(own_token, refusals + 1);
            }
        }
        _ => {}
    }
    world.note(|| {
        let by = by.map_or_else(
            || "a late call of RunTask".to_owned(),
            |by| format!("#{} RunTask", by.0),
        );
        let on = short(call.pin.instance.id());
        match &outcome {
            LaunchOutcome::Placed { task, .. } => {
                format!(
                    "{by} for {} on {on}: {}",
                    call.attempt.started_by(),
                    short(task.as_str())
                )
            }
            other => format!("{by} for {} on {on}: {other:?}", call.attempt.started_by()),
        }
    });
    world.observe_ecs();
    outcome
}

/// What Describe says, now and then a little late.
pub(super) fn describe_instances(
    world: &World,
    cluster: &ClusterName,
    instances: &[ContainerInstanceArn],
) -> Result<Vec<DescribedInstance>, PortError> {
    let mut described = at_once(world.ecs.describe_instances(cluster, instances))?;
    let now = world.now();
    for answer in &mut described {
        let DescribedInstance::Found(report) = answer else {
            continue;
        };
        if !world.hits(FaultKind::StaleDescribe) {
            continue;
        }
        let past = world.past_reports.borrow();
        let Some(past) = past.get(&report.instance) else {
            continue;
        };
        let recent: Vec<_> = past
            .iter()
            .filter(|(at, _)| now.millis_since(*at) < STALE_MS_MAX)
            .collect();
        let number = world.fault_number(FaultKind::StaleDescribe, recent.len() as u64);
        if let Some((_, old)) = recent.get(usize::try_from(number).unwrap_or(0)) {
            **report = old.clone();
        }
    }
    if world.has(Mutation::SettleOnAnyNewerVersion) {
        describe_in_the_future(&mut described);
    }
    Ok(described)
}

fn describe_in_the_future(described: &mut [DescribedInstance]) {
    for answer in described {
        if let DescribedInstance::Found(report) = answer {
            report.updated_at = Some(Timestamp::MAX);
        }
    }
}

/// What Describe says about tasks; the newest ones may be missing.
pub(super) fn describe_tasks(
    world: &World,
    cluster: &ClusterName,
    tasks: &[TaskArn],
) -> Result<Vec<TaskReport>, PortError> {
    let mut described = at_once(world.ecs.describe_tasks(cluster, tasks))?;
    if world.hits(FaultKind::StaleDescribe) {
        let settled = |task: &TaskReport| {
            task.created_at
                .is_some_and(|created_at| world.now().millis_since(created_at) > STALE_MS_MAX)
        };
        described.retain(settled);
    }
    Ok(described)
}
