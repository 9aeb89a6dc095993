use super::*;
use crate::timestamp::Timestamp;

mod errors;
mod examples;
mod properties;
mod semantics;

/// A container instance as a test describes it: everything else is missing or zero.
#[derive(Debug, Clone, Default)]
struct Instance {
    attributes: Vec<(String, Option<String>)>,
    agent_connected: bool,
    agent_version: Option<String>,
    ec2_instance_id: Option<String>,
    registered_at_millis: Option<i64>,
    running_tasks_count: u32,
    task_groups: Vec<String>,
}

impl Instance {
    fn new() -> Instance {
        Instance::default()
    }

    fn with(mut self, name: &str, value: &str) -> Instance {
        self.attributes.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    fn with_valueless(mut self, name: &str) -> Instance {
        self.attributes.push((name.to_owned(), None));
        self
    }

    fn connected(mut self) -> Instance {
        self.agent_connected = true;
        self
    }

    fn agent(mut self, version: &str) -> Instance {
        self.agent_version = Some(version.to_owned());
        self
    }

    fn id(mut self, id: &str) -> Instance {
        self.ec2_instance_id = Some(id.to_owned());
        self
    }

    fn registered(mut self, at: &str) -> Instance {
        self.registered_at_millis = Timestamp::parse_iso8601(at).map(Timestamp::as_millis);
        self
    }

    fn running(mut self, tasks: u32) -> Instance {
        self.running_tasks_count = tasks;
        self
    }

    fn groups(mut self, groups: &[&str]) -> Instance {
        self.task_groups = groups.iter().map(|group| (*group).to_owned()).collect();
        self
    }
}

impl ExpressionSubject for Instance {
    fn attribute(&self, name: &str) -> AttributeLookup<'_> {
        match self.attributes.iter().find(|(known, _)| known == name) {
            None => AttributeLookup::Missing,
            Some((_, None)) => AttributeLookup::WithoutValue,
            Some((_, Some(value))) => AttributeLookup::Value(value),
        }
    }

    fn agent_connected(&self) -> bool {
        self.agent_connected
    }

    fn agent_version(&self) -> Option<&str> {
        self.agent_version.as_deref()
    }

    fn ec2_instance_id(&self) -> Option<&str> {
        self.ec2_instance_id.as_deref()
    }

    fn registered_at_millis(&self) -> Option<i64> {
        self.registered_at_millis
    }

    fn running_tasks_count(&self) -> u32 {
        self.running_tasks_count
    }

    fn for_each_task_group(&self, visit: &mut dyn FnMut(&str)) {
        self.task_groups.iter().for_each(|group| visit(group));
    }
}

fn parse(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|error| panic!("{}", error.render(text)))
}

fn holds(text: &str, instance: &Instance) -> bool {
    parse(text).matches(instance)
}
