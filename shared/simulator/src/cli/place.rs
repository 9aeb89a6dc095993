//! `berth place`: where the copies of a task would go in a cluster that is in a file, or why nowhere.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use berth_scheduler::shape::PlacementTemplate;
use clap::Args;

use super::input::{check_standard_input, name_of, read_text};
use super::instances::{ATTRIBUTES, read_cluster, tell_failures};
use super::{BAD_INPUT, complain, print};
use crate::offline::{COUNT_MAX, Cluster, Plan, PlannedTask, TaskInput, instance_table, plan};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The output of `aws ecs describe-container-instances`, a list of such outputs, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The task: the input of RunTask or a submission, with the task definition as `taskDefinition` or its
    /// fields beside; `cpu` and `memory` alone will do
    #[arg(long, value_name = "FILE")]
    task: PathBuf,
    /// The output of `aws ecs describe-task-definition`, when the task only names its task definition
    #[arg(long, value_name = "FILE")]
    task_definition: Option<PathBuf>,
    /// How many copies, 1 to 10,000, each seeing the ones before; whatever `count` the task has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(COUNT_MAX)))]
    count: Option<u32>,
    /// A placement template on top: az-balanced-spread, az-balanced-binpack, binpack or one-task-per-host
    #[arg(long, value_name = "NAME", value_parser = read_template)]
    template: Option<PlacementTemplate>,
    /// Draws the instances that strategies leave to chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Prints {"placements": [ARN...], "hold": null or the reason} and nothing else
    #[arg(long)]
    json: bool,
}

fn read_template(name: &str) -> Result<PlacementTemplate, String> {
    PlacementTemplate::parse(name).ok_or_else(|| {
        let names = PlacementTemplate::ALL.map(PlacementTemplate::as_str).join("`, `");
        format!("expected one of `{names}`")
    })
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match answer(arguments) {
        Ok(text) => print(&text),
        Err(problem) => {
            complain(&problem);
            ExitCode::from(BAD_INPUT)
        }
    }
}

fn answer(arguments: &Arguments) -> Result<String, String> {
    let files = [
        Some(&arguments.from),
        Some(&arguments.task),
        arguments.task_definition.as_ref(),
    ];
    check_standard_input(files.into_iter().flatten().map(PathBuf::as_path))?;
    let cluster = read_cluster(&arguments.from)?;
    let snapshot = cluster.snapshot();
    let snapshot = snapshot.map_err(|error| format!("{}: {error}", name_of(&arguments.from)))?;
    let task = read_task(arguments)?;
    tell_failures(&cluster);
    let plan = plan(&snapshot, &task, arguments.seed);
    Ok(if arguments.json {
        format!("{:#}\n", plan.to_json())
    } else {
        shown(&plan, &task, &cluster)
    })
}

fn read_task(arguments: &Arguments) -> Result<PlannedTask, String> {
    let task = read_text(&arguments.task)?;
    let definition = arguments.task_definition.as_deref().map(read_text).transpose()?;
    let input = TaskInput {
        task: &task,
        definition: definition.as_deref(),
        count: arguments.count,
        template: arguments.template,
    };
    PlannedTask::read(&input).map_err(|error| {
        let definition = arguments
            .task_definition
            .as_deref()
            .map(name_of)
            .unwrap_or_default();
        let task = name_of(&arguments.task);
        format!("{}: {error}", error.file(&task, &definition))
    })
}

fn shown(plan: &Plan, task: &PlannedTask, cluster: &Cluster) -> String {
    let placed = plan.placements.len();
    let mut text = String::new();
    if placed > 0 {
        let by_arn: BTreeMap<_, _> = cluster
            .instances()
            .iter()
            .map(|it| (it.record.arn(), it))
            .collect();
        let instances: Vec<_> = plan
            .placements
            .iter()
            .filter_map(|arn| by_arn.get(arn).copied())
            .collect();
        text = instance_table(Some("COPY"), &instances, &ATTRIBUTES.map(str::to_owned));
    }
    let copies = if task.count == 1 { "copy" } else { "copies" };
    text.push_str(&format!("{placed} of {} {copies} placed\n", task.count));
    if let Some(reason) = &plan.hold {
        text.push_str(&format!("{reason}\n"));
    }
    text
}
