//! The stack, deployed to an emulator of AWS: `python/test_stack.py`.

use berth_deployment::{Failure, Suite, Workspace};

#[test]
fn the_deployed_stack_starts_tasks_when_and_only_when_there_is_room() -> Result<(), Failure> {
    Suite::Stack.run(&Workspace::of_test(env!("CARGO_TARGET_TMPDIR"))?)
}
