//! Tests of the deployment: the template, the ECS endpoint, the stack end to end.
//!
//! The tests themselves are pytest files in `python/`, because what they drive speaks Python: SAM, the emulator of
//! AWS, boto3. Each has one Rust test in `tests/` that prepares what it needs and runs it, so that `cargo test` is
//! the one command. The tests of the adapters in `shared/aws` use the same emulator.

mod command;
mod emulator;
mod environment;
mod failure;
mod suite;
mod workspace;

pub use emulator::Emulator;
pub use failure::Failure;
pub use suite::Suite;
pub use workspace::Workspace;
