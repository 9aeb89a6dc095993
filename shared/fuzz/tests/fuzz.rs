//! Tens of thousands of mutated inputs for every reader, the same ones every time.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use berth_fuzz::run::run;
use berth_fuzz::target::{TARGETS, Target};

/// Executions of each target: a few seconds without optimisation.
const EXECUTIONS: u64 = 20_000;

/// Any number: the runs that find something new are those with others.
const SEED: u64 = 4;

fn holds(name: &str) {
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        panic!("there is no target `{name}`");
    };
    match run(target, SEED, EXECUTIONS, &mut || true) {
        Ok(executions) => assert_eq!(executions, EXECUTIONS),
        Err(finding) => panic!(
            "{name}: execution {}: {}\n{}",
            finding.execution,
            finding.what,
            String::from_utf8_lossy(&finding.input)
        ),
    }
}

macro_rules! targets_hold {
    ($($test:ident: $name:literal;)*) => {
        $(#[test]
        fn $test() {
            holds($name);
        })*

        #[test]
        fn every_target_has_its_test() {
            assert_eq!([$($name,)*], TARGETS.map(|target| target.name));
        }
    };
}

targets_hold! {
    a_message_is_read_or_refused_with_a_reason: "message";
    an_event_is_read_or_ignored_with_a_reason: "event";
    an_expression_is_read_or_refused_with_a_reason: "expression";
    a_workload_is_read_or_refused_with_its_place: "workload";
    a_record_is_read_as_it_was_stored_or_refused_with_a_reason: "record";
}

#[test]
fn the_same_seed_is_the_same_inputs_and_most_of_them_are_new() {
    let corpus = vec![br#"{"a": [1, "two"]}"#.to_vec()];
    let inputs = |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..1_000)
            .map(|_| berth_fuzz::mutation::mutate(&corpus, &mut random))
            .collect::<Vec<_>>()
    };
    assert_eq!(inputs(1), inputs(1));
    let new: std::collections::BTreeSet<_> = inputs(1).into_iter().collect();
    assert!(new.len() > 500, "{}", new.len());
}

#[test]
fn what_does_not_hold_is_found_with_its_input() {
    let target = Target {
        name: "broken",
        corpus: || vec![b"harmless".to_vec()],
        check: |input| {
            assert!(!input.contains(&b'"'), "a reader that panics");
            if input.len() > 200 {
                Err("too long for it".to_owned())
            } else {
                Ok(())
            }
        },
    };
    let finding = run(&target, SEED, EXECUTIONS, &mut || true).map_err(|finding| finding.what);
    assert!(finding.is_err());
}
