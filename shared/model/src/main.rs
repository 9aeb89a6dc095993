//! Prints every configuration of the model with what was found: `cargo run --release -p berth-model`.

use std::process::ExitCode;
use std::time::Instant;

use berth_model::configurations::{Caught, LONG, MUTATIONS, QUICK};
use berth_model::world::{Model, World};
use berth_model::{Exploration, explore};

/// Most states of one configuration. The largest has about nineteen million.
const STATES_MAX: usize = 24_000_000;

fn main() -> ExitCode {
    let (mut states, mut failures) = (0, 0);
    println!("| Configuration | States | Steps | Seconds | Result |\n|---|---:|---:|---:|---|");
    for world in QUICK.iter().chain(LONG) {
        let (found, sound) = check(*world);
        states += found;
        failures += usize::from(!sound);
    }
    println!("\n{states} states in all\n");
    println!("| Mutation | Caught as | After steps | States |\n|---|---|---:|---:|");
    let caught = MUTATIONS.iter().filter(|mutation| catch(mutation)).count();
    println!("\n{caught} of {} mutations caught", MUTATIONS.len());
    if failures == 0 && caught == MUTATIONS.len() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Checks one configuration: how many states it has, and whether every promise holds in all of them.
fn check(world: World) -> (usize, bool) {
    let begin = Instant::now();
    let found = explore(
        &Model {
            world,
            mutation: None,
        },
        STATES_MAX,
    );
    let seconds = begin.elapsed().as_secs_f32();
    let result = match &found.violation {
        Some((violation, _)) => format!("{violation:?}"),
        None if found.complete => "every promise holds".to_owned(),
        None => format!("stopped at {STATES_MAX} states"),
    };
    println!(
        "| {} | {} | {} | {seconds:.1} | {result} |",
        world.name, found.states, found.steps
    );
    show_way(&found);
    (found.states, found.complete && found.violation.is_none())
}

/// Whether a mutation is caught as what it should be.
fn catch(mutation: &Caught) -> bool {
    let found = explore(&mutation.model, STATES_MAX);
    let name = mutation
        .model
        .mutation
        .map(|mutation| format!("{mutation:?}"))
        .unwrap_or_default();
    match &found.violation {
        Some((violation, way)) if *violation == mutation.violation => {
            println!("| {name} | {violation:?} | {} | {} |", way.len(), found.states);
            true
        }
        other => {
            println!(
                "| {name} | not as {:?}: {other:?} | | {} |",
                mutation.violation, found.states
            );
            false
        }
    }
}

fn show_way(found: &Exploration) {
    for action in found.violation.iter().flat_map(|(_, way)| way) {
        println!("    {action}");
    }
}
