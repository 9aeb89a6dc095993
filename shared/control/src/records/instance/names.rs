//! Names of instances and their tasks, without what goes without saying.

use berth_scheduler::id::{ContainerInstanceArn, TaskArn};

use super::super::form::TextForm;

const HEAD: &str = "arn:aws:ecs:";
const KIND: &str = "container-instance/";

/// An instance's ARN without the words that every one has: `us-east-1:123456789012:default/ID`. Any other one, such as
/// that of another partition, is stored as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InstanceName(pub(super) ContainerInstanceArn);

impl TextForm for InstanceName {
    fn text(&self) -> String {
        let full = self.0.as_str();
        let short = full.strip_prefix(HEAD).map(|rest| rest.replacen(KIND, "", 1));
        // What is read again as another name is not shortened.
        short
            .filter(|short| Self::from_text(short).as_ref() == Ok(self))
            .unwrap_or_else(|| full.to_owned())
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let full = if text.starts_with("arn:") {
            text.to_owned()
        } else {
            let mut parts = text.splitn(3, ':');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(region), Some(account), Some(id)) => format!("{HEAD}{region}:{account}:{KIND}{id}"),
                _ => return Err(format!("`{text}` is not REGION:ACCOUNT:CLUSTER/ID or an ARN")),
            }
        };
        ContainerInstanceArn::parse(&full)
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

/// The name of a task on an instance: its id, when the rest of its ARN is like that of the instance, else its ARN.
pub(super) fn task_name<'a>(task: &'a TaskArn, on: &ContainerInstanceArn) -> &'a str {
    let arn = task.as_str();
    let id = arn.rsplit('/').next().unwrap_or(arn);
    if read_task_name(id, on).as_ref() == Ok(task) {
        id
    } else {
        arn
    }
}

pub(super) fn read_task_name(name: &str, on: &ContainerInstanceArn) -> Result<TaskArn, String> {
    let full = if name.starts_with("arn:") {
        name.to_owned()
    } else if name.is_empty() || name.contains('/') {
        return Err(format!("`{name}` is neither the id of a task nor its ARN"));
    } else {
        let home = on.as_str().strip_suffix(on.id()).unwrap_or_default();
        home.replacen(KIND, "task/", 1) + name
    };
    TaskArn::parse(&full).map_err(|error| error.to_string())
}
