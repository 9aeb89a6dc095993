//! Messages that change one's mind: about tasks that were submitted, or about a whole cluster.
//!
//! ```json
//! {"action": "cancel", "id": "etl-2026-11-21", "reason": "wrong input"}
//! {"action": "changePriority", "group": "nightly", "priority": 900}
//! {"action": "pause", "cluster": "default"}
//! ```

use berth_scheduler::id::{ClusterName, IdError, SubmissionId, TaskGroup, TaskId};
use berth_scheduler::waiting::Priority;

use super::refusal::Refusal;
use super::strict_json::field::{Field, Object};
use super::submission::{cluster_if_missing, cluster_of_deployment};
use crate::settings::Settings;

/// The field that tells a command from a submission.
pub(crate) const ACTION_FIELD: &str = "action";

/// Longest `reason`, in characters.
const REASON_CHARACTERS_MAX: usize = 256;

const FIELDS: [&str; 6] = ["action", "id", "group", "cluster", "priority", "reason"];

/// What somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What to do with what.
    pub order: Order,
    /// Why, for people.
    pub reason: Option<String>,
}

/// What to do with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Something about tasks.
    Tasks(TaskAction, Target),
    /// Something about a whole cluster.
    Cluster(ClusterAction, ClusterName),
}

/// What can be done with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskAction {
    /// End it, whether it waits or runs.
    Cancel,
    /// Do not start it until it is released.
    Hold,
    /// Start it again in its turn.
    Release,
    /// Run it again although nobody knows whether it ran.
    Retry,
    /// Give it another priority.
    ChangePriority(Priority),
}

/// What can be done with a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterAction {
    /// Start nothing there.
    Pause,
    /// Start tasks again.
    Resume,
}

/// Which tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All tasks of a submission.
    Submission(SubmissionId),
    /// One copy of a submission with a `count`.
    Task(TaskId),
    /// All tasks of a group in a cluster that were submitted before the command was sent.
    Group(ClusterName, TaskGroup),
}

impl TaskAction {
    /// Its word in a message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Retry => "retry",
            Self::ChangePriority(_) => "changePriority",
        }
    }
}

#[derive(Clone, Copy)]
enum Word {
    Cancel,
    Hold,
    Release,
    Retry,
    ChangePriority,
    Pause,
    Resume,
}

#[derive(Default)]
struct Draft {
    word: Option<Word>,
    id: Option<Target>,
    group: Option<TaskGroup>,
    cluster: Option<ClusterName>,
    priority: Option<Priority>,
    reason: Option<String>,
}

/// Reads a message that has an `action` field.
pub(crate) fn decode_command(message: &Object<'_>, settings: &Settings) -> Result<Command, Refusal> {
    let mut draft = Draft::default();
    for (name, field) in message.fields() {
        draft.read(name, &field, settings)?;
    }
    Ok(Command {
        order: draft.order(message, settings)?,
        reason: draft.reason,
    })
}

impl Draft {
    fn read(&mut self, name: &str, field: &Field<'_>, settings: &Settings) -> Result<(), Refusal> {
        match name {
            ACTION_FIELD => {
                self.word = Some(field.choice(&[
                    ("cancel", Word::Cancel),
                    ("hold", Word::Hold),
                    ("release", Word::Release),
                    ("retry", Word::Retry),
                    ("changePriority", Word::ChangePriority),
                    ("pause", Word::Pause),
                    ("resume", Word::Resume),
                ])?);
            }
            "id" => self.id = Some(decode_id(field)?),
            "group" => self.group = Some(field.parsed("a task group", TaskGroup::parse)?),
            "cluster" => self.cluster = Some(cluster_of_deployment(field, settings)?),
            "priority" => {
                let number: u16 = field.whole_number(0..=i64::from(Priority::MAX))?;
                self.priority = Priority::new(number);
            }
            "reason" => {
                let reason = field.line(REASON_CHARACTERS_MAX, "a reason for people")?;
                self.reason = Some(reason.to_owned());
            }
            _ => return Err(field.unknown(&FIELDS)),
        }
        Ok(())
    }

    fn order(&self, message: &Object<'_>, settings: &Settings) -> Result<Order, Refusal> {
        let word = self
            .word
            .ok_or_else(|| message.missing(ACTION_FIELD, "what to do"))?;
        let action = match (word, self.priority) {
            (Word::Cancel, None) => TaskAction::Cancel,
            (Word::Hold, None) => TaskAction::Hold,
            (Word::Release, None) => TaskAction::Release,
            (Word::Retry, None) => TaskAction::Retry,
            (Word::ChangePriority, Some(priority)) => TaskAction::ChangePriority(priority),
            (Word::ChangePriority, None) => {
                return Err(message.missing("priority", "the new priority, 0 to 1000"));
            }
            (Word::Pause, None) => return self.whole_cluster(message, settings, ClusterAction::Pause),
            (Word::Resume, None) => return self.whole_cluster(message, settings, ClusterAction::Resume),
            (_, Some(_)) => {
                return Err(message.refuse_default("priority", "is for `changePriority` alone: leave it out"));
            }
        };
        let target = match (&self.id, &self.group) {
            (Some(id), None) => id.clone(),
            (None, Some(group)) => Target::Group(self.cluster(message, settings)?, group.clone()),
            (Some(_), Some(_)) => {
                return Err(message.refuse_default("group", "given beside `id`: give one of them"));
            }
            (None, None) => return Err(message.missing("id", "the id of a submission, or a `group`")),
        };
        Ok(Order::Tasks(action, target))
    }

    fn whole_cluster(
        &self,
        message: &Object<'_>,
        settings: &Settings,
        action: ClusterAction,
    ) -> Result<Order, Refusal> {
        if self.id.is_some() || self.group.is_some() {
            let reason = "`pause` and `resume` are for a whole cluster: leave `id` and `group` out, or `hold` and `release` them";
            return Err(message.refuse_default(ACTION_FIELD, reason));
        }
        Ok(Order::Cluster(action, self.cluster(message, settings)?))
    }

    fn cluster(&self, message: &Object<'_>, settings: &Settings) -> Result<ClusterName, Refusal> {
        match &self.cluster {
            Some(cluster) => Ok(cluster.clone()),
            None => cluster_if_missing(message, settings),
        }
    }
}

/// The id of a submission, or of one copy: `etl/1` is the first one, whose task is called as the submission is.
pub(super) fn decode_id(field: &Field<'_>) -> Result<Target, Refusal> {
    let text = field.text("the id of a submission")?;
    if text.contains('/') {
        return field.parsed("a task id", parse_copy).map(Target::Task);
    }
    field
        .parsed("a submission id", SubmissionId::parse)
        .map(Target::Submission)
}

fn parse_copy(text: &str) -> Result<TaskId, IdError> {
    match text.strip_suffix("/1") {
        Some(submission) => SubmissionId::parse(submission).map(|it| TaskId::of_copy(&it, 1)),
        None => TaskId::parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::submission::{Message, decode_message};

    fn decode(body: &str) -> Result<Command, String> {
        let settings = Settings::parse("default,batch", "").unwrap();
        match decode_message(body, "m-1", &settings) {
            Ok(Message::Command(command)) => Ok(*command),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal.reason),
        }
    }

    #[test]
    fn commands_are_about_submissions_copies_groups_and_clusters() {
        let cluster = |name| ClusterName::parse(name).unwrap();
        let group = |name| TaskGroup::parse(name).unwrap();
        let etl = Target::Submission(SubmissionId::parse("etl").unwrap());
        let urgent = TaskAction::ChangePriority(Priority::new(900).unwrap());
        for (body, order) in [
            (
                r#"{"action":"cancel","id":"etl"}"#,
                Order::Tasks(TaskAction::Cancel, etl),
            ),
            (
                r#"{"action":"hold","id":"etl/3"}"#,
                Order::Tasks(TaskAction::Hold, Target::Task(TaskId::parse("etl/3").unwrap())),
            ),
            (
                r#"{"action":"release","cluster":"batch","group":"family:etl"}"#,
                Order::Tasks(
                    TaskAction::Release,
                    Target::Group(cluster("batch"), group("family:etl")),
                ),
            ),
            (
                r#"{"action":"hold","id":"etl/1"}"#,
                Order::Tasks(TaskAction::Hold, Target::Task(TaskId::parse("etl").unwrap())),
            ),
            (
                r#"{"action":"retry","id":"etl/3"}"#,
                Order::Tasks(TaskAction::Retry, Target::Task(TaskId::parse("etl/3").unwrap())),
            ),
            (
                r#"{"action":"changePriority","group":"nightly","priority":900}"#,
                Order::Tasks(urgent, Target::Group(cluster("default"), group("nightly"))),
            ),
            (
                r#"{"action":"pause"}"#,
                Order::Cluster(ClusterAction::Pause, cluster("default")),
            ),
            (
                r#"{"action":"resume","cluster":"batch","reason":"mended"}"#,
                Order::Cluster(ClusterAction::Resume, cluster("batch")),
            ),
        ] {
            assert_eq!(decode(body).unwrap().order, order, "{body}");
        }
        let reason = decode(r#"{"action":"pause","reason":"flood"}"#).unwrap().reason;
        assert_eq!(reason.as_deref(), Some("flood"));
    }

    #[test]
    fn a_command_that_makes_no_sense_is_refused_by_field_with_the_fix() {
        for (body, pieces) in [
            (r#"{"action":"kill","id":"etl"}"#, ["action", "give `cancel`"]),
            (
                r#"{"action":"canel","id":"etl"}"#,
                ["action", "did you mean `cancel`?"],
            ),
            (r#"{"action":"cancel"}"#, ["id", "or a `group`"]),
            (
                r#"{"action":"cancel","id":"a","group":"b"}"#,
                ["group", "give one of them"],
            ),
            (
                r#"{"action":"changePriority","id":"a"}"#,
                ["priority", "0 to 1000"],
            ),
            (
                r#"{"action":"changePriority","id":"a","priority":1001}"#,
                ["priority", "out of range"],
            ),
            (
                r#"{"action":"hold","id":"a","priority":1}"#,
                ["priority", "leave it out"],
            ),
            (r#"{"action":"pause","id":"a"}"#, ["action", "whole cluster"]),
            (r#"{"action":"pause","cluster":"prod"}"#, ["cluster", "`prod`"]),
            (r#"{"action":"hold","id":"a b"}"#, ["id", "`a b`"]),
            (r#"{"action":"hold","id":"a/11"}"#, ["id", "`a/11`"]),
            (r#"{"action":"hold","id":"/1"}"#, ["id", "a submission id"]),
            (
                r#"{"action":"hold","grop":"a"}"#,
                ["grop", "did you mean `group`?"],
            ),
            (
                r#"{"action":"hold","id":"a","taskDefinition":"etl"}"#,
                ["taskDefinition", "unknown field"],
            ),
        ] {
            let error = decode(body).unwrap_err();
            assert!(
                pieces.iter().all(|piece| error.contains(piece)),
                "{body}: {error}"
            );
        }
    }
}
