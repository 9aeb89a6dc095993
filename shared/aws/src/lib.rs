//! Berth's ports on AWS: the ledger on DynamoDB, launches and descriptions on ECS, messages on SQS,
//! events on EventBridge.
//!
//! The only crate that names an AWS SDK. It decides nothing: what a record, an answer or an error means is
//! read in `berth-control` and `berth-scheduler`.

pub mod clock;
pub mod config;
pub mod ecs;
pub mod event_bus;
pub mod ledger;
pub mod messenger;
pub mod stream;
pub mod telemetry;

mod error;
