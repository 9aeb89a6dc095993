//! The protocol keeps its promises in every state of every quick configuration.

use berth_model::configurations::QUICK;
use berth_model::explore;
use berth_model::world::Model;

#[test]
fn every_promise_holds_in_every_state() {
    let mut states = 0;
    for world in QUICK {
        let found = explore(
            &Model {
                world: *world,
                mutation: None,
            },
            2_000_000,
        );
        if let Some((violation, way)) = &found.violation {
            let way: Vec<String> = way.iter().map(ToString::to_string).collect();
            panic!("{}: {violation:?} after\n{}", world.name, way.join("\n"));
        }
        assert!(found.complete, "{} has more states than expected", world.name);
        states += found.states;
    }
    assert!(
        states > 2_000_000,
        "only {states} states: the configurations have shrunk"
    );
}

#[test]
fn a_search_gives_the_same_counts_each_time() {
    let model = Model {
        world: QUICK[0],
        mutation: None,
    };
    let (one, other) = (explore(&model, 2_000_000), explore(&model, 2_000_000));
    assert_eq!((one.states, one.steps), (other.states, other.steps));
}
