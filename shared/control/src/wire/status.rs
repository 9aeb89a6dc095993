//! Questions about tasks and clusters.
//!
//! ```json
//! {"id": "etl-2026-11-21"}
//! {"cluster": "default", "top": 50}
//! ```

use berth_scheduler::id::{ClusterName, SubmissionId, TaskId};

use super::command::{Target, decode_id};
use super::refusal::Refusal;
use super::strict_json::field;
use super::submission::{cluster_of_deployment, parse_body};
use crate::settings::Settings;

/// Tasks of the order that are told of unless the question says how many.
const TOP_IF_MISSING: usize = 20;

/// Most tasks of the order that are told of: an answer is for people, and may have 6 MB.
const TOP_MAX: i64 = 100;

const FIELDS: [&str; 3] = ["id", "cluster", "top"];

/// What somebody wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Where all copies of a submission are.
    Submission(SubmissionId),
    /// Where one copy is.
    Task(TaskId),
    /// Who waits in a cluster, and why.
    Cluster {
        /// The cluster.
        cluster: ClusterName,
        /// How many tasks of the order are told of, 1 to 100.
        top: usize,
    },
}

/// Reads a question.
///
/// ```
/// use berth_control::settings::Settings;
/// use berth_control::wire::status::decode_question;
///
/// let settings = Settings::parse("default", "")?;
/// let refusal = decode_question(r#"{"cluster": "default", "top": 500}"#, &settings).expect_err("too many");
/// assert_eq!(refusal.reason, "top: `500` is out of range: give a whole number from 1 to 100");
/// # Ok::<(), berth_control::settings::SettingsError>(())
/// ```
///
/// # Errors
/// The first problem in the text: its field, its value and what to give instead.
pub fn decode_question(text: &str, settings: &Settings) -> Result<Question, Refusal> {
    let root = parse_body(text)?;
    let message =
        field::root(text, &root).object("one JSON object such as `{\"id\": \"etl-2026-11-21\"}`")?;
    let (mut id, mut cluster, mut top) = (None, None, None);
    for (name, field) in message.fields() {
        match name {
            "id" => id = Some(decode_id(&field)?),
            "cluster" => cluster = Some(cluster_of_deployment(&field, settings)?),
            "top" => top = Some(field.whole_number::<u8>(1..=TOP_MAX)?),
            _ => return Err(field.unknown(&FIELDS)),
        }
    }
    match (id, cluster, top) {
        (Some(Target::Submission(submission)), None, None) => Ok(Question::Submission(submission)),
        (Some(Target::Task(task)), None, None) => Ok(Question::Task(task)),
        (None, Some(cluster), top) => Ok(Question::Cluster {
            cluster,
            top: top.map_or(TOP_IF_MISSING, usize::from),
        }),
        (Some(_), Some(_), _) => {
            Err(message.refuse_default("cluster", "given beside `id`: give one of them"))
        }
        (Some(_), None, Some(_)) => {
            Err(message.refuse_default("top", "is for `cluster` alone: leave it out"))
        }
        _ => Err(message.missing("id", "the id of a submission, or a `cluster`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Question, String> {
        let settings = Settings::parse("default,batch", "").unwrap();
        decode_question(text, &settings).map_err(|refusal| refusal.reason)
    }

    #[test]
    fn questions_are_about_submissions_copies_and_clusters() {
        let submission = Question::Submission(SubmissionId::parse("etl").unwrap());
        let copy = Question::Task(TaskId::parse("etl/3").unwrap());
        let cluster = |top| Question::Cluster {
            cluster: ClusterName::parse("batch").unwrap(),
            top,
        };
        assert_eq!(decode(r#"{"id":"etl"}"#), Ok(submission));
        assert_eq!(decode(r#"{"id":"etl/3"}"#), Ok(copy));
        assert_eq!(decode(r#"{"cluster":"batch"}"#), Ok(cluster(20)));
        assert_eq!(decode(r#"{"cluster":"batch","top":100}"#), Ok(cluster(100)));
    }

    #[test]
    fn a_question_that_cannot_be_answered_is_refused_by_field_with_the_fix() {
        for (text, pieces) in [
            ("{}", ["id: missing", "or a `cluster`"]),
            (r#"{"ID":"etl"}"#, ["ID", "did you mean `id`?"]),
            (r#"{"id":"a b"}"#, ["id", "`a b`"]),
            (
                r#"{"id":"etl","cluster":"batch"}"#,
                ["cluster", "give one of them"],
            ),
            (r#"{"id":"etl","top":5}"#, ["top", "leave it out"]),
            (r#"{"cluster":"prod"}"#, ["`prod`", "give `default` or `batch`"]),
            (
                r#"{"cluster":"batch","top":0}"#,
                ["`0` is out of range", "1 to 100"],
            ),
            (r#"[]"#, ["is a list", "one JSON object"]),
            (r#"{"id":"#, ["JSON", ""]),
        ] {
            let error = decode(text).unwrap_err();
            assert!(
                pieces.iter().all(|piece| error.contains(piece)),
                "{text}: {error}"
            );
        }
    }
}
