//! Berth's protocol as an exhaustive model: states, faults, mutations.
//!
//! The flows of `berth-control` are written down once more, in small: one step per call to a table, a queue
//! or ECS, any of which can be the last one of its invocation. [`explore`] visits every state that any order
//! of steps and faults leads to. In each it checks that nothing is started twice, overtaken or overcommitted;
//! where nothing moves any more, that no task waits beside room for it; and at the end, that from every
//! state all tasks can still reach their end without further faults.
//!
//! [`configurations`] lists what is checked, and the mistakes that must be caught.
#![expect(
    clippy::indexing_slicing,
    reason = "arrays of the model are as long as the numbers it uses for them; a wrong one must stop the search"
)]

mod action;
mod admitter;
pub mod configurations;
mod ecs;
mod faults;
mod normal;
mod property;
mod reconciler;
mod records;
mod search;
mod state;
mod tracker;
pub mod world;

pub use action::{Action, Actor};
pub use property::Violation;
pub use search::{Exploration, explore};
