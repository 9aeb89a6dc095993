//! The flows on in-memory tables and a scripted ECS: what each step does when the next one fails.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the world of a test is not itself a test function, and fails the test by panicking"
)]

mod admission;
mod damage;
mod lifetime;
mod placement;
mod reconciliation;
mod reserving;
mod status;
mod tracking;
mod waking;
mod world;
