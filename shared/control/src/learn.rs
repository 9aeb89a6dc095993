//! Learning how long tasks run, with few writes.

use berth_scheduler::id::TaskFamily;
use berth_scheduler::run_time::RunTimeBucket;
use berth_scheduler::run_time::counting::is_sample;

use crate::ports::{Ledger, PortError};
use crate::records::TaskRecord;

/// Counts the end of a task's attempt, unless it is no sample and its family is known well enough. That is looked up
/// last: a read costs a tenth of a write.
pub(crate) async fn count_end<L: Ledger>(
    ledger: &L,
    task: &TaskRecord,
    family: &TaskFamily,
    bucket: RunTimeBucket,
) -> Result<(), PortError> {
    let cluster = &task.cluster;
    if is_sample(&task.attempt()) || ledger.load_run_times_of(cluster, family).await?.are_few() {
        ledger.count_run_time(cluster, family, bucket).await?;
    }
    Ok(())
}
