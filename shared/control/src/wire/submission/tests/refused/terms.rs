//! Times and retries that make no sense.

use super::*;

#[test]
fn times_are_instants_and_in_order() {
    check_parts(&[
        (r#""notBefore": "tomorrow""#, "notBefore", "is not a time like"),
        (r#""notBefore": 5"#, "notBefore", "give a time like"),
        (
            r#""startBy": "2026-11-31T10:00:00Z""#,
            "startBy",
            "`2026-11-31T10:00:00Z` is not a time",
        ),
        (
            r#""notBefore": "2026-11-21T10:00:00Z", "startBy": "2026-11-21T10:00:00Z""#,
            "startBy",
            "the task could never start",
        ),
        (
            r#""startBy": "2026-11-21T09:00:00Z", "notBefore": "2026-11-21T10:00:00Z""#,
            "startBy",
            "is not after `notBefore`",
        ),
        (r#""timeoutSeconds": 59"#, "timeoutSeconds", "from 60 to"),
        (r#""timeoutSeconds": 31536001"#, "timeoutSeconds", "out of range"),
        (r#""timeoutSeconds": "60""#, "timeoutSeconds", "whole number"),
        (
            r#""expectedDurationSeconds": 0"#,
            "expectedDurationSeconds",
            "from 1 to",
        ),
        (
            r#""expectedDurationSeconds": 1.5"#,
            "expectedDurationSeconds",
            "whole number",
        ),
    ]);
}

#[test]
fn retries_are_those_of_aws_batch() {
    check_parts(&[
        (
            r#""retryStrategy": 3"#,
            "retryStrategy",
            "an object with `attempts`",
        ),
        (
            r#""retryStrategy": {"attempts": 0}"#,
            "retryStrategy.attempts",
            "from 1 to 10",
        ),
        (
            r#""retryStrategy": {"attempts": 11}"#,
            "retryStrategy.attempts",
            "out of range",
        ),
        (
            r#""retryStrategy": {"attemps": 2}"#,
            "retryStrategy.attemps",
            "did you mean `attempts`?",
        ),
        (
            r#""retryStrategy": {"evaluateOnExit": [{"action": "RETRY"}]}"#,
            "retryStrategy.evaluateOnExit[0]",
            "matches nothing",
        ),
        (
            r#""retryStrategy": {"evaluateOnExit": [{"onExitCode": "1"}]}"#,
            "retryStrategy.evaluateOnExit[0].action",
            "`RETRY` or `EXIT`",
        ),
        (
            r#""retryStrategy": {"evaluateOnExit": [{"onExitCode": "one", "action": "EXIT"}]}"#,
            "retryStrategy.evaluateOnExit[0].onExitCode",
            "digits and `*`",
        ),
        (
            r#""retryStrategy": {"evaluateOnExit": [{"onReason": "", "action": "EXIT"}]}"#,
            "retryStrategy.evaluateOnExit[0].onReason",
            "is empty",
        ),
        (
            r#""retryStrategy": {"evaluateOnExit": [{"onReason": "x", "action": "STOP"}]}"#,
            "retryStrategy.evaluateOnExit[0].action",
            "give `RETRY` or `EXIT`",
        ),
        (
            r#""retryStrategy": {"evaluateOnExit": [1, 2, 3, 4, 5, 6]}"#,
            "retryStrategy.evaluateOnExit",
            "at most 5 rules",
        ),
        (
            r#""retryStrategy": {"onOutOfMemory": {"increasePercent": 50}}"#,
            "retryStrategy.onOutOfMemory.maximumMiB",
            "no run gets more than",
        ),
        (
            r#""retryStrategy": {"onOutOfMemory": {"increasePercent": 0, "maximumMiB": 9}}"#,
            "retryStrategy.onOutOfMemory.increasePercent",
            "from 1 to 900",
        ),
    ]);
}

#[test]
fn more_memory_is_an_override_of_the_resources() {
    let body = r#"{"taskDefinition": "etl", "retryStrategy": {"onOutOfMemory": {"increasePercent": 50, "maximumMiB": 9}}}"#;
    let strict = Settings::parse("default", "environment").unwrap();
    let refusal = decode_with(body, &strict).unwrap_err();
    assert_eq!(
        refusal.field.as_deref(),
        Some("retryStrategy.onOutOfMemory"),
        "{}",
        refusal.reason
    );
}
