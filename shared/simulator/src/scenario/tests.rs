use std::cmp::Reverse;

use berth_scheduler::waiting::Priority;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const TASKS_HEADER: &str = "submit_s,duration_s,cpu_units,memory_mib,gpu,priority,user,count,constraint";
const FLEET_HEADER: &str = "id,az,instance_type,cpu_units,memory_mib,gpu";

fn scenario(tasks: &str, instances: &str) -> Scenario {
    let tasks = format!("{TASKS_HEADER}\n{tasks}");
    let instances = format!("{FLEET_HEADER}\n{instances}");
    Scenario {
        workload: Workload::parse("tasks.csv", tasks.as_bytes()).unwrap(),
        fleet: Fleet::parse("fleet.csv", instances.as_bytes()).unwrap(),
    }
}

fn play(scenario: &Scenario, seed: u64) -> Comparison {
    compare(
        scenario,
        &PlayOptions {
            waiting: Waiting::default(),
            seed,
            moments_max: 1_000,
        },
        &|_, _| {},
    )
    .unwrap()
}

fn runs(comparison: &Comparison) -> (&SchedulerRun, &SchedulerRun) {
    let [berth, naive] = &comparison.runs[..] else {
        panic!("two schedulers play")
    };
    (berth, naive)
}

fn waits(run: &SchedulerRun, priority: u16) -> &[u64] {
    &run.measures.waits_ms[&Reverse(Priority::new(priority).unwrap())]
}

#[test]
fn in_the_story_berth_calls_run_task_once_for_each_task_and_starts_the_urgent_ones_first() {
    let comparison = play(&story().unwrap(), 1);
    let (berth, _) = runs(&comparison);
    let Measures {
        tasks,
        run_task_calls,
        refused,
        inverted_starts,
        overcommitted,
        repeated_starts,
        never_started,
        ..
    } = berth.measures;
    assert_eq!((tasks, run_task_calls, refused), (120, 120, 0));
    assert_eq!(
        (inverted_starts, overcommitted, repeated_starts, never_started),
        (0, 0, 0, 0)
    );
    // Everybody of priority 10 is submitted at the beginning, so the wait is the moment of the start.
    let last_urgent_start = 600_000 + waits(berth, 90).iter().max().unwrap();
    let low_starts = waits(berth, 10);
    assert!(
        !low_starts
            .iter()
            .any(|start| (600_000..last_urgent_start).contains(start)),
        "{low_starts:?}"
    );
    // Five at a time, twenty of them: the last ones wait for three runs, and each time a second for ECS's events.
    assert!(
        (900_000..906_000).contains(&waits(berth, 90)[19]),
        "{:?}",
        waits(berth, 90)
    );
    assert!(comparison.lower_bound_ms <= berth.measures.makespan_ms);
}

#[test]
fn in_the_story_the_naive_worker_is_refused_thousands_of_times_and_passes_urgent_tasks_over() {
    let comparison = play(&story().unwrap(), 1);
    let (_, naive) = runs(&comparison);
    let measures = &naive.measures;
    assert!(measures.refused > 1_000, "{measures:?}");
    assert!(measures.inverted_starts > 10, "{measures:?}");
    assert_eq!(measures.run_task_calls, measures.refused + 120);
    assert_eq!(
        (
            measures.never_started,
            measures.overcommitted,
            measures.repeated_starts
        ),
        (0, 0, 0)
    );
}

#[test]
fn the_same_scenario_plays_the_same_and_a_seed_shuffles_the_naive_worker_only() {
    let story = story().unwrap();
    let fleet = &story.fleet;
    let text = |comparison: &Comparison| {
        format!(
            "{}{}{}",
            comparison.to_json(),
            comparison.to_table(Colours::Off),
            comparison.timeline.render(fleet)
        )
    };
    let (first, again, other) = (play(&story, 1), play(&story, 1), play(&story, 2));
    assert_eq!(text(&first), text(&again));
    assert_eq!(runs(&first).0.measures, runs(&other).0.measures);
    assert_ne!(runs(&first).1.measures, runs(&other).1.measures);
}

#[test]
fn the_story_reads_as_a_timeline() {
    let story = story().unwrap();
    let timeline = play(&story, 1).timeline.render(&story.fleet);
    let lines: Vec<&str> = timeline.lines().take(5).collect();
    assert_eq!(
        lines,
        [
            "  0:00:00  100 (priority 10) submitted, 5 (priority 10) started on i-1, 95 (priority 10) wait",
            "           why place 1 waits: no room on 1 of 1 instance; nearest miss memory: needs 100 MiB, 12 free",
            "  0:05:00  5 ended, 5 (priority 10) started on i-1, 90 (priority 10) wait",
            "  0:10:00  20 (priority 90) submitted, 5 ended, 5 (priority 90) started on i-1, 15 (priority 90) and \
             90 (priority 10) wait",
            "  0:15:02  5 ended, 5 (priority 90) started on i-1, 10 (priority 90) and 90 (priority 10) wait",
        ]
    );
}

#[test]
fn json_has_exactly_the_documented_fields() {
    let scenario = scenario("0,10,1,100,0,7,u,12,\n1,10,1,100,0,0,u,1,", "i-1,a,t,1000,500,0");
    let json = play(&scenario, 1).to_json();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&json), ["schedulers"]);
    let names: Vec<_> = json["schedulers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].clone())
        .collect();
    assert_eq!(names, ["berth", "naive-sqs"]);
    for run in json["schedulers"].as_array().unwrap() {
        let mut expected = [
            "name",
            "tasks",
            "runTaskCalls",
            "refused",
            "invertedStarts",
            "makespanSeconds",
            "lowerBoundSeconds",
            "waitSeconds",
        ];
        expected.sort_unstable();
        let mut found = keys(run);
        found.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(run["tasks"], 13);
        assert_eq!(run["waitSeconds"]["7"]["tasks"], 12);
        for field in ["mean", "p95", "max"] {
            assert!(run["waitSeconds"]["0"][field].is_number(), "{run}");
        }
    }
    assert_eq!(json["schedulers"][0]["runTaskCalls"], 13);
    // 13 x 10 s, five at a time.
    assert_eq!(json["schedulers"][0]["lowerBoundSeconds"], 26);
}

#[test]
fn a_task_that_fits_nowhere_is_listed_with_its_reason_and_holds_nobody_up() {
    let tasks = "0,10,1,100,0,9,u,1,attribute:ecs.instance-type == p5.48xlarge\n0,10,1,9999,0,9,u,2,\n0,10,1,100,0,0,u,3,";
    let comparison = play(&scenario(tasks, "i-1,a,t,1000,500,0"), 1);
    let (berth, naive) = runs(&comparison);
    for run in [berth, naive] {
        assert_eq!((run.measures.never_started, run.measures.tasks), (3, 6));
        assert_eq!(waits(run, 0), [0, 0, 0]);
        let lines: Vec<_> = run
            .never_started
            .iter()
            .map(|kind| (kind.first_line, kind.tasks))
            .collect();
        assert_eq!(lines, [(2, 1), (3, 2)]);
    }
    let reasons: Vec<&str> = berth
        .never_started
        .iter()
        .filter_map(|kind| kind.reason.as_deref())
        .collect();
    assert!(reasons[0].starts_with("no instance matches: "), "{reasons:?}");
    assert!(
        reasons[1].starts_with("larger than every matching instance"),
        "{reasons:?}"
    );
    assert_eq!(comparison.to_json()["schedulers"][0]["neverStarted"], 3);
    // What never starts is no work.
    assert_eq!(comparison.lower_bound_ms, 10_000);
}

#[test]
fn a_constraint_keeps_tasks_where_it_holds() {
    let tasks = "0,60,1,100,0,0,u,20,attribute:ecs.availability-zone == a\n0,60,1,100,0,0,u,5,";
    let comparison = play(&scenario(tasks, "i-1,a,t,1000,500,0\ni-2,b,t,1000,500,0"), 1);
    for run in &comparison.runs {
        // Five at a time in zone a, while zone b has room for all the others.
        assert!(run.measures.makespan_ms >= 240_000, "{:?}", run.measures);
        assert_eq!(run.measures.never_started, 0);
    }
}

#[test]
fn what_is_submitted_at_one_moment_is_ranked_before_any_of_it_starts() {
    let low = "0,60,1,100,0,1,u,1,\n".repeat(40);
    let comparison = play(
        &scenario(&format!("{low}0,60,1,100,0,2,u,5,"), "i-1,a,t,1000,500,0"),
        1,
    );
    let (berth, _) = runs(&comparison);
    assert_eq!(waits(berth, 2), [0; 5]);
    assert_eq!(berth.measures.inverted_starts, 0);
}

/// A line of a workload on the small side, so that tasks meet: few moments, few shapes, few priorities.
fn task_line() -> impl Strategy<Value = String> {
    let constraint = prop_oneof![
        6 => Just(""),
        1 => Just("attribute:ecs.availability-zone == a"),
        1 => Just("attribute:ecs.instance-type =~ m5.*"),
        1 => Just("not (attribute:ecs.availability-zone == b) or ec2InstanceId == i-0"),
    ];
    (
        0..8_u32,
        1..6_u32,
        1..5_u32,
        1..6_u32,
        0..2_u32,
        0..3_u32,
        1..13_u32,
        constraint,
    )
        .prop_map(
            |(submit, duration, cpu, memory, gpu, priority, count, constraint)| {
                // Tenths of a second, so that ends and events fall between one another.
                let submit = f64::from(submit) * 0.7;
                let duration = f64::from(duration) * 0.3;
                format!(
                    "{submit:.1},{duration:.1},{},{},{gpu},{priority},u,{count},{constraint}",
                    cpu * 100,
                    memory * 50
                )
            },
        )
}

fn instance_lines() -> impl Strategy<Value = String> {
    let instance = (
        1..12_u32,
        1..8_u32,
        0..3_u32,
        prop::sample::select(vec!["a", "b"]),
    );
    prop::collection::vec(instance, 1..5).prop_map(|instances| {
        let lines = instances
            .into_iter()
            .enumerate()
            .map(|(number, (cpu, memory, gpu, zone))| {
                let kind = if number % 2 == 0 { "m5.large" } else { "c5.large" };
                format!("i-{number},{zone},{kind},{},{},{gpu}\n", cpu * 100, memory * 60)
            });
        lines.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn berth_keeps_its_promises_on_any_workload(
        lines in prop::collection::vec(task_line(), 1..30),
        instances in instance_lines(),
    ) {
        let scenario = scenario(&lines.join("\n"), &instances);
        let comparison = play(&scenario, 1);
        let (berth, naive) = runs(&comparison);
        let measures = &berth.measures;
        // NoOvertaking, NoOvercommit, StartedOnce; and without other people's tasks no call is in vain.
        prop_assert_eq!(measures.inverted_starts, 0);
        prop_assert_eq!(measures.overcommitted, 0);
        prop_assert_eq!(measures.repeated_starts, 0);
        prop_assert_eq!(measures.refused, 0);
        prop_assert_eq!(measures.run_task_calls, (measures.tasks - measures.never_started) as u64);
        // NothingLost: whatever fits some instance starts.
        let referee = Referee::new(&scenario.workload, &scenario.fleet, Waiting::default().rules());
        let hopeless = scenario.workload.entries.iter().filter(|entry| !referee.can_ever_fit(entry.shape));
        prop_assert_eq!(measures.never_started, hopeless.map(|entry| entry.count as usize).sum::<usize>());
        prop_assert_eq!(naive.measures.never_started, measures.never_started);
        prop_assert_eq!(naive.measures.overcommitted, 0);
        for run in [berth, naive] {
            prop_assert!(comparison.lower_bound_ms <= run.measures.makespan_ms || measures.never_started == measures.tasks);
        }
        // Explained: what never starts has a reason.
        prop_assert!(berth.never_started.iter().all(|kind| kind.reason.is_some()));
    }
}
