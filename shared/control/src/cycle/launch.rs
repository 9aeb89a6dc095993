//! Step 5: launch. RunTask, pinned to the reserved instance, under a token that is the attempt's for ever.

use std::fmt::Write as _;
use std::sync::Arc;

use berth_scheduler::id::AttemptId;
use berth_scheduler::launch::LaunchOutcome;
use berth_scheduler::progress::TaskState;
use futures_util::future::join_all;
use sha2::{Digest, Sha256};

use super::Cycle;
use super::reserve::Reserved;
use crate::ports::{Clock, Inspector, LaunchCall, Launcher, Ledger, Messenger};

impl<L: Ledger, E: Launcher + Inspector, M: Messenger, C: Clock> Cycle<'_, L, E, M, C> {
    /// Launches a wave, all calls at the same time, and gives the outcomes in the order of the wave.
    pub(super) async fn launch(&self, wave: Vec<Reserved>) -> Vec<(Reserved, LaunchOutcome)> {
        let outcomes = join_all(wave.iter().map(|reserved| self.launch_one(reserved))).await;
        wave.into_iter().zip(outcomes).collect()
    }

    /// Calls RunTask for one reserved task.
    pub(super) async fn launch_one(&self, reserved: &Reserved) -> LaunchOutcome {
        let attempt = reserved.attempt();
        if let TaskState::Reserved(state) = &reserved.task.progress.state
            && self.ports.clock.now() >= state.call_by
        {
            // Whoever finds the reservation later must know that no call of ours can arrive any more.
            return LaunchOutcome::Unknown {
                message: "too late to call".to_owned(),
            };
        }
        let call = LaunchCall {
            cluster: self.turn.cluster.clone(),
            client_token: client_token(&attempt),
            attempt,
            pin: reserved.pin.clone(),
            task_definition: reserved.task.task_definition.clone(),
            request: Arc::clone(&reserved.task.request),
        };
        self.ports.ecs.run_task(&call).await
    }
}

/// The client token of an attempt: the same for every repetition of its call, and a new one for a new
/// attempt, because ECS answers a known token with the old answer, refusals included. 64 hexadecimal digits,
/// RunTask's limit.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
pub(super) fn client_token(attempt: &AttemptId) -> String {
    let digest = Sha256::digest(format!("{}\n{}", attempt.task, attempt.number));
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use berth_scheduler::id::{AttemptNumber, TaskId};

    use super::*;

    #[test]
    fn a_token_belongs_to_one_attempt_of_one_task() {
        let token = |task: &str, number| {
            client_token(&AttemptId {
                task: TaskId::parse(task).unwrap(),
                number: AttemptNumber::new(number),
            })
        };
        assert_eq!(token("etl", 1), token("etl", 1));
        assert_ne!(token("etl", 1), token("etl", 2));
        assert_ne!(token("etl", 1), token("etl/2", 1));
        assert_eq!(token("etl", 1).len(), 64);
    }
}
