//! Berth's flows: submit, track, admit, reconcile; generic over ports.
//!
//! The flows order the steps and leave every decision to `berth-scheduler`. This is the only crate that knows
//! JSON: messages and events in [`wire`], stored records in [`records`]. A tour, in the order of a task's life:
//!
//! - [`intake`]: a batch of SQS messages; [`submit`] stores each submission once
//! - [`obey`]: commands change what was submitted
//! - [`cycle`]: the admission cycle: load, resolve, decide, reserve, launch, settle
//! - [`status`]: what somebody who asks is told of a task or a cluster
//! - [`publish`]: changes become events for others
//! - [`track`]: what ECS reports becomes capacity records
//! - [`reconcile`]: records are compared with what ECS says, and repaired
//! - [`damage`]: records that cannot be read, and what takes their place
//! - [`wake`]: how news reach the next cycle; [`ports`]: what all of them need of the world

#[cfg(feature = "contract-tests")]
pub mod contract;
pub mod cycle;
pub mod damage;
mod follow_up;
pub mod intake;
mod learn;
pub mod obey;
mod orphan;
pub mod ports;
pub mod publish;
pub mod reconcile;
pub mod records;
mod requirements;
pub mod settings;
pub mod status;
pub mod submit;
pub mod track;
pub mod wake;
pub mod wire;
