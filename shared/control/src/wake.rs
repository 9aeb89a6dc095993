//! Waking the admitter without losing a wake-up.
//!
//! Whoever brings news writes it down first, then counts it, then sends a wake message if nobody is awake. A
//! cycle that is under way sees the counter move and looks again (see [`crate::cycle`]). Each other order, or
//! leaving out the count because the news is old, loses wake-ups.

use berth_scheduler::id::ClusterName;

use crate::ports::{Attention, Ledger, Messenger, PortError};

/// Announces that a waiting task of the cluster may be able to start. What it is about must be stored before.
///
/// # Errors
/// When the ledger or the queue fails; the caller's own message must then come again.
pub async fn announce<L: Ledger, M: Messenger>(
    ledger: &L,
    messenger: &M,
    cluster: &ClusterName,
) -> Result<(), PortError> {
    match ledger.bump(cluster).await? {
        Attention::Awake => Ok(()),
        Attention::Asleep => messenger.wake(cluster, 0).await,
    }
}
