//! Berth on a laptop: a simulated ECS, the local run and the ECS endpoint.

pub mod cli;
pub mod ecs;
pub mod endpoint;
pub mod memory;
pub mod offline;
pub mod ports;
pub mod scenario;
pub mod seconds;
pub mod soak;
