//! The simulator's ECS endpoint, as boto3 sees it: `python/test_ecs_endpoint.py`.

use berth_deployment::{Failure, Suite, Workspace};

#[test]
fn boto3_cannot_tell_the_ecs_endpoint_from_ecs() -> Result<(), Failure> {
    Suite::EcsEndpoint.run(&Workspace::of_test(env!("CARGO_TARGET_TMPDIR"))?)
}
