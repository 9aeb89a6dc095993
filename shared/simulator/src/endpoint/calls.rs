//! What has been called, so that a test can count.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ecs::launch::RunTaskAnswer;

/// Counts of calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    actions: BTreeMap<String, u64>,
    run_task: RunTaskCalls,
    by_started_by: BTreeMap<String, RunTaskCalls>,
}

#[derive(Clone, Copy, Debug, Default)]
struct RunTaskCalls {
    calls: u64,
    /// Tasks that came into being.
    started: u64,
    /// Calls that placed fewer tasks than asked.
    refused: u64,
    /// Calls that were answered as before, under their client token.
    repeated: u64,
    /// Calls that were answered with an exception.
    failed: u64,
}

impl Calls {
    pub(super) fn count_action(&mut self, action: &str) {
        *self.actions.entry(action.to_owned()).or_default() += 1;
    }

    /// Counts a RunTask call; `answer` is absent when it was answered with an exception.
    pub(super) fn count_run_task(
        &mut self,
        started_by: Option<&str>,
        started: u64,
        answer: Option<&RunTaskAnswer>,
    ) {
        let by_name = self
            .by_started_by
            .entry(started_by.unwrap_or_default().to_owned())
            .or_default();
        for counts in [&mut self.run_task, by_name] {
            counts.calls += 1;
            counts.started += started;
            match answer {
                None => counts.failed += 1,
                Some(answer) if started == 0 && !answer.tasks.is_empty() => counts.repeated += 1,
                Some(answer) if !answer.failures.is_empty() => counts.refused += 1,
                Some(_) => {}
            }
        }
    }

    pub(super) fn json(&self) -> Value {
        let by_name: serde_json::Map<_, _> = self
            .by_started_by
            .iter()
            .map(|(name, counts)| (name.clone(), counts.json()))
            .collect();
        json!({ "actions": self.actions, "runTask": self.run_task.json(), "startedBy": by_name })
    }
}

impl RunTaskCalls {
    fn json(self) -> Value {
        json!({
            "calls": self.calls,
            "started": self.started,
            "refused": self.refused,
            "repeated": self.repeated,
            "failed": self.failed,
        })
    }
}
