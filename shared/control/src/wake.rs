//! Waking the admitter without losing a wake-up, and without a write where nobody needs one.
//!
//! Whoever brings news writes it down first, and only then looks whether anybody is awake:
//!
//! - A cycle that is under way may have read the records before: the news are counted, the cycle sees the counter
//!   move and looks again (see [`crate::cycle`]).
//! - When nobody is awake, whoever wakes up later reads the records later: a wake message is enough.
//! - When nobody waits either, nobody can use room. Whoever comes to wait later reads the records later, too.
//!
//! Each other order, or leaving this out because the news are old, loses wake-ups.

use berth_scheduler::id::ClusterName;

use crate::ports::{Attention, Ledger, Messenger, PortError};

/// What is to be announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// There may be room for somebody who waits already.
    Room,
    /// Somebody has come to wait, or is about to.
    Waiting,
}

impl News {
    fn concern(self, attention: Attention) -> bool {
        match attention {
            Attention::Awake => false,
            Attention::Asleep => true,
            Attention::Idle => self == Self::Waiting,
        }
    }
}

/// Announces that a waiting task of the cluster may be able to start. What it is about must be stored before.
///
/// # Errors
/// When the ledger or the queue fails; the caller's own message must then come again.
pub async fn announce<L: Ledger, M: Messenger>(
    ledger: &L,
    messenger: &M,
    cluster: &ClusterName,
    news: News,
) -> Result<(), PortError> {
    let mut attention = ledger.wake_state(cluster).await?.attention;
    if attention == Attention::Awake {
        attention = ledger.bump(cluster).await?;
    }
    if news.concern(attention) {
        messenger.wake(cluster, 0).await?;
    }
    Ok(())
}
