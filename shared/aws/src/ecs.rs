//! Launches and descriptions on ECS.

mod describe;
mod inspector;
mod launcher;
mod request;

use std::collections::HashMap;
use std::sync::Mutex;

use aws_sdk_ecs::Client;
use berth_control::ports::TaskDefinitionAnswer;

const SERVICE: &str = "ECS";

/// ECS, behind two clients: one that repeats calls which only ask, and one that sends RunTask exactly once,
/// because whether a launch may be repeated is decided by the flow that owns its reservation.
#[derive(Debug)]
pub struct Ecs {
    asking: Client,
    launching: Client,
    /// Answers about revisions, which never change.
    definitions: Mutex<HashMap<String, TaskDefinitionAnswer>>,
}

impl Ecs {
    /// ECS behind a client that may repeat calls and one that may not.
    pub fn new(asking: Client, launching: Client) -> Self {
        Self {
            asking,
            launching,
            definitions: Mutex::default(),
        }
    }
}
