//! What RunTask's answers mean: who may try again, and who must not.

use crate::id::TaskArn;
use crate::timestamp::Timestamp;

/// The outcome of one RunTask call for one task pinned to one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaunchOutcome {
    /// The task was placed, by this call or by an earlier one with the same client token.
    Placed {
        /// The ECS task.
        task: TaskArn,
        /// When ECS created it, on ECS's clock; `None` when the answer does not tell.
        created_at: Option<Timestamp>,
    },
    /// Definitely not started: ECS looked at the instance and said no.
    Refused(Refusal),
    /// Definitely not started and never will be: the request itself is wrong.
    Invalid {
        /// ECS's own words.
        message: String,
    },
    /// Not carried out: too many calls. The same call may be repeated later.
    Throttled,
    /// Definitely not started, for a reason that concerns every task: the cluster is gone, the account is
    /// blocked, or Berth may not call RunTask.
    Unavailable {
        /// ECS's own words.
        message: String,
    },
    /// Nobody knows whether the task was started: no answer, or a server error. Only the same call with the
    /// same client token is safe.
    Unknown {
        /// What happened instead of an answer.
        message: String,
    },
}

/// A definite refusal: the reason in RunTask's `failures`.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// What kind of refusal it is.
    pub kind: RefusalKind,
    /// ECS's own words.
    pub reason: String,
}

/// What a refusal tells about our records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalKind {
    /// The instance has less room than the record says.
    Resource,
    /// The agent is disconnected.
    Agent,
    /// An attribute, constraint or zone does not match: the record's attributes are out of date.
    Constraint,
    /// The instance is gone.
    Missing,
    /// A reason not known yet; treated as one that may pass.
    Other,
}

impl Refusal {
    /// Reads the reason of a RunTask failure. Reasons are matched by prefix: ECS adds details behind them.
    pub fn from_reason(reason: &str) -> Self {
        let starts = |prefix: &str| {
            reason
                .get(..prefix.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        };
        let kind = if starts("RESOURCE") {
            RefusalKind::Resource
        } else if starts("AGENT") {
            RefusalKind::Agent
        } else if starts("ATTRIBUTE")
            || starts("LOCATION")
            || starts("MemberOf")
            || starts("distinctInstance")
        {
            RefusalKind::Constraint
        } else if starts("MISSING") || starts("INACTIVE") {
            RefusalKind::Missing
        } else {
            RefusalKind::Other
        };
        Self {
            kind,
            reason: reason.to_owned(),
        }
    }
}

/// What an exception of the ECS API says about a RunTask call.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
///
/// `code` is the exception's name (`None` when there was no readable answer), `status` its HTTP status.
/// `ConflictException` is not handled here: it names the tasks that exist, which is an answer.
pub fn outcome_of_exception(code: Option<&str>, message: &str, status: Option<u16>) -> LaunchOutcome {
    let message = message.to_owned();
    // Throttling also comes wrapped in other exceptions, so the words count more than the name.
    if ["Rate exceeded", "Throttling", "TooManyRequests"]
        .iter()
        .any(|word| message.contains(word))
    {
        return LaunchOutcome::Throttled;
    }
    match code {
        Some("ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded") => {
            LaunchOutcome::Throttled
        }
        Some("ServerException" | "InternalServerError" | "ServiceUnavailable") | None => {
            LaunchOutcome::Unknown { message }
        }
        Some(_) if status.is_some_and(|status| status >= 500) => LaunchOutcome::Unknown { message },
        Some("InvalidParameterException") if message.contains("No Container Instances were found") => {
            LaunchOutcome::Refused(Refusal {
                kind: RefusalKind::Missing,
                reason: message,
            })
        }
        Some("ClientException") if message.contains("PROVISIONING") => LaunchOutcome::Throttled,
        Some(
            "AccessDeniedException"
            | "BlockedException"
            | "ClusterNotFoundException"
            | "UnrecognizedClientException"
            | "ExpiredTokenException"
            | "InvalidSignatureException",
        ) => LaunchOutcome::Unavailable { message },
        Some(_) => LaunchOutcome::Invalid { message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_failure_reason_has_its_kind() {
        for (reason, kind) in [
            ("RESOURCE:MEMORY", RefusalKind::Resource),
            ("RESOURCE:PORTS_UDP", RefusalKind::Resource),
            ("AGENT", RefusalKind::Agent),
            ("ATTRIBUTE", RefusalKind::Constraint),
            ("LOCATION", RefusalKind::Constraint),
            (
                "MemberOf placement constraint unsatisfied.",
                RefusalKind::Constraint,
            ),
            ("memberOf constraint unsatisfied", RefusalKind::Constraint),
            ("MISSING", RefusalKind::Missing),
            ("a reason of next year", RefusalKind::Other),
            ("", RefusalKind::Other),
        ] {
            assert_eq!(Refusal::from_reason(reason).kind, kind, "{reason}");
        }
    }

    #[test]
    fn throttling_is_recognised_however_it_is_wrapped() {
        for (code, message) in [
            ("ThrottlingException", "Rate exceeded"),
            (
                "InvalidParameterException",
                "Unable to create network interface (ErrorCode: Throttling)",
            ),
            ("ClientException", "Rate exceeded"),
        ] {
            assert_eq!(
                outcome_of_exception(Some(code), message, Some(400)),
                LaunchOutcome::Throttled
            );
        }
    }

    #[test]
    fn no_answer_and_server_errors_leave_the_outcome_unknown() {
        for (code, status) in [
            (None, None),
            (Some("ServerException"), Some(500)),
            (Some("Strange"), Some(503)),
        ] {
            let outcome = outcome_of_exception(code, "lost", status);
            assert!(matches!(outcome, LaunchOutcome::Unknown { .. }), "{outcome:?}");
        }
    }

    #[test]
    fn a_wrong_request_is_not_tried_again_and_a_missing_right_is_no_fault_of_the_task() {
        let invalid = outcome_of_exception(
            Some("InvalidParameterException"),
            "TaskDefinition is inactive",
            Some(400),
        );
        assert!(matches!(invalid, LaunchOutcome::Invalid { .. }));
        let denied = outcome_of_exception(Some("AccessDeniedException"), "not authorized", Some(400));
        assert!(matches!(denied, LaunchOutcome::Unavailable { .. }));
    }
}
