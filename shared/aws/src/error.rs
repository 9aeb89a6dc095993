//! What went wrong in a call, without anything that a request or a stored record contained.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use berth_control::ports::PortError;

/// The exceptions with which services ask for patience.
const THROTTLING_CODES: [&str; 6] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
];

/// The error of a port for a failed call.
pub(crate) fn port_error<E, R>(
    service: &'static str,
    operation: &'static str,
    error: &SdkError<E, R>,
) -> PortError
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    if is_throttling(error.code(), error.message()) {
        return PortError::Throttled { service };
    }
    PortError::Failed {
        operation,
        message: message_of(error),
    }
}

/// Whether an exception asks for patience, however it is wrapped.
pub(crate) fn is_throttling(code: Option<&str>, message: Option<&str>) -> bool {
    code.is_some_and(|code| THROTTLING_CODES.contains(&code))
        || message.is_some_and(|message| message.contains("Rate exceeded"))
}

/// What a failed call says: the service's words, or what kept them from coming.
///
/// Never the response as a whole: it may contain stored records.
pub(crate) fn message_of<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => chain_of(error),
    }
}

/// An error and everything behind it.
pub(crate) fn chain_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(source) = behind {
        let message = source.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        behind = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_is_recognised_by_its_code_or_its_words() {
        assert!(is_throttling(
            Some("ProvisionedThroughputExceededException"),
            None
        ));
        assert!(is_throttling(Some("ClientException"), Some("Rate exceeded")));
        assert!(!is_throttling(
            Some("ConditionalCheckFailedException"),
            Some("The conditional request failed")
        ));
        assert!(!is_throttling(None, None));
    }
}
