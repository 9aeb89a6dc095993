//! What a user asked for besides room: when a task may start, by when it must have, how long it may run, and
//! when it is run again.

use crate::quantity::Seconds;
use crate::retry::RetryStrategy;
use crate::timestamp::Timestamp;

/// The terms of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// It does not start before this moment.
    pub not_before: Option<Timestamp>,
    /// It expires when it has not started by this moment.
    pub start_by: Option<Timestamp>,
    /// It is stopped when it has run for this long.
    pub timeout: Option<Seconds>,
    /// When it is run again.
    pub retry: RetryStrategy,
}
