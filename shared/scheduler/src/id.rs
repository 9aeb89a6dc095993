//! Names and numbers that identify things. Each can only be built from good text, so nothing inside has to
//! be checked again.

use std::sync::Arc;

/// Why a text is not an id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdError {
    kind: &'static str,
    text: String,
    expected: &'static str,
}

impl IdError {
    fn new(kind: &'static str, text: &str, expected: &'static str) -> Self {
        // A hostile text must not make a hostile error message.
        let text = text.chars().take(200).collect();
        Self { kind, text, expected }
    }

    /// What a good value looks like.
    pub fn expected(&self) -> &'static str {
        self.expected
    }
}

impl std::fmt::Display for IdError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` is not a {}: expected {}",
            self.text, self.kind, self.expected
        )
    }
}

impl std::error::Error for IdError {}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads the id from text.
            ///
            /// # Errors
            /// When the text is not of this kind; the error says what is expected.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(IdError::new($kind, text, $expected))
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }
    };
}

fn is_name(text: &str, longest: usize, extra: &[char]) -> bool {
    !text.is_empty()
        && text.len() <= longest
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || extra.contains(&c))
}

/// `arn:PARTITION:ecs:REGION:ACCOUNT:KIND/...`, and the last part is not empty.
fn is_ecs_arn(text: &str, kind: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let head = (parts.next(), parts.next(), parts.next());
    let (_region, _account, Some(resource)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let (Some("arn"), Some(partition), Some("ecs")) = head else {
        return false;
    };
    let Some(rest) = resource
        .strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix('/'))
    else {
        return false;
    };
    partition.starts_with("aws")
        && text.len() <= 512
        && !rest.is_empty()
        && !rest.ends_with('/')
        && text.chars().all(|c| c.is_ascii_graphic())
}

fn last_segment(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

text_id!(
    /// The short name of an ECS cluster; a deployment lives in one account and Region, where it is unique.
    ClusterName,
    "cluster name",
    "1 to 255 letters, digits, hyphens and underscores, or a cluster ARN",
    |text| is_name(text, 255, &['-', '_'])
);

impl ClusterName {
    /// Reads a cluster's name from the name itself or from its ARN, as every ECS API takes both.
    ///
    /// # Errors
    /// When the text is neither.
    pub fn from_name_or_arn(text: &str) -> Result<Self, IdError> {
        if is_ecs_arn(text, "cluster") {
            Self::parse(last_segment(text))
        } else {
            Self::parse(text)
        }
    }
}

text_id!(
    /// A container instance's ARN, in the long or the old short form.
    ContainerInstanceArn,
    "container instance ARN",
    "arn:aws:ecs:REGION:ACCOUNT:container-instance/CLUSTER/ID",
    |text| is_ecs_arn(text, "container-instance")
);

impl ContainerInstanceArn {
    /// The last part of the ARN: the id that is unique in its cluster.
    pub fn id(&self) -> &str {
        last_segment(&self.0)
    }
}

text_id!(
    /// A task's ARN, in the long or the old short form.
    TaskArn,
    "task ARN",
    "arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID",
    |text| is_ecs_arn(text, "task")
);

text_id!(
    /// A task definition's ARN with its revision: what exactly will run.
    TaskDefinitionArn,
    "task definition ARN",
    "arn:aws:ecs:REGION:ACCOUNT:task-definition/FAMILY:REVISION",
    |text| is_ecs_arn(text, "task-definition")
        && last_segment(text)
            .rsplit_once(':')
            .is_some_and(|(family, revision)| !family.is_empty() && revision.parse::<u32>().is_ok())
);

impl TaskDefinitionArn {
    /// The family: the name without its revision.
    pub fn family(&self) -> &str {
        last_segment(&self.0)
            .rsplit_once(':')
            .map_or("", |(family, _)| family)
    }
}

text_id!(
    /// The family of a task definition: its name without a revision.
    TaskFamily,
    "task definition family",
    "1 to 255 letters, digits, hyphens and underscores",
    |text| is_name(text, 255, &['-', '_'])
);

text_id!(
    /// The id of the EC2 instance (or, for ECS Anywhere, the managed instance) below a container instance.
    Ec2InstanceId,
    "EC2 instance id",
    "i- or mi- followed by letters and digits",
    |text| is_name(text, 64, &['-', '_'])
);

text_id!(
    /// The id of a subnet of a VPC.
    SubnetId,
    "subnet id",
    "`subnet-` followed by letters, digits and hyphens, 64 characters at most",
    |text| text.len() > "subnet-".len() && text.starts_with("subnet-") && is_name(text, 64, &['-'])
);

text_id!(
    /// The group of a task: what `distinctInstance` and `spread` count by, `family:NAME` unless chosen.
    TaskGroup,
    "task group",
    "1 to 255 characters",
    |text| !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control)
);

text_id!(
    /// What a user calls a submission.
    SubmissionId,
    "submission id",
    "1 to 100 letters, digits, hyphens and underscores",
    |text| is_name(text, 100, &['-', '_'])
);

text_id!(
    /// One task of a submission: `ID` for its first copy, `ID/2`, `ID/3`, ... for the others of a `count`.
    TaskId,
    "task id",
    "a submission id, or one followed by /2 to /10",
    |text| match text.split_once('/') {
        None => SubmissionId::parse(text).is_ok(),
        Some((id, copy)) => SubmissionId::parse(id).is_ok()
            && copy.parse::<u8>().is_ok_and(|number| (2..=10).contains(&number) && number.to_string() == copy),
    }
);

impl TaskId {
    /// The id of a submission's copy number `copy`, counted from 1.
    pub fn of_copy(submission: &SubmissionId, copy: u8) -> Self {
        if copy <= 1 {
            Self(Arc::clone(&submission.0))
        } else {
            Self(Arc::from(format!("{submission}/{copy}")))
        }
    }

    /// Which copy of its submission this task is, counted from 1.
    pub fn copy_number(&self) -> u8 {
        self.0
            .split_once('/')
            .and_then(|(_, copy)| copy.parse().ok())
            .unwrap_or(1)
    }

    /// The part before the copy number.
    pub fn submission(&self) -> SubmissionId {
        let id = self.0.split_once('/').map_or(&*self.0, |(id, _)| id);
        SubmissionId(Arc::from(id))
    }
}

text_id!(
    /// A lane of the waiting list: tasks that need the same room under the same rules.
    LaneKey,
    "lane key",
    "1 to 64 letters and digits",
    |text| is_name(text, 64, &['-'])
);

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The number as stored or reported.
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The bare number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

counter!(
    /// The `version` ECS gives each state of a container instance or task; it rises with every change.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_cwe_events.html>
    ReportVersion
);
counter!(
    /// Our own revision of a stored record; every write checks and raises it.
    Revision
);
counter!(
    /// The fence of a turn: a holder with an older epoch can no longer reserve.
    Epoch
);
counter!(
    /// Counts the facts that may let a waiting task start; a cycle that saw an older one must look again.
    Generation
);
counter!(
    /// How often a task was tried; each attempt has its own client token, and only a recorded, definite
    /// failure begins a new one.
    AttemptNumber
);

/// One attempt to start one task: the identity of a reservation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The task.
    pub task: TaskId,
    /// Which attempt, counted from 1.
    pub number: AttemptNumber,
}

const STARTED_BY_PREFIX: &str = "berth/";

impl AttemptId {
    /// The `startedBy` of the ECS task: `berth/ATTEMPT/TASK-ID`, within RunTask's 128 characters of
    /// `[A-Za-z0-9-/_]`.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>
    pub fn started_by(&self) -> String {
        format!("{STARTED_BY_PREFIX}{}/{}", self.number, self.task)
    }

    /// Reads the attempt back from a task's `startedBy`; `None` for tasks that others started.
    pub fn from_started_by(text: &str) -> Option<Self> {
        let (number, task) = text.strip_prefix(STARTED_BY_PREFIX)?.split_once('/')?;
        Some(Self {
            task: TaskId::parse(task).ok()?,
            number: AttemptNumber::new(number.parse().ok()?),
        })
    }
}

impl std::fmt::Display for AttemptId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} attempt {}", self.task, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_named_by_name_or_arn() {
        let by_arn =
            ClusterName::from_name_or_arn("arn:aws:ecs:us-east-1:123456789012:cluster/batch").unwrap();
        assert_eq!(by_arn, ClusterName::from_name_or_arn("batch").unwrap());
        assert!(ClusterName::from_name_or_arn("arn:aws:ecs:us-east-1:123456789012:task/batch").is_err());
        assert!(ClusterName::from_name_or_arn("").is_err());
    }

    #[test]
    fn both_forms_of_a_container_instance_arn_end_in_its_id() {
        for arn in [
            "arn:aws:ecs:us-east-1:123456789012:container-instance/default/40f0e62c",
            "arn:aws:ecs:us-east-1:123456789012:container-instance/40f0e62c",
        ] {
            assert_eq!(ContainerInstanceArn::parse(arn).unwrap().id(), "40f0e62c");
        }
        assert!(
            ContainerInstanceArn::parse("arn:aws:ecs:us-east-1:123456789012:container-instance/").is_err()
        );
    }

    #[test]
    fn a_task_definition_arn_has_a_family_and_a_revision() {
        let arn =
            TaskDefinitionArn::parse("arn:aws:ecs:us-east-1:123456789012:task-definition/etl:12").unwrap();
        assert_eq!(arn.family(), "etl");
        assert!(TaskDefinitionArn::parse("arn:aws:ecs:us-east-1:123456789012:task-definition/etl").is_err());
    }

    #[test]
    fn a_copy_of_a_submission_remembers_it() {
        let submission = SubmissionId::parse("etl").unwrap();
        assert_eq!(TaskId::of_copy(&submission, 1).as_str(), "etl");
        let third = TaskId::of_copy(&submission, 3);
        assert_eq!(third.as_str(), "etl/3");
        assert_eq!(TaskId::parse("etl/3").unwrap(), third);
        assert_eq!(third.submission(), submission);
        for bad in ["etl/1", "etl/11", "etl/03", "etl/", "/2", ""] {
            assert!(TaskId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn started_by_names_the_attempt_and_is_read_back() {
        let attempt = AttemptId {
            task: TaskId::parse("etl-2026_11/2").unwrap(),
            number: AttemptNumber::new(3),
        };
        assert_eq!(attempt.started_by(), "berth/3/etl-2026_11/2");
        assert_eq!(AttemptId::from_started_by("berth/3/etl-2026_11/2"), Some(attempt));
        for foreign in ["ecs-svc/123", "berth/", "berth/x/etl", "berth/1/", ""] {
            assert_eq!(AttemptId::from_started_by(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn an_error_names_the_text_and_what_is_expected() {
        let error = SubmissionId::parse("a b").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`a b` is not a submission id: expected 1 to 100 letters, digits, hyphens and underscores"
        );
    }
}
