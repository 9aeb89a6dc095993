//! Berth on a laptop: a simulated ECS, the local run and the ECS endpoint.

pub mod ecs;
pub mod memory;
