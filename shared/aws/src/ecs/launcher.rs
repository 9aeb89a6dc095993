//! RunTask, and what its answers mean.

use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::run_task::{RunTaskError, RunTaskOutput};
use aws_sdk_ecs::operation::stop_task::StopTaskError;
use aws_sdk_ecs::types::Task;
use berth_control::ports::{LaunchCall, Launcher, PortError, StopAnswer};
use berth_scheduler::id::{ClusterName, TaskArn};
use berth_scheduler::launch::{LaunchOutcome, Refusal, outcome_of_exception};

use super::describe::timestamp_of;
use super::request::input_of;
use super::{Ecs, SERVICE};
use crate::error::{message_of, port_error};

/// ECS takes no longer reason.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html>
const STOP_REASON_CHARACTERS_MAX: usize = 255;

impl Launcher for Ecs {
    async fn run_task(&self, call: &LaunchCall) -> LaunchOutcome {
        let input = match input_of(call) {
            Ok(input) => input,
            Err(error) => {
                return LaunchOutcome::Invalid {
                    message: error.to_string(),
                };
            }
        };
        match Box::pin(input.send_with(&self.launching)).await {
            Ok(answer) => outcome_of_answer(&answer),
            Err(error) => outcome_of_error(&error),
        }
    }

    async fn stop_task(
        &self,
        cluster: &ClusterName,
        task: &TaskArn,
        reason: &str,
    ) -> Result<StopAnswer, PortError> {
        // Stopping twice is stopping once, so this client may repeat the call.
        let request = self
            .asking
            .stop_task()
            .cluster(cluster.as_str())
            .task(task.as_str());
        let reason: String = reason.chars().take(STOP_REASON_CHARACTERS_MAX).collect();
        match Box::pin(request.reason(reason).send()).await {
            Ok(_) => Ok(StopAnswer::Stopping),
            // ECS has forgotten the task: it stopped an hour ago or longer.
            Err(error)
                if matches!(
                    error.as_service_error(),
                    Some(StopTaskError::InvalidParameterException(_))
                ) =>
            {
                Ok(StopAnswer::Unknown)
            }
            Err(error) => Err(port_error(SERVICE, "StopTask", &error)),
        }
    }
}

/// One task or one failure is the answer to a call for one task. Anything else tells nothing.
fn outcome_of_answer(answer: &RunTaskOutput) -> LaunchOutcome {
    if let [task] = answer.tasks() {
        return placed(task);
    }
    match answer.failures() {
        [failure, ..] if answer.tasks().is_empty() => {
            let reason = failure.reason().or(failure.detail()).unwrap_or_default();
            LaunchOutcome::Refused(Refusal::from_reason(reason))
        }
        _ => LaunchOutcome::Unknown {
            message: format!(
                "RunTask answered with {} tasks and no failure",
                answer.tasks().len()
            ),
        },
    }
}

fn placed(task: &Task) -> LaunchOutcome {
    let arn = task.task_arn().unwrap_or_default();
    match TaskArn::parse(arn) {
        Ok(arn) => LaunchOutcome::Placed {
            task: arn,
            created_at: task.created_at().map(timestamp_of),
        },
        Err(error) => LaunchOutcome::Unknown {
            message: error.to_string(),
        },
    }
}

fn outcome_of_error<R: std::fmt::Debug + HttpStatus + 'static>(
    error: &SdkError<RunTaskError, R>,
) -> LaunchOutcome {
    if let Some(RunTaskError::ConflictException(conflict)) = error.as_service_error() {
        return adopted(conflict.resource_ids());
    }
    let status = match error {
        SdkError::ServiceError(answer) => Some(answer.raw().status_code()),
        // Nothing was sent at all.
        SdkError::ConstructionFailure(_) => {
            return LaunchOutcome::Unavailable {
                message: message_of(error),
            };
        }
        _ => None,
    };
    let message = error.message().map_or_else(|| message_of(error), str::to_owned);
    outcome_of_exception(error.code(), &message, status)
}

/// The token is bound to tasks already: they are the ones this call asks for, under a request that differed
/// only in its form.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>
fn adopted(resource_ids: &[String]) -> LaunchOutcome {
    let task = resource_ids.iter().find_map(|id| TaskArn::parse(id).ok());
    match task {
        Some(task) => LaunchOutcome::Placed {
            task,
            created_at: None,
        },
        None => LaunchOutcome::Unknown {
            message: "the client token is in use, and no task is named".to_owned(),
        },
    }
}

/// Answers that have an HTTP status.
trait HttpStatus {
    fn status_code(&self) -> u16;
}

impl HttpStatus for aws_sdk_ecs::config::http::HttpResponse {
    fn status_code(&self) -> u16 {
        self.status().as_u16()
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::error::ErrorMetadata;
    use aws_sdk_ecs::primitives::DateTime;
    use aws_sdk_ecs::types::Failure;
    use aws_sdk_ecs::types::error::ConflictException;
    use berth_scheduler::launch::RefusalKind;
    use berth_scheduler::timestamp::Timestamp;

    use super::*;

    const TASK: &str = "arn:aws:ecs:us-east-1:123456789012:task/default/0123";

    #[derive(Debug)]
    struct Status(u16);

    impl HttpStatus for Status {
        fn status_code(&self) -> u16 {
            self.0
        }
    }

    fn outcome(error: RunTaskError, status: u16) -> LaunchOutcome {
        outcome_of_error(&SdkError::service_error(error, Status(status)))
    }

    #[test]
    fn a_placed_task_has_its_arn_and_its_birth() {
        let task = Task::builder()
            .task_arn(TASK)
            .created_at(DateTime::from_millis(1_500))
            .build();
        let outcome = outcome_of_answer(&RunTaskOutput::builder().tasks(task).build());
        let created_at = Some(Timestamp::from_millis(1_500));
        assert_eq!(
            outcome,
            LaunchOutcome::Placed {
                task: TaskArn::parse(TASK).unwrap(),
                created_at
            }
        );
    }

    #[test]
    fn a_failure_is_a_refusal_by_its_reason() {
        let failure = Failure::builder().reason("RESOURCE:MEMORY").build();
        let answer = RunTaskOutput::builder().failures(failure).build();
        let LaunchOutcome::Refused(refusal) = outcome_of_answer(&answer) else {
            panic!()
        };
        assert_eq!(
            (refusal.kind, refusal.reason.as_str()),
            (RefusalKind::Resource, "RESOURCE:MEMORY")
        );
    }

    #[test]
    fn an_empty_answer_leaves_the_outcome_unknown() {
        let outcome = outcome_of_answer(&RunTaskOutput::builder().build());
        assert!(matches!(outcome, LaunchOutcome::Unknown { .. }), "{outcome:?}");
    }

    #[test]
    fn a_conflict_adopts_the_task_that_has_the_token() {
        let conflict = |ids: &[&str]| {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect();
            RunTaskError::ConflictException(ConflictException::builder().set_resource_ids(Some(ids)).build())
        };
        let adopted = LaunchOutcome::Placed {
            task: TaskArn::parse(TASK).unwrap(),
            created_at: None,
        };
        assert_eq!(outcome(conflict(&[TASK]), 400), adopted);
        assert!(matches!(
            outcome(conflict(&[]), 400),
            LaunchOutcome::Unknown { .. }
        ));
    }

    #[test]
    fn exceptions_mean_what_the_core_says_and_a_timeout_means_nothing() {
        let generic = |code, message| {
            RunTaskError::generic(ErrorMetadata::builder().code(code).message(message).build())
        };
        assert_eq!(
            outcome(generic("ThrottlingException", "Rate exceeded"), 400),
            LaunchOutcome::Throttled
        );
        let denied = outcome(generic("AccessDeniedException", "not authorized"), 400);
        assert!(matches!(denied, LaunchOutcome::Unavailable { .. }), "{denied:?}");
        let broken = outcome(generic("Strange", "?"), 503);
        assert!(matches!(broken, LaunchOutcome::Unknown { .. }), "{broken:?}");
        let timeout: SdkError<RunTaskError, Status> = SdkError::timeout_error("too late");
        let outcome = outcome_of_error(&timeout);
        assert!(matches!(outcome, LaunchOutcome::Unknown { .. }), "{outcome:?}");
    }
}
