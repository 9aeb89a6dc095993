use super::*;

fn workload(rows: &str) -> Workload {
    let text = format!("submit_s,duration_s,cpu_units,memory_mib,gpu,priority,user,count,constraint\n{rows}");
    Workload::parse("t", text.as_bytes()).unwrap()
}

fn fleet(rows: &str) -> Fleet {
    let text = format!("id,az,instance_type,cpu_units,memory_mib,gpu\n{rows}");
    Fleet::parse("f", text.as_bytes()).unwrap()
}

fn rules(unknown_ms: u64, policy: WaitingPolicy) -> Rules {
    Rules {
        unknown_ms,
        policy,
        aging: None,
    }
}

/// A workload whose lines may end in `expected_s`.
fn with_expected(rows: &str) -> Workload {
    let header = "submit_s,duration_s,cpu_units,memory_mib,gpu,priority,user,count,constraint,expected_s";
    Workload::parse("t", format!("{header}\n{rows}").as_bytes()).unwrap()
}

/// The inverted starts when everybody is submitted at the beginning and these tasks start, one a second.
fn inverted(workload: &Workload, fleet: &Fleet, policy: WaitingPolicy, starts: &[usize]) -> u64 {
    let mut referee = Referee::new(workload, fleet, rules(0, policy));
    for task in 0..referee.tasks() {
        referee.submitted(TaskIndex(task));
    }
    let mut now_ms = 10_000;
    for task in starts {
        referee.started_on(TaskIndex(*task), FIRST, now_ms);
        now_ms += 1_000;
    }
    referee.measures().inverted_starts
}

const FIRST: InstanceIndex = InstanceIndex(0);
const SECOND: InstanceIndex = InstanceIndex(1);

fn all_submitted<'a>(workload: &'a Workload, fleet: &'a Fleet, unknown_ms: u64) -> Referee<'a> {
    let mut referee = Referee::new(workload, fleet, rules(unknown_ms, WaitingPolicy::Fill));
    for task in 0..referee.tasks() {
        referee.submitted(TaskIndex(task));
    }
    referee
}

#[test]
fn a_start_before_somebody_more_urgent_who_would_fit_is_inverted() {
    // Task 0 is low, task 1 urgent, task 2 as urgent but submitted later.
    let workload = workload("0,9,1,100,0,1,,1,\n0,9,1,100,0,5,,1,\n1,9,1,100,0,5,,1,");
    let fleet = fleet("i-1,a,t,9,1000,0");
    let mut referee = all_submitted(&workload, &fleet, 0);
    referee.started_on(TaskIndex(0), FIRST, 2_000);
    assert_eq!(referee.measures().inverted_starts, 1);
    referee.started_on(TaskIndex(2), FIRST, 2_001);
    assert_eq!(referee.measures().inverted_starts, 2);
    referee.started_on(TaskIndex(1), FIRST, 2_002);
    assert_eq!(referee.measures().inverted_starts, 2);
}

#[test]
fn who_starts_at_the_same_moment_is_not_passed_over() {
    let workload = workload("0,9,1,100,0,1,,1,\n0,9,1,100,0,5,,2,");
    let fleet = fleet("i-1,a,t,9,200,0");
    let mut referee = all_submitted(&workload, &fleet, 0);
    referee.started_on(TaskIndex(0), FIRST, 0);
    // One urgent task starts too, the other one is left without room.
    referee.started_on(TaskIndex(1), FIRST, 0);
    assert_eq!(referee.measures().inverted_starts, 1);
    let mut referee = all_submitted(&workload, &fleet, 0);
    referee.started_on(TaskIndex(0), FIRST, 0);
    referee.started_on(TaskIndex(1), FIRST, 0);
    referee.started_on(TaskIndex(2), FIRST, 0);
    assert_eq!(referee.measures().inverted_starts, 0);
}

#[test]
fn who_does_not_fit_or_may_not_go_there_or_is_not_submitted_is_not_passed_over() {
    let rows = "0,9,1,100,0,1,,1,\n0,9,1,500,0,9,,1,\n0,9,1,100,0,9,,1,attribute:ecs.availability-zone == b\n7,9,1,6,0,9,,1,";
    let (workload, fleet) = (workload(rows), fleet("i-1,a,t,9,400,0\ni-2,b,t,9,400,0"));
    let mut referee = Referee::new(&workload, &fleet, rules(0, WaitingPolicy::Fill));
    for task in 0..3 {
        referee.submitted(TaskIndex(task));
    }
    referee.started_on(TaskIndex(0), FIRST, 0);
    assert_eq!(referee.measures().inverted_starts, 0);
    let mut referee = all_submitted(&workload, &fleet, 0);
    referee.started_on(TaskIndex(0), SECOND, 0);
    assert_eq!(referee.measures().inverted_starts, 1);
}

#[test]
fn room_that_nobody_can_know_of_yet_counts_for_nobody() {
    let rows = "0,1,1,300,0,9,,1,\n0,1,1,100,0,1,,2,\n0,1,1,300,0,9,,1,";
    let (workload, fleet) = (workload(rows), fleet("i-1,a,t,9,400,0"));
    for (start_ms, inverted) in [(1_199, 0), (1_200, 1)] {
        let mut referee = Referee::new(&workload, &fleet, rules(200, WaitingPolicy::Fill));
        referee.submitted(TaskIndex(0));
        referee.started_on(TaskIndex(0), FIRST, 0);
        for task in 1..4 {
            referee.submitted(TaskIndex(task));
        }
        // 100 MiB are free; the urgent task needs 300.
        referee.started_on(TaskIndex(1), FIRST, 0);
        assert_eq!(referee.measures().inverted_starts, 0);
        referee.ended(TaskIndex(1), 900);
        referee.ended(TaskIndex(0), 1_000);
        referee.started_on(TaskIndex(2), FIRST, start_ms);
        assert_eq!(referee.measures().inverted_starts, inverted, "{start_ms}");
    }
}

#[test]
fn starts_without_room_and_second_starts_are_noticed() {
    let (workload, fleet) = (workload("0,1,1,300,0,0,,2,"), fleet("i-1,a,t,9,400,0"));
    let mut referee = all_submitted(&workload, &fleet, 0);
    referee.started_on(TaskIndex(0), FIRST, 0);
    referee.started_on(TaskIndex(0), FIRST, 0);
    assert_eq!(
        (
            referee.measures().repeated_starts,
            referee.measures().overcommitted
        ),
        (1, 0)
    );
    referee.started_on(TaskIndex(1), FIRST, 0);
    assert_eq!(referee.measures().overcommitted, 1);
}

#[test]
fn a_constraint_on_running_tasks_is_looked_at_anew_each_time() {
    let rows = "0,9,1,100,0,1,,2,\n0,9,1,100,0,9,,1,runningTasksCount > 0";
    let (workload, fleet) = (workload(rows), fleet("i-1,a,t,9,400,0"));
    let mut referee = all_submitted(&workload, &fleet, 0);
    referee.started_on(TaskIndex(0), FIRST, 0);
    assert_eq!(referee.measures().inverted_starts, 0);
    referee.started_on(TaskIndex(1), FIRST, 0);
    assert_eq!(referee.measures().inverted_starts, 1);
}

#[test]
fn room_that_may_be_set_aside_is_for_whoever_declares_to_be_short() {
    let reserve = WaitingPolicy::default();
    // 300 of 400 MiB are free once task 0 runs. Task 1 waits for all; task 2 fits and does not say how long it runs.
    let rows = |expected: [&str; 2]| {
        let [middle, low] = expected;
        with_expected(&format!(
            "0,9,1,100,0,9,,1,,\n0,9,1,400,0,8,,1,,\n0,9,1,200,0,5,,1,,{middle}\n0,9,1,100,0,1,,1,,{low}"
        ))
    };
    let fleet = fleet("i-1,a,t,9,400,0");
    let played = |expected, policy| inverted(&rows(expected), &fleet, policy, &[0, 3]);
    assert_eq!(played(["", "60"], reserve), 0, "the short one may pass");
    assert_eq!(played(["90", "60"], reserve), 0, "and pass a longer one");
    assert_eq!(played(["", ""], reserve), 1, "nobody else may");
    assert_eq!(played(["60", ""], reserve), 1);
    assert_eq!(
        played(["60", "60"], reserve),
        1,
        "one as short could have started itself"
    );
    assert_eq!(played(["", "60"], WaitingPolicy::Fill), 1, "nothing is set aside");
}

#[test]
fn nothing_is_set_aside_for_a_task_that_the_instance_is_too_small_for_or_behind_the_one_passed() {
    let reserve = WaitingPolicy::default();
    for first in [
        "0,9,1,500,0,8,,1,,",
        "0,9,1,400,0,3,,1,,",
        "0,9,1,400,0,8,,1,attribute:ecs.instance-type == x,",
    ] {
        let workload = with_expected(&format!(
            "0,9,1,100,0,9,,1,,\n{first}\n0,9,1,200,0,5,,1,,\n0,9,1,100,0,1,,1,,60"
        ));
        let fleet = fleet("i-1,a,t,9,400,0");
        assert_eq!(inverted(&workload, &fleet, reserve, &[0, 3]), 1, "{first}");
    }
}

#[test]
fn nobody_starts_before_the_head_where_nobody_may_pass() {
    // Task 1 waits for the whole instance, task 2 fits beside task 0.
    let workload =
        with_expected("0,9,1,100,0,9,,1,,\n0,9,1,400,0,8,,1,,\n0,9,1,100,0,5,,1,,\n0,9,1,500,0,9,,1,,");
    let fleet = fleet("i-1,a,t,9,400,0");
    for (policy, expected) in [
        (WaitingPolicy::Strict, 1),
        (WaitingPolicy::Fill, 0),
        (WaitingPolicy::default(), 0),
    ] {
        assert_eq!(
            inverted(&workload, &fleet, policy, &[0, 2]),
            expected,
            "{policy:?}"
        );
    }
    // Task 3 fits nowhere and is in nobody's way.
    assert_eq!(inverted(&workload, &fleet, WaitingPolicy::Strict, &[0]), 0);
}

#[test]
fn with_aging_an_early_task_stands_before_a_late_one_of_higher_priority() {
    let workload = workload("0,9,1,100,0,1,,1,\n100,9,1,100,0,5,,1,");
    let fleet = fleet("i-1,a,t,9,400,0");
    for (seconds, expected) in [(20, 1), (30, 0)] {
        let rules = Rules {
            aging: AgingSeconds::new(seconds),
            ..rules(0, WaitingPolicy::Fill)
        };
        let mut referee = Referee::new(&workload, &fleet, rules);
        referee.submitted(TaskIndex(0));
        referee.submitted(TaskIndex(1));
        referee.started_on(TaskIndex(1), FIRST, 200_000);
        assert_eq!(referee.measures().inverted_starts, expected, "{seconds}");
    }
}

#[test]
fn the_place_of_a_task_counts_who_stands_before_it_in_every_shape() {
    // Two of priority 9, one of them of another shape; then priority 5, an early and a late one.
    let workload = workload("0,9,1,100,0,9,,1,\n0,9,1,200,0,9,,1,\n1,9,1,100,0,5,,3,\n2,9,1,100,0,5,,1,");
    let fleet = fleet("i-1,a,t,9,400,0");
    let priority = |number| Priority::new(number).unwrap();
    let mut referee = all_submitted(&workload, &fleet, 0);
    let places = [(9, 0), (5, 1_000), (5, 2_000)].map(|(p, at)| referee.place_of(priority(p), at));
    assert_eq!(places, [1, 3, 6]);
    referee.started_on(TaskIndex(0), FIRST, 3_000);
    assert_eq!(
        referee.place_of(priority(5), 2_000),
        5,
        "who has started waits no more"
    );
}
