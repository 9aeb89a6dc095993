//! Tasks that exist.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Paging, cluster_of, instance_of, names, required};
use crate::ecs::SimulatedEcs;
use crate::ecs::definition::Document;
use crate::ecs::error::EcsError;
use crate::ecs::task::Task;
use crate::endpoint::protocol::{read, set};
use crate::endpoint::render::{Form, task_json};

#[derive(Default, Deserialize)]
#[serde(default)]
struct StopTask {
    cluster: Option<String>,
    task: Option<String>,
    reason: Option<String>,
}

pub(super) fn stop(ecs: &mut SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: StopTask = read(parameters)?;
    let cluster = cluster_of(given.cluster.as_deref())?;
    let name = required(given.task, "Task")?;
    let reason = given.reason.unwrap_or("Task stopped by user".to_owned());
    let arn = ecs.stop_task(&cluster, &name, &reason)?;
    let number = ecs.find_task(&cluster, arn.as_str())?;
    let (cluster, task) = (
        ecs.cluster(&cluster)?,
        number.and_then(|number| ecs.tasks.get(&number)),
    );
    Ok(json!({ "task": task.map(|task| task_json(cluster, task, Form::Answer)) }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DescribeTasks {
    cluster: Option<String>,
    tasks: Option<Vec<String>>,
    include: Vec<String>,
}

pub(super) fn describe(ecs: &SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: DescribeTasks = read(parameters)?;
    let name = cluster_of(given.cluster.as_deref())?;
    let cluster = ecs.cluster(&name)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for wanted in names(given.tasks, "Tasks")? {
        let number = ecs.find_task(&name, &wanted)?;
        let Some(task) = number.and_then(|number| ecs.tasks.get(&number)) else {
            let arn = if wanted.starts_with("arn:") {
                wanted
            } else {
                ecs.settings.arn(&format!("task/{name}/{wanted}"))
            };
            failures.push(json!({ "arn": arn, "reason": "MISSING" }));
            continue;
        };
        let mut json = task_json(cluster, task, Form::Answer);
        let tags = given.include.iter().any(|include| include == "TAGS");
        set(
            &mut json,
            "tags",
            if tags { json!(task.details.tags) } else { json!([]) },
        );
        found.push(json);
    }
    Ok(json!({ "tasks": found, "failures": failures }))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListTasks {
    cluster: Option<String>,
    container_instance: Option<String>,
    family: Option<String>,
    started_by: Option<String>,
    service_name: Option<String>,
    desired_status: Option<String>,
    launch_type: Option<String>,
}

pub(super) fn list(ecs: &SimulatedEcs, parameters: &Document) -> Result<Value, EcsError> {
    let given: ListTasks = read(parameters)?;
    let cluster = cluster_of(given.cluster.as_deref())?;
    ecs.cluster(&cluster)?;
    let desired = match given.desired_status.as_deref() {
        None => "RUNNING",
        // ECS takes PENDING, and no task ever has it.
        Some(status @ ("RUNNING" | "PENDING" | "STOPPED")) => status,
        Some(other) => {
            return Err(EcsError::invalid(format!(
                "desiredStatus: `{other}` is not valid: give `RUNNING`, `PENDING` or `STOPPED`"
            )));
        }
    };
    let others = [&given.container_instance, &given.family, &given.service_name];
    if given.started_by.is_some() && others.iter().any(|filter| filter.is_some()) {
        return Err(EcsError::invalid(
            "startedBy must be the only filter of a ListTasks call.",
        ));
    }
    let instance = given
        .container_instance
        .as_deref()
        .map(|name| instance_of(ecs, &cluster, name))
        .transpose()?;
    let wanted = |task: &&Task| {
        task.desired_status() == desired
            && instance.as_ref().is_none_or(|instance| task.instance == *instance)
            && given.family.as_deref().is_none_or(|family| task.definition.family() == family)
            && given.launch_type.as_deref().is_none_or(|launch_type| task.launch_type.as_str() == launch_type)
            // There are no services.
            && given.service_name.is_none()
    };
    let (paging, write) = (Paging::of(parameters)?, |task: &Task| json!(task.arn.as_str()));
    match given.started_by.as_deref() {
        Some(started_by) => {
            let tasks = ecs.tasks_started_by(&cluster, started_by)?;
            paging.answer("taskArns", tasks.into_iter().map(keyed), wanted, write)
        }
        None => paging.answer("taskArns", ecs.tasks_of(&cluster)?.map(keyed), wanted, write),
    }
}

fn keyed(task: &Task) -> (String, &Task) {
    (format!("{:020}", task.number.get()), task)
}
