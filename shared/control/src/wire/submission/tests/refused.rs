//! Wrong and hostile messages: each is refused, naming the field and what is wrong with it.

use super::*;

mod overrides;
mod placement;
mod terms;
mod top;

/// A wrong part of a message, the field to be named, and pieces of the reason.
type Case = (&'static str, &'static str, &'static str);

/// Checks messages that have a task definition and one wrong part.
fn check_parts(cases: &[Case]) {
    for (part, field, piece) in cases {
        check_body(&format!("{{\"taskDefinition\": \"etl\", {part}}}"), field, piece);
    }
}

/// Checks that the body is refused at the field, with a reason that begins with it.
fn check_body(body: &str, field: &str, piece: &str) {
    let refusal = match decode_message(body, "m-1", &settings()) {
        Err(refusal) => refusal,
        Ok(message) => panic!("{body} was read: {message:?}"),
    };
    let named = refusal.field.clone().unwrap_or_default();
    assert_eq!(named, field, "{body}: {}", refusal.reason);
    assert!(
        refusal.reason.starts_with(field) && refusal.reason.contains(piece),
        "{body}: {}",
        refusal.reason
    );
    assert!(refusal.position.is_some(), "{body}: {}", refusal.reason);
}

/// The text of the body from the refused place on.
fn refused_text(body: &str) -> &str {
    let refusal = decode(body).unwrap_err();
    let Position { line, column } = refusal.position.unwrap();
    let line = body.split('\n').nth(line - 1).unwrap();
    let (start, _) = line.char_indices().nth(column - 1).unwrap();
    &line[start..]
}

#[test]
fn a_refusal_points_at_the_value_the_key_or_the_object() {
    for (body, place) in [
        ("{\"taskDefinition\": \"日本\"}", "\"日本\"}"),
        ("{\n\"priority\":\n  5000}", "5000}"),
        ("{\"é\": 1, \"taskDefinition\": \"etl\"}", "\"é\": 1"),
        ("{\"tags\": [{\"key\": \"a\"},\n {\"kye\": \"b\"}]}", "\"kye\""),
        ("{\"tags\": [{\"key\": \"a\"}, {\"value\": \"b\"}]}", "{\"value\""),
        ("{\"overrides\": {\"taskRoleArn\": \"arn:x\"}}", "\"taskRoleArn\""),
        ("  {\"count\": 1}", "{\"count\""),
        // Also inside an expression, behind escapes.
        (
            r#"{"placementConstraints":[{"type":"memberOf","expression":"attribute:\u0061b\t= 2"}]}"#,
            "= 2\"}]}",
        ),
    ] {
        let found = refused_text(body);
        assert!(found.starts_with(place), "{body}: {found}");
    }
}

#[test]
fn the_first_problem_in_the_message_is_the_one_refused() {
    for (body, field) in [
        (
            r#"{"priority": -1, "count": 0, "taskDefinition": ""}"#,
            "priority",
        ),
        (r#"{"count": 0, "priority": -1}"#, "count"),
        (
            r#"{"overrides": {"cpu": "x", "memory": "y"}, "count": 0}"#,
            "overrides.cpu",
        ),
        (r#"{"unknown": 1, "count": 0}"#, "unknown"),
    ] {
        assert_eq!(decode(body).unwrap_err().field.as_deref(), Some(field), "{body}");
    }
}

#[test]
fn a_long_or_wicked_value_is_repeated_short_and_escaped() {
    for part in [
        r#""group": "a\nb\u202e""#,
        r#""placementConstraints": [{"type": "memberOf", "expression": "attribute:a\n\u0007 = \ufffe"}]"#,
        r#""tags": [{"key": "a\nb"}]"#,
        r#""a\nb": 1"#,
    ] {
        let refusal = decode(&format!("{{{part}}}")).unwrap_err();
        let text = format!("{:?} {}", refusal.field, refusal.reason);
        assert!(
            text.chars()
                .all(|c| !c.is_control() && c != '\u{202e}' && c != '\u{fffe}'),
            "{text:?}"
        );
    }
    let refusal = decode(&format!(r#"{{"id": "{}\u0007\u202e"}}"#, "x".repeat(60))).unwrap_err();
    assert!(
        refusal.reason.chars().all(|c| !c.is_control()),
        "{}",
        refusal.reason
    );
    let refusal = decode(&format!(r#"{{"{}": 1}}"#, "x".repeat(60_000))).unwrap_err();
    assert!(refusal.reason.len() < 1_000 && refusal.field.unwrap().len() < 1_000);
    let refusal = decode(&format!(r#"{{"taskDefinition": "{}"}}"#, "x".repeat(60_000))).unwrap_err();
    assert!(refusal.reason.len() < 1_000);
}

#[test]
fn no_reason_repeats_what_may_be_a_secret() {
    for part in [
        r#""environment": [{"name": "P", "value": 31337}]"#,
        r#""environment": [{"name": "P", "value": ["31337"]}]"#,
        r#""command": ["run", 31337]"#,
    ] {
        let body = format!(
            r#"{{"taskDefinition": "etl", "overrides": {{"containerOverrides": [{{"name": "app", {part}}}]}}}}"#
        );
        let reason = decode_with(&body, &permissive()).unwrap_err().reason;
        assert!(
            !reason.contains("31337") && reason.contains("give a text"),
            "{reason}"
        );
    }
    let unquoted =
        r#"{"overrides": {"containerOverrides": [{"environment": [{"name": "P", "value": "x"31337}]}]}}"#;
    let reason = decode(unquoted).unwrap_err().reason;
    assert!(
        !reason.contains("31337") && reason.contains("found `3`"),
        "{reason}"
    );
}

#[test]
fn a_setting_that_allows_an_override_lets_it_pass() {
    for (name, part) in [
        (
            "command",
            r#""overrides": {"containerOverrides": [{"name": "app", "command": ["x"]}]}"#,
        ),
        (
            "environment-files",
            r#""overrides": {"containerOverrides": [{"name": "app", "environmentFiles":
                [{"type": "s3", "value": "arn:aws:s3:::b/k"}]}]}"#,
        ),
        (
            "task-role",
            r#""overrides": {"taskRoleArn": "arn:aws:iam::123456789012:role/x"}"#,
        ),
        (
            "execution-role",
            r#""overrides": {"executionRoleArn": "arn:aws:iam::123456789012:role/x"}"#,
        ),
        ("execute-command", r#""enableExecuteCommand": true"#),
        (
            "environment",
            r#""overrides": {"containerOverrides": [{"name": "app", "environment": [{"name": "A", "value": ""}]}]}"#,
        ),
        ("resources", r#""overrides": {"cpu": "256"}"#),
        (
            "resources",
            r#""overrides": {"containerOverrides": [{"name": "app", "memoryReservation": 64}]}"#,
        ),
    ] {
        let body = format!("{{\"taskDefinition\": \"etl\", {part}}}");
        let nothing_allowed = Settings::parse("default", "").unwrap();
        let refusal = decode_with(&body, &nothing_allowed).unwrap_err();
        for piece in [
            format!("add `{name}`"),
            "`AllowedOverrides`".into(),
            "BERTH_ALLOWED_OVERRIDES".into(),
        ] {
            assert!(refusal.reason.contains(&piece), "{}", refusal.reason);
        }
        let allowed = Settings::parse("default", name).unwrap();
        assert!(decode_with(&body, &allowed).is_ok(), "{body}");
    }
}

#[test]
fn without_a_cluster_called_default_a_submission_must_name_one() {
    let settings = Settings::parse("batch,night", "").unwrap();
    let refusal = decode_with(r#"{"taskDefinition": "etl"}"#, &settings).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("cluster"));
    assert!(
        refusal.reason.contains("give `batch` or `night`"),
        "{}",
        refusal.reason
    );
}

#[test]
fn a_message_id_that_cannot_be_an_id_asks_for_one() {
    let refusal = decode_message(r#"{"taskDefinition": "etl"}"#, "a b", &settings()).unwrap_err();
    assert_eq!(refusal.field.as_deref(), Some("id"));
    assert!(
        refusal.reason.contains("`a b` is not a submission id"),
        "{}",
        refusal.reason
    );
}
