//! What users think better of: they cancel, hold, release and rank anew what they have sent, and pause whole clusters.

use berth_scheduler::id::{ClusterName, TaskId};
use fastrand::Rng;
use serde_json::{Value, json};

use super::workload::{Letter, Meaning};

/// Commands about the jobs of a run, in a fourth of the runs. Whatever is put on hold or paused here goes on when
/// the run has calmed down ([`release`], [`resume`]).
pub(super) fn commands(random: &mut Rng, clusters: &[&str], jobs: usize, spread_ms: u64) -> Vec<Letter> {
    if random.u8(0..4) > 0 {
        return Vec::new();
    }
    let count = random.usize(1..=jobs.max(1));
    let mut letters: Vec<Letter> = (0..count)
        .map(|number| {
            let id = format!("job-{}", random.usize(0..jobs.max(1)));
            let body = match random.u8(0..8) {
                0 | 1 => json!({"action": "cancel", "id": id}),
                2 => json!({"action": "hold", "id": id, "reason": "a second thought"}),
                3 => json!({"action": "release", "id": id}),
                4 | 5 => {
                    let priority = random.u16(0..=1_000);
                    json!({"action": "changePriority", "id": id, "priority": priority})
                }
                6 => {
                    let cluster = clusters.get(random.usize(0..clusters.len())).copied();
                    let action = if random.bool() { "pause" } else { "resume" };
                    json!({"action": action, "cluster": cluster})
                }
                _ => {
                    let cluster = clusters.get(random.usize(0..clusters.len())).copied();
                    let action = if random.bool() { "hold" } else { "cancel" };
                    json!({"action": action, "cluster": cluster, "group": "family:family-0"})
                }
            };
            command(
                format!("command-{number}"),
                random.u64(0..=spread_ms + 120_000),
                &body,
            )
        })
        .collect();
    if let Some(again) = letters.first().cloned() {
        letters.push(Letter {
            at_ms: again.at_ms + random.u64(0..120_000),
            ..again
        });
    }
    letters
}

/// Lets a task go on that is on hold.
pub(super) fn release(task: &TaskId, message_id: String) -> Letter {
    command(message_id, 0, &json!({"action": "release", "id": task.as_str()}))
}

/// Runs what is in doubt of the submission of this task again.
pub(super) fn retry(task: &TaskId) -> Letter {
    let submission = task.submission();
    let body = json!({"action": "retry", "id": submission.as_str()});
    command(format!("retry-{submission}"), 0, &body)
}

/// Lets a cluster go on that is paused.
pub(super) fn resume(cluster: &ClusterName, message_id: String) -> Letter {
    let body = json!({"action": "resume", "cluster": cluster.as_str()});
    command(message_id, 0, &body)
}

fn command(message_id: String, at_ms: u64, body: &Value) -> Letter {
    Letter {
        at_ms,
        message_id,
        body: body.to_string(),
        meaning: Meaning::Command,
    }
}
