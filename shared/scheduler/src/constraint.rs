//! Where a task may go: what must hold of a container instance.

pub mod expression;
