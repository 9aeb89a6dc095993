//! Room that was reserved for an attempt that was not begun: whoever reserved it died, or was overtaken, before it wrote
//! the attempt into the task's record (see [`crate::cycle`]).

use berth_scheduler::id::AttemptId;

use crate::ports::{Change, Committed, Ledger, PortError};
use crate::records::TaskRecord;

/// Makes sure that an attempt cannot be begun any more, before its room is given back: whoever has reserved the room
/// may only be slow, and must not launch a task that has none. `task` is the task's record, which is not at this
/// attempt. Tells whether the room may be given back.
pub(crate) async fn strike_off<L: Ledger>(
    ledger: &L,
    attempt: &AttemptId,
    task: Option<&TaskRecord>,
) -> Result<bool, PortError> {
    let struck = task.and_then(|task| Some(task.after(task.progress.strike_off(attempt.number).ok()?)));
    let Some(struck) = struck else {
        // It has had its time, or the record has changed since its room was reserved, on which its begin depends.
        return Ok(true);
    };
    let change = Change {
        task: Some(&struck),
        ..Change::default()
    };
    Ok(ledger.commit(change).await? == Committed::Done)
}
