//! Placement questions about a cluster that is known from a file: which of its instances match an expression,
//! and where tasks would go. Nothing is started and nobody is asked; expressions and placement are the
//! scheduler's own.

mod cluster;
mod definition;
mod plan;
mod table;
mod task;

pub use cluster::{Cluster, WithoutResources};
pub use plan::{Plan, plan};
pub use table::{attribute_text, instance_table};
pub use task::{COUNT_MAX, PlannedTask, TaskError, TaskInput};
