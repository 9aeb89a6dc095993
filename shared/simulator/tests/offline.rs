//! `berth instances` and `berth place`, as the compiled binary answers them. What is expected was worked out by
//! hand from the rules of ECS, instance by instance.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail the test by panicking"
)]

#[path = "offline/berth.rs"]
mod berth;
#[path = "offline/explanations.rs"]
mod explanations;
#[path = "offline/launch_post.rs"]
mod launch_post;
#[path = "offline/listing.rs"]
mod listing;
#[path = "offline/refused.rs"]
mod refused;
#[path = "offline/tasks.rs"]
mod tasks;
