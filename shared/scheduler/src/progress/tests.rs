use super::*;
use crate::quantity::Seconds;
use crate::retry::RetryStrategy;

fn instance() -> ContainerInstanceArn {
    ContainerInstanceArn::parse("arn:aws:ecs:us-east-1:1:container-instance/default/a").unwrap()
}

fn task() -> TaskArn {
    TaskArn::parse("arn:aws:ecs:us-east-1:1:task/default/t").unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

#[test]
fn a_refused_attempt_waits_again_and_the_next_one_has_a_new_number() {
    let first = TaskProgress::accepted().reserve(instance(), at(0)).unwrap();
    assert_eq!(first.attempt.get(), 1);
    let waiting = first.requeue(first.attempt, "RESOURCE:MEMORY".into()).unwrap();
    assert_eq!(
        waiting.state,
        TaskState::Waiting {
            last_refusal: Some("RESOURCE:MEMORY".into())
        }
    );
    assert_eq!(waiting.reserve(instance(), at(1)).unwrap().attempt.get(), 2);
}

#[test]
fn a_late_answer_for_an_older_attempt_changes_nothing() {
    let first = TaskProgress::accepted().reserve(instance(), at(0)).unwrap();
    let second = first
        .requeue(first.attempt, "AGENT".into())
        .unwrap()
        .reserve(instance(), at(1))
        .unwrap();
    assert_eq!(second.start(first.attempt, task(), at(2)), Err(MovedOn));
    assert_eq!(second.requeue(first.attempt, "AGENT".into()), Err(MovedOn));
    assert_eq!(
        second.end(
            first.attempt,
            task(),
            TaskEnd::default(),
            &Terms::default(),
            at(2)
        ),
        Err(MovedOn)
    );
}

#[test]
fn an_end_may_come_before_the_start_is_recorded() {
    let reserved = TaskProgress::accepted().reserve(instance(), at(0)).unwrap();
    let ended = reserved
        .end(
            reserved.attempt,
            task(),
            TaskEnd::default(),
            &Terms::default(),
            at(1),
        )
        .unwrap();
    assert!(ended.is_final());
    assert_eq!(ended.start(reserved.attempt, task(), at(1)), Err(MovedOn));
}

#[test]
fn a_token_is_not_sent_again_once_ecs_may_have_forgotten_it() {
    let progress = TaskProgress::accepted().reserve(instance(), at(0)).unwrap();
    let TaskState::Reserved(reserved) = progress.state else {
        panic!()
    };
    assert_eq!(reserved.open_reservation(at(49 * 60)), OpenReservation::CallAgain);
    assert_eq!(reserved.open_reservation(at(50 * 60)), OpenReservation::LookUp);
    let refused = ReservedTask {
        refused: Some("AGENT".into()),
        ..reserved.clone()
    };
    assert_eq!(refused.open_reservation(at(179)), OpenReservation::Wait);
    assert_eq!(refused.open_reservation(at(180)), OpenReservation::CallAgain);
    assert!(!reserved.earlier_calls_are_over(at(179)) && reserved.earlier_calls_are_over(at(180)));
    assert!(!reserved.is_beyond_memory(at(64 * 60)) && reserved.is_beyond_memory(at(65 * 60)));
}

fn request(reason: &str) -> Request {
    Request {
        at: at(5),
        reason: Some(reason.to_owned()),
    }
}

fn exit(code: i32) -> TaskEnd {
    TaskEnd {
        stopped_at: Some(at(100)),
        exit_code: Some(code),
        stop_code: Some("EssentialContainerExited".to_owned()),
        ..TaskEnd::default()
    }
}

fn waiting() -> TaskProgress {
    TaskProgress::accepted()
}

fn reserved() -> TaskProgress {
    waiting().reserve(instance(), at(0)).unwrap()
}

fn started() -> TaskProgress {
    let reserved = reserved();
    reserved.start(reserved.attempt, task(), at(1)).unwrap()
}

fn ended(progress: &TaskProgress, end: TaskEnd, terms: &Terms) -> TaskProgress {
    progress
        .end(progress.attempt, task(), end, terms, at(200))
        .unwrap()
}

fn outcome(progress: &TaskProgress) -> Option<Outcome> {
    match &progress.state {
        TaskState::Final(task) => Some(task.outcome),
        _ => None,
    }
}

fn twice() -> Terms {
    Terms {
        retry: RetryStrategy {
            attempts: 2,
            ..RetryStrategy::default()
        },
        ..Terms::default()
    }
}

#[test]
fn an_end_is_success_failure_or_another_run() {
    let once = Terms::default();
    assert_eq!(
        outcome(&ended(&started(), exit(0), &once)),
        Some(Outcome::Succeeded)
    );
    let failed = ended(&started(), exit(1), &once);
    let TaskState::Final(task) = &failed.state else {
        panic!()
    };
    assert_eq!((task.outcome, task.at), (Outcome::Failed, at(100)));
    let again = ended(&started(), exit(1), &twice());
    assert!(matches!(again.state, TaskState::Waiting { .. }));
    assert_eq!((again.runs.failed, again.attempt.get()), (1, 1));
    let second = again.reserve(instance(), at(300)).unwrap();
    assert_eq!(second.attempt.get(), 2);
    assert_eq!(outcome(&ended(&second, exit(1), &twice())), Some(Outcome::Failed));
}

#[test]
fn a_waiting_task_is_cancelled_at_once_and_a_running_one_when_it_has_stopped() {
    assert_eq!(
        outcome(&waiting().cancel(request("no need")).unwrap()),
        Some(Outcome::Cancelled)
    );
    let stopping = started().cancel(request("no need")).unwrap();
    assert_eq!(stopping.due(&twice(), at(9)), Due::Stop);
    assert_eq!(stopping.cancel(request("again")), Err(NoEffect));
    let killed = ended(&stopping, exit(137), &twice());
    let TaskState::Final(task) = &killed.state else {
        panic!()
    };
    assert_eq!(
        (task.outcome, task.reason.as_str()),
        (Outcome::Cancelled, "cancelled: no need")
    );
    // It was faster than we were.
    assert_eq!(
        outcome(&ended(&stopping, exit(0), &twice())),
        Some(Outcome::Succeeded)
    );
    assert_eq!(killed.cancel(request("late")), Err(NoEffect));
}

#[test]
fn all_who_look_at_a_task_within_a_minute_will_look_again_at_the_same_moment() {
    let again = |millis| TaskProgress::look_again(Timestamp::from_millis(millis)).as_millis();
    assert_eq!(
        (again(0), again(59_999), again(60_000)),
        (120_000, 120_000, 180_000)
    );
    assert_eq!(again(-1), 60_000);
    let cancelled = reserved().cancel(request("no need")).unwrap();
    assert_eq!(cancelled.due(&twice(), at(61)), Due::Later(at(180)));
    assert_eq!(cancelled.due(&twice(), at(119)), Due::Later(at(180)));
}

#[test]
fn a_launch_under_way_is_cancelled_whatever_becomes_of_it() {
    let cancelled = reserved().cancel(request("no need")).unwrap();
    let refused = cancelled.requeue(cancelled.attempt, "AGENT".into()).unwrap();
    assert_eq!(outcome(&refused), Some(Outcome::Cancelled));
    let started = cancelled.start(cancelled.attempt, task(), at(1)).unwrap();
    assert_eq!(started.due(&Terms::default(), at(2)), Due::Stop);
    let lost = cancelled.doubt(cancelled.attempt).unwrap();
    assert_eq!(outcome(&lost), Some(Outcome::Cancelled));
}

#[test]
fn a_task_on_hold_does_not_start_and_keeps_its_attempts() {
    let held = waiting().put_on_hold(request("wait")).unwrap();
    let terms = Terms::default();
    assert!(!held.may_start(&terms, at(9)));
    assert_eq!(held.due(&terms, at(9)), Due::Later(FAR_FUTURE));
    assert_eq!(held.put_on_hold(request("again")), Err(NoEffect));
    assert!(held.release().unwrap().may_start(&terms, at(9)));
    assert_eq!(waiting().release(), Err(NoEffect));
    assert_eq!(started().put_on_hold(request("late")), Err(NoEffect));
    // A launch that is refused comes back on hold.
    let held = reserved().put_on_hold(request("wait")).unwrap();
    let refused = held.requeue(held.attempt, "AGENT".into()).unwrap();
    assert!(!refused.may_start(&terms, at(9)));
}

#[test]
fn a_task_in_doubt_is_for_people_to_decide() {
    let doubt = reserved().doubt(reserved().attempt).unwrap();
    assert_eq!(doubt.due(&twice(), at(9)), Due::Nothing);
    assert!(doubt.retry().unwrap().may_start(&twice(), at(9)));
    assert_eq!(doubt.release(), Err(NoEffect));
    for other in [waiting(), reserved(), started()] {
        assert_eq!(other.retry(), Err(NoEffect));
    }
    assert_eq!(
        outcome(&doubt.cancel(request("it ran")).unwrap()),
        Some(Outcome::Cancelled)
    );
}

#[test]
fn a_task_starts_between_its_two_times_or_expires() {
    let terms = Terms {
        not_before: Some(at(10)),
        start_by: Some(at(20)),
        ..Terms::default()
    };
    assert_eq!(waiting().due(&terms, at(9)), Due::Later(at(10)));
    assert_eq!(waiting().due(&terms, at(10)), Due::Enter(Some(at(20))));
    let Due::Expire(expired) = waiting().due(&terms, at(20)) else {
        panic!()
    };
    assert_eq!(outcome(&expired), Some(Outcome::Expired));
    // A launch under way is not expired, but looked at again.
    assert!(matches!(reserved().due(&terms, at(20)), Due::Later(_)));
    assert_eq!(started().due(&terms, at(20)), Due::Nothing);
    // On hold, it still expires.
    let held = waiting().put_on_hold(request("wait")).unwrap();
    assert_eq!(held.due(&terms, at(9)), Due::Later(at(20)));
    assert!(matches!(held.due(&terms, at(20)), Due::Expire(_)));
}

#[test]
fn a_task_that_runs_for_too_long_is_stopped_and_has_failed_for_good() {
    let terms = Terms {
        timeout: Some(Seconds::new(60)),
        ..twice()
    };
    assert_eq!(started().due(&terms, at(60)), Due::Later(at(61)));
    let Due::TimeOut(stopping) = started().due(&terms, at(61)) else {
        panic!()
    };
    assert_eq!(stopping.due(&terms, at(62)), Due::Stop);
    assert_eq!(
        outcome(&ended(&stopping, exit(137), &terms)),
        Some(Outcome::Failed)
    );
}
