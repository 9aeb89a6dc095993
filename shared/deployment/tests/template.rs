//! The template by itself, and beside the code it deploys: `python/test_template.py`.

use berth_deployment::{Failure, Suite, Workspace};

#[test]
fn the_template_is_valid_and_grants_exactly_what_the_code_calls() -> Result<(), Failure> {
    Suite::Template.run(&Workspace::of_test(env!("CARGO_TARGET_TMPDIR"))?)
}
