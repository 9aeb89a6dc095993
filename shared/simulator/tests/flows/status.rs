//! What somebody who asks is told.

use berth_control::ports::{Attention, Ledger};
use berth_control::settings::Settings;
use berth_control::status::answer;
use berth_scheduler::report::TaskStatus;
use serde_json::{Value, json};

use crate::lifetime::{exit, full, order, room, time, with};
use crate::world::{World, cluster, message, now, submission};

fn ask(world: &World, question: &Value) -> Value {
    let settings = Settings::parse("default", "").unwrap();
    let asked_at = world.clock_now();
    now(answer(&world.ledger, &settings, &question.to_string(), asked_at)).unwrap()
}

fn task(world: &World, id: &str) -> Value {
    let answer = ask(world, &json!({"id": id}));
    assert_eq!(answer["tasks"].as_array().map(Vec::len), Some(1), "{answer}");
    answer["tasks"][0].clone()
}

#[test]
fn a_waiting_task_is_told_its_place_and_why_it_waits() {
    let world = full();
    world.send(&[submission("low", 0, "small"), submission("high", 9, "huge")]);
    let low = task(&world, "low");
    assert_eq!((&low["state"], &low["position"]), (&json!("waiting"), &json!(2)));
    assert_eq!((&low["priority"], &low["attempt"]), (&json!(0), &json!(0)));
    assert_eq!(
        (&low["since"], &low["group"]),
        (&json!(time(1)), &json!("family:small"))
    );
    assert_eq!(low["hold"]["reason"], "shortfall");
    assert_eq!(low["why"], low["hold"]["text"]);
    assert!(low["why"].as_str().unwrap().contains("memory"), "{low}");
    let high = task(&world, "high");
    assert_eq!(
        (&high["position"], &high["hold"]["reason"]),
        (&json!(1), &json!("neverFits"))
    );
}

#[test]
fn what_a_task_was_sent_with_is_not_told() {
    let world = full();
    let environment = json!({"containerOverrides": [{"name": "main", "environment": [{"name": "KEY", "value": "secret-1"}]}]});
    world.send(&[with("t", json!({"overrides": environment}))]);
    let answer = task(&world, "t").to_string();
    assert!(
        !answer.contains("secret-1") && !answer.contains("KEY"),
        "{answer}"
    );
}

#[test]
fn a_task_on_hold_has_no_place_and_is_told_who_holds_it() {
    let world = full();
    world.send(&[submission("held", 5, "small"), submission("next", 0, "small")]);
    order(
        &world,
        5,
        json!({"action": "hold", "id": "held", "reason": "not yet"}),
    );
    let held = task(&world, "held");
    assert_eq!(held["position"], Value::Null);
    assert_eq!(
        held["onHold"],
        json!({"at": time(5), "reason": "not yet", "message": "message-command-5"})
    );
    assert!(held["why"].as_str().unwrap().contains("not yet"), "{held}");
    assert_eq!(held["commands"][0]["action"], "hold");
    assert_eq!(task(&world, "next")["position"], 1);
}

#[test]
fn a_task_whose_time_has_not_come_and_a_paused_cluster_say_so() {
    let world = full();
    world.send(&[
        with("later", json!({"notBefore": time(600)})),
        submission("t", 0, "small"),
    ]);
    let later = task(&world, "later");
    assert_eq!(
        (&later["notBefore"], &later["position"]),
        (&json!(time(600)), &Value::Null)
    );
    order(&world, 5, json!({"action": "pause", "reason": "maintenance"}));
    let paused = task(&world, "t");
    assert_eq!(paused["clusterPaused"]["reason"], "maintenance");
    assert!(
        paused["why"].as_str().unwrap().contains("maintenance"),
        "{paused}"
    );
    assert!(
        task(&world, "later")["why"]
            .as_str()
            .unwrap()
            .contains("may not start before")
    );
}

#[test]
fn all_copies_are_told_of_from_their_start_to_their_end() {
    let world = full();
    world.send(&[with("t", json!({"count": 2}))]);
    room(&world, 2);
    world.stop(0, exit(3));
    let answer = ask(&world, &json!({"id": "t"}));
    let (first, second) = (&answer["tasks"][0], &answer["tasks"][1]);
    assert_eq!(
        (&first["task"], &first["state"], &first["exitCode"]),
        (&json!("t"), &json!("failed"), &json!(3))
    );
    assert!(first["reason"].as_str().unwrap().contains('3'), "{first}");
    assert_eq!(
        (&second["task"], &second["state"]),
        (&json!("t/2"), &json!("started"))
    );
    assert_eq!(second["attempt"], 1);
    assert!(second["containerInstanceArn"].is_string() && second["ecsTaskArn"].is_string());
    assert_eq!(second["why"], Value::Null);
    assert_eq!(task(&world, "t/2")["state"], "started");
    order(
        &world,
        7,
        json!({"action": "cancel", "id": "t/2", "reason": "wrong input"}),
    );
    assert_eq!(task(&world, "t/2")["stopping"]["reason"], "wrong input");
    assert_eq!(
        world
            .task_report(1, TaskStatus::Running)
            .attempt
            .unwrap()
            .task
            .as_str(),
        "t/2"
    );
}

#[test]
fn a_cluster_is_told_its_lanes_and_the_beginning_of_its_order() {
    let world = full();
    world.send(&[
        submission("a", 1, "small"),
        submission("b", 2, "small"),
        submission("c", 3, "huge"),
    ]);
    let answer = ask(&world, &json!({"cluster": "default", "top": 2}));
    assert_eq!(
        (&answer["cluster"], &answer["paused"], &answer["waiting"]),
        (&json!("default"), &Value::Null, &json!(3))
    );
    let lanes = answer["lanes"].as_array().unwrap();
    let small = lanes.iter().find(|lane| lane["first"] == "b").unwrap();
    assert_eq!(
        (&small["waiting"], &small["hold"]["reason"]),
        (&json!(2), &json!("shortfall"))
    );
    let order: Vec<(&Value, &Value)> = answer["order"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["position"], &it["task"]))
        .collect();
    assert_eq!(order, [(&json!(1), &json!("c")), (&json!(2), &json!("b"))]);
}

#[test]
fn a_question_changes_nothing() {
    let world = full();
    world.send(&[submission("t", 0, "small")]);
    let before = now(world.ledger.wake_state(&cluster())).unwrap();
    assert_eq!(before.attention, Attention::Asleep);
    let revision = world.task("t").revision;
    task(&world, "t");
    ask(&world, &json!({"cluster": "default"}));
    assert_eq!(now(world.ledger.wake_state(&cluster())).unwrap(), before);
    assert_eq!(world.task("t").revision, revision);
}

#[test]
fn what_is_not_there_or_asked_wrongly_is_answered_with_the_fix() {
    let world = full();
    world.send(&[message("t", r#"{"id":"t","taskDefinition":"retired"}"#)]);
    for (question, piece) in [
        (json!({"id": "nobody"}), "no task `nobody` is known"),
        (json!({"id": "t"}), "no task `t` is known"),
        (json!({"id": "t/2"}), "no task `t/2` is known"),
        (json!({"cluster": "prod"}), "give `default`"),
        (json!({"cluster": "default", "top": 101}), "1 to 100"),
    ] {
        let answer = ask(&world, &question);
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(piece), "{question}: {error}");
    }
}
