//! The stack while calls fail and functions are killed: `python/test_stack_faults.py`.

use berth_deployment::{Failure, Suite, Workspace};

#[test]
fn the_deployed_stack_survives_failing_calls_killed_functions_and_damaged_records() -> Result<(), Failure> {
    Suite::StackFaults.run(&Workspace::of_test(env!("CARGO_TARGET_TMPDIR"))?)
}
