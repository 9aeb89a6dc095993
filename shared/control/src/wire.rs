//! The JSON that crosses Berth's edges: what is read from messages and events, and what is written.

pub mod command;
pub mod container_instance;
pub mod event;
pub mod overrides;
pub mod refusal;
pub mod resources;
pub mod status;
mod strict_json;
pub mod submission;
pub(crate) mod suggestion;
pub mod task_definition;
pub(crate) mod task_state;
pub mod terms;
pub mod wake;
