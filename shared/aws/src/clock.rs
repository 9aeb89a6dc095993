//! The time of the machine.

use std::time::{SystemTime, UNIX_EPOCH};

use berth_control::ports::Clock;
use berth_scheduler::timestamp::Timestamp;

/// The machine's clock, which Lambda keeps in step with the world.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is not set at all.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}
