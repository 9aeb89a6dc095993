//! What Berth refuses: why, and where in the message.

use berth_scheduler::timestamp::Timestamp;
use serde::Serialize;

/// Why a message is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The field, such as `overrides.containerOverrides[0].name`; `None` when it is about the message whole.
    pub field: Option<String>,
    /// Where in the body; `None` when it is not about one place.
    pub position: Option<Position>,
    /// What is wrong and what to give instead, in one line (an expression's error adds the place marked by
    /// carets).
    pub reason: String,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Position {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

impl Position {
    /// The position of the character at a byte offset of `text`.
    pub fn of_offset(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        Self {
            line: before.matches('\n').count().saturating_add(1),
            column: before
                .get(line_start..)
                .unwrap_or("")
                .chars()
                .count()
                .saturating_add(1),
        }
    }
}

/// Bytes of a refusal message at most. SQS takes 1 MiB, and queues set up before 2025 a quarter of that.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const MESSAGE_BYTES_MAX: usize = 262_144;

/// The message on the refusals queue.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusalMessage<'a> {
    message_id: &'a str,
    field: Option<&'a str>,
    position: Option<Position>,
    reason: &'a str,
    refused_at: String,
    body: &'a str,
    /// The body's length in bytes, given only when `body` had to be cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_bytes: Option<usize>,
}

impl Refusal {
    /// A refusal that is not about a place in the body.
    pub fn without_position(field: Option<&str>, reason: impl Into<String>) -> Self {
        Self {
            field: field.map(str::to_owned),
            position: None,
            reason: reason.into(),
        }
    }

    /// A refusal of an id that no task has.
    pub fn of_unknown_task(id: &str) -> Self {
        let reason = format!(
            "id: no task `{id}` is known: it was never accepted, or has ended and its record is no longer kept"
        );
        Self::without_position(Some("id"), reason)
    }

    /// The JSON text for the refusals queue. `body` is repeated as it is, unless that makes the message larger
    /// than a queue takes: then its beginning is, and `bodyBytes` says how long it was.
    pub fn to_message(&self, message_id: &str, body: &str, now: Timestamp) -> String {
        let mut kept = body.len();
        loop {
            let cut = body.get(..body.floor_char_boundary(kept)).unwrap_or(body);
            let message = self.message_with(message_id, cut, body, now);
            if message.len() <= MESSAGE_BYTES_MAX || cut.is_empty() {
                return message;
            }
            // Escapes make the message larger than the body, by how much depends on its characters: a few
            // rounds of halving find a length that fits.
            kept = (cut.len() / 2).min(MESSAGE_BYTES_MAX);
        }
    }

    fn message_with(&self, message_id: &str, cut: &str, body: &str, now: Timestamp) -> String {
        let message = RefusalMessage {
            message_id,
            field: self.field.as_deref(),
            position: self.position,
            reason: &self.reason,
            refused_at: now.to_string(),
            body: cut,
            body_bytes: (cut.len() < body.len()).then_some(body.len()),
        };
        // Strings and numbers only: there is nothing in it that could fail to become JSON.
        let text = serde_json::to_string(&message).unwrap_or_default();
        // SQS takes the characters of XML, and these two are none. Only strings can contain them.
        text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)?;
        match self.position {
            Some(Position { line, column }) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Refusal {
        Refusal {
            field: Some("priority".to_owned()),
            position: Some(Position { line: 1, column: 12 }),
            reason: "priority: `5000` is out of range: give 0 to 1000".to_owned(),
        }
    }

    #[test]
    fn a_refusal_message_has_the_reason_the_place_and_the_body() {
        let at = Timestamp::parse_iso8601("2026-11-21T10:00:00Z").unwrap();
        assert_eq!(
            refusal().to_message("m-1", r#"{"priority":5000}"#, at),
            concat!(
                r#"{"messageId":"m-1","field":"priority","position":{"line":1,"column":12},"#,
                r#""reason":"priority: `5000` is out of range: give 0 to 1000","#,
                r#""refusedAt":"2026-11-21T10:00:00.000Z","body":"{\"priority\":5000}"}"#
            )
        );
        let unplaced = Refusal::without_position(None, "no").to_message("m-1", "", at);
        assert!(unplaced.contains(r#""field":null,"position":null"#), "{unplaced}");
    }

    #[test]
    fn a_position_counts_characters_and_lines() {
        let text = "{\r\n\"é\": \"日本\", \"x\": 1}";
        let offset = text.find("\"x\"").unwrap();
        assert_eq!(
            Position::of_offset(text, offset),
            Position { line: 2, column: 12 }
        );
        assert_eq!(Position::of_offset(text, 10_000).line, 2);
    }

    #[test]
    fn a_body_too_large_for_a_queue_is_cut_and_says_so() {
        let at = Timestamp::from_millis(0);
        let body = "\"é".repeat(400_000);
        let message: serde_json::Value = serde_json::from_str(&refusal().to_message("m", &body, at)).unwrap();
        assert_eq!(message["bodyBytes"], 1_200_000);
        let kept = message["body"].as_str().unwrap();
        assert!(body.starts_with(kept) && kept.len() > 60_000, "{}", kept.len());
        let whole = "x".repeat(70_000);
        let message: serde_json::Value =
            serde_json::from_str(&refusal().to_message("m", &whole, at)).unwrap();
        assert_eq!(message["body"], whole);
        assert_eq!(message.get("bodyBytes"), None);
    }

    #[test]
    fn characters_that_sqs_does_not_take_are_escaped() {
        let message = refusal().to_message("m", "\u{ffff}\u{fffe}\u{1}", Timestamp::from_millis(0));
        assert!(message.is_ascii(), "{message}");
        let message: serde_json::Value = serde_json::from_str(&message).unwrap();
        assert_eq!(message["body"], "\u{ffff}\u{fffe}\u{1}");
    }
}
