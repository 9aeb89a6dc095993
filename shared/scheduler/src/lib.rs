//! Berth's decisions: placement, admission and capacity accounting, as pure functions.

pub mod timestamp;
