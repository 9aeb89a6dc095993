//! Client tokens: the same RunTask request twice starts its tasks once.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>

use std::sync::Arc;

use berth_scheduler::id::{ClusterName, TaskArn};
use berth_scheduler::timestamp::Timestamp;

use super::error::{EcsError, EcsErrorKind};
use super::launch::{Failure, RunTaskAnswer, RunTaskRequest};
use super::schedule::Chore;
use super::task::TaskNumber;
use super::{STOPPED_TASK_VISIBLE_MS, SimulatedEcs};

/// The greatest age of a token, in milliseconds.
const TOKEN_AGE_MAX_MS: u64 = 24 * 60 * 60 * 1_000;

/// What a token's first request was, and what became of it.
#[derive(Debug)]
pub(super) struct Token {
    request: RunTaskRequest,
    tasks: Vec<(TaskNumber, TaskArn)>,
    failures: Vec<Failure>,
    created_at: Timestamp,
    /// How many of its tasks ECS still knows; it lives as long as the last of them.
    known_tasks: usize,
}

impl SimulatedEcs {
    /// The answer to an earlier request with the same token, if there was one.
    pub(super) fn replay(&self, request: &RunTaskRequest) -> Result<Option<RunTaskAnswer>, EcsError> {
        let Some(client_token) = &request.client_token else {
            return Ok(None);
        };
        let cluster = self.cluster(&request.cluster)?;
        let Some(token) = cluster.tokens.get(client_token) else {
            return Ok(None);
        };
        if token.request != *request {
            let message = format!(
                "The clientToken `{client_token}` belongs to an earlier request with other parameters."
            );
            let mut error = EcsError::new(EcsErrorKind::Conflict, message);
            error.resource_ids = token.tasks.iter().map(|(_, arn)| arn.to_string()).collect();
            return Err(error);
        }
        let known = token
            .tasks
            .iter()
            .filter(|(number, _)| self.tasks.contains_key(number));
        Ok(Some(RunTaskAnswer {
            tasks: known.map(|(_, arn)| arn.clone()).collect(),
            failures: token.failures.clone(),
        }))
    }

    /// Keeps a request's answer under its token.
    pub(super) fn keep_token(&mut self, request: &RunTaskRequest, answer: &RunTaskAnswer) {
        let Some(client_token) = request.client_token.clone() else {
            return;
        };
        let numbers = answer.tasks.iter().filter_map(|arn| {
            let number = self.task_numbers.get(arn)?;
            Some((*number, arn.clone()))
        });
        let tasks: Vec<_> = numbers.collect();
        let created_at = self.now;
        let age_max = if tasks.is_empty() {
            STOPPED_TASK_VISIBLE_MS
        } else {
            TOKEN_AGE_MAX_MS
        };
        let chore = Chore::ForgetToken(request.cluster.clone(), Arc::clone(&client_token), created_at);
        self.schedule
            .plan_chore(created_at.saturating_add_millis(age_max), chore);
        let token = Token {
            request: request.clone(),
            known_tasks: tasks.len(),
            tasks,
            failures: answer.failures.clone(),
            created_at,
        };
        if let Some(cluster) = self.clusters.get_mut(&request.cluster) {
            cluster.tokens.insert(client_token, token);
        }
    }

    /// A token has reached its greatest age, unless its name has been used anew since.
    pub(super) fn forget_token(&mut self, cluster: &ClusterName, token: &Arc<str>, created_at: Timestamp) {
        if let Some(cluster) = self.clusters.get_mut(cluster)
            && cluster
                .tokens
                .get(token)
                .is_some_and(|token| token.created_at == created_at)
        {
            cluster.tokens.remove(token);
        }
    }

    /// A task of a token is forgotten; with the last one the token is, too.
    pub(super) fn release_token(&mut self, cluster: &ClusterName, token: &Arc<str>, task: TaskNumber) {
        let Some(cluster) = self.clusters.get_mut(cluster) else {
            return;
        };
        let Some(entry) = cluster.tokens.get_mut(token) else {
            return;
        };
        if entry.tasks.iter().any(|(number, _)| *number == task) {
            entry.known_tasks = entry.known_tasks.saturating_sub(1);
            if entry.known_tasks == 0 {
                cluster.tokens.remove(token);
            }
        }
    }
}
