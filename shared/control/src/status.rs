//! The flow of a question: where a task is, its place in the order and why it waits; or who waits in a cluster.
//! It only reads.

mod answer;

use berth_scheduler::id::{ClusterName, TaskId};
use berth_scheduler::progress::{Request, TaskState};
use berth_scheduler::timestamp::Timestamp;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;

use crate::ports::{Ledger, PortError, StoredLane};
use crate::records::TaskRecord;
use crate::settings::Settings;
use crate::wire::refusal::Refusal;
use crate::wire::status::{Question, decode_question};
use crate::wire::submission::COUNT_MAX;

/// Copies of a submission that are read at the same time: all of them.
const TASKS_AT_ONCE: usize = COUNT_MAX as usize;

/// What is known of a cluster at the moment of a question.
#[derive(Debug)]
struct View {
    cluster: ClusterName,
    pause: Option<Request>,
    /// With everybody who waits.
    lanes: Vec<StoredLane>,
}

/// Answers a question in JSON, as [`decode_question`] reads it: `{"tasks": [...]}` with every copy of a submission,
/// or the state of a cluster. What is asked wrongly, or about what is not there, is answered by `{"error": "..."}`.
///
/// Whoever asks about a task that waits, or about a cluster, has the waiting list of that cluster read whole.
///
/// # Errors
/// When the ledger fails.
pub async fn answer<L: Ledger>(
    ledger: &L,
    settings: &Settings,
    question: &str,
    now: Timestamp,
) -> Result<Value, PortError> {
    match decode_question(question, settings) {
        Ok(Question::Submission(submission)) => {
            let copies = (1..=COUNT_MAX).map(|copy| TaskId::of_copy(&submission, copy));
            tasks(ledger, submission.as_str(), copies.collect(), now).await
        }
        Ok(Question::Task(task)) => tasks(ledger, task.as_str(), vec![task.clone()], now).await,
        Ok(Question::Cluster { cluster, top }) => {
            let view = view(ledger, &cluster).await?;
            Ok(answer::of_cluster(&view, top))
        }
        Err(refusal) => Ok(answer::of_error(&refusal)),
    }
}

async fn tasks<L: Ledger>(
    ledger: &L,
    asked: &str,
    ids: Vec<TaskId>,
    now: Timestamp,
) -> Result<Value, PortError> {
    let found: Vec<Option<TaskRecord>> = stream::iter(ids.iter().map(|id| ledger.load_task(id)))
        .buffered(TASKS_AT_ONCE)
        .try_collect()
        .await?;
    let found: Vec<TaskRecord> = found.into_iter().flatten().collect();
    if found.is_empty() {
        return Ok(answer::of_error(&Refusal::of_unknown_task(asked)));
    }
    let waits = |task: &&TaskRecord| matches!(task.progress.state, TaskState::Waiting { .. });
    // All copies of a submission are in one cluster.
    let view = match found.iter().find(waits) {
        Some(task) => Some(view(ledger, &task.cluster).await?),
        None => None,
    };
    Ok(answer::of_tasks(&found, view.as_ref(), now))
}

async fn view<L: Ledger>(ledger: &L, cluster: &ClusterName) -> Result<View, PortError> {
    Ok(View {
        cluster: cluster.clone(),
        pause: ledger.load_pause(cluster).await?,
        lanes: ledger.load_lanes(cluster, usize::MAX).await?,
    })
}
