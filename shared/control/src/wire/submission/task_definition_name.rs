//! The task definition as a user names it.

use std::fmt;
use std::sync::Arc;

use berth_scheduler::id::TaskDefinitionArn;

use crate::wire::suggestion::shown;

/// A task definition by family (meaning its newest revision), by family and revision, or by ARN.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskDefinitionName {
    text: Arc<str>,
    family: Arc<str>,
    revision: Option<u32>,
}

/// A text that names no task definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a task definition: give `FAMILY`, `FAMILY:REVISION` or its ARN with the revision (a family has 1 \
     to 255 letters, digits, hyphens and underscores, a revision is a whole number from 1)"
)]
pub struct TaskDefinitionNameError {
    text: String,
}

impl TaskDefinitionName {
    /// Reads a task definition's name as RunTask takes it.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, TaskDefinitionNameError> {
        Self::read(text).ok_or_else(|| TaskDefinitionNameError { text: shown(text) })
    }

    fn read(text: &str) -> Option<Self> {
        let short = if text.starts_with("arn:") {
            TaskDefinitionArn::parse(text).ok()?;
            text.split_once('/')?.1
        } else {
            text
        };
        let (family, revision) = match short.split_once(':') {
            Some((family, revision)) => (family, Some(read_revision(revision)?)),
            None => (short, None),
        };
        let is_family = (1..=255).contains(&family.len())
            && family
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        is_family.then(|| Self {
            text: text.into(),
            family: family.into(),
            revision,
        })
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The family.
    pub fn family(&self) -> &str {
        &self.family
    }

    /// The revision; `None` stands for the newest one that is ACTIVE.
    pub fn revision(&self) -> Option<u32> {
        self.revision
    }
}

impl From<&TaskDefinitionArn> for TaskDefinitionName {
    fn from(arn: &TaskDefinitionArn) -> Self {
        let revision = arn
            .as_str()
            .rsplit_once(':')
            .and_then(|(_, revision)| revision.parse().ok());
        Self {
            text: arn.as_str().into(),
            family: arn.family().into(),
            revision,
        }
    }
}

fn read_revision(text: &str) -> Option<u32> {
    let is_written_plainly = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    is_written_plainly.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for TaskDefinitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for TaskDefinitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskDefinitionName").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_definition_is_named_in_three_ways() {
        let arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/etl:12";
        for (text, revision) in [("etl", None), ("etl:12", Some(12)), (arn, Some(12))] {
            let name = TaskDefinitionName::parse(text).unwrap();
            assert_eq!(
                (name.as_str(), name.family(), name.revision()),
                (text, "etl", revision)
            );
        }
        let pinned = TaskDefinitionArn::parse(arn).unwrap();
        assert_eq!(
            TaskDefinitionName::from(&pinned),
            TaskDefinitionName::parse(arn).unwrap()
        );
    }

    #[test]
    fn anything_else_is_no_task_definition() {
        let long = "f".repeat(256);
        for text in [
            "",
            ":",
            ":1",
            "etl:",
            "etl:0",
            "etl:01",
            "etl:-1",
            "etl:+1",
            "etl:4294967296",
            "etl:1:2",
            "etl 1",
            "étl",
            "a/b",
            "arn:aws:ecs:us-east-1:123456789012:task-definition/etl",
            "arn:aws:ecs:us-east-1:123456789012:task-definition/a/etl:1",
            "arn:aws:ecs:us-east-1:123456789012:task/etl:1",
            "arn:aws:s3:us-east-1:123456789012:task-definition/etl:1",
            &long,
        ] {
            assert!(TaskDefinitionName::parse(text).is_err(), "{text}");
        }
    }
}
