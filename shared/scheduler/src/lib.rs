//! Berth's decisions: placement, admission and capacity accounting, as pure functions.
//!
//! Values in, values out: nothing here does I/O, reads a clock, draws a random number or depends on the order
//! of a hash map, so every decision can be replayed and tested. Amounts are integers with their unit in the
//! type. A tour, in the order of a task's life:
//!
//! - [`shape`] and [`waiting`]: what a task needs, and its place in the order
//! - [`report`], [`instance`], [`reservation`]: what ECS says of an instance, and what is free there
//! - [`constraint`], [`placement`]: where a task may and should go, or the [`hold`] reason
//! - [`policy`], [`admission`]: who starts now, and for whom an instance is set aside
//! - [`run_time`]: how long tasks run, declared and learnt
//! - [`launch`], [`progress`]: what RunTask's answers mean, and the life of a task
//! - [`terms`], [`retry`]: when it may start and how long it may run, and what follows its end

#![deny(missing_docs, clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod admission;
pub mod attributes;
pub mod constraint;
pub mod demand;
pub mod eni;
pub mod hold;
pub mod id;
pub mod instance;
pub mod launch;
pub mod placement;
pub mod policy;
pub mod progress;
pub mod quantity;
pub mod report;
pub mod reservation;
pub mod resources;
pub mod retry;
pub mod run_time;
pub mod shape;
pub mod snapshot;
pub mod subnet;
pub mod terms;
pub mod timestamp;
pub mod waiting;
