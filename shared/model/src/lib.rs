//! Berth's protocol as an exhaustive model.
#![expect(
    clippy::indexing_slicing,
    reason = "arrays of the model are as long as the numbers it uses for them; a wrong one must stop the search"
)]

mod action;
mod admitter;
pub mod configurations;
mod ecs;
mod faults;
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
