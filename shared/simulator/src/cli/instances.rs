//! `berth instances`: the container instances in a file that match an expression.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use berth_scheduler::constraint::expression::Expression;
use berth_scheduler::snapshot::InstanceView;
use clap::Args;
use serde_json::Value;

use super::input::{name_of, read_text};
use super::{BAD_INPUT, complain, print};
use crate::offline::{Cluster, instance_table};

/// The attributes that tell most about where a task would run.
pub(super) const ATTRIBUTES: [&str; 2] = ["ecs.instance-type", "ecs.availability-zone"];

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The output of `aws ecs describe-container-instances`, a list of such outputs, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// An expression of the cluster query language, such as 'attribute:stack != prod'; without it all are
    /// listed. The file holds no tasks, so `task:group` equals nothing
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// The attributes to show
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values_t = ATTRIBUTES.map(str::to_owned))]
    attributes: Vec<String>,
    /// Prints an array of ARNs and nothing else
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let (filter, cluster) = match (
        read_filter(arguments.filter.as_deref()),
        read_cluster(&arguments.from),
    ) {
        (Ok(filter), Ok(cluster)) => (filter, cluster),
        (filter, cluster) => {
            for problem in [filter.err(), cluster.err()].into_iter().flatten() {
                complain(&problem);
            }
            return ExitCode::from(BAD_INPUT);
        }
    };
    tell_failures(&cluster);
    let matching = cluster.matching(filter.as_ref());
    if arguments.json {
        return print(&arns(&matching));
    }
    let attributes: Vec<String> = arguments
        .attributes
        .iter()
        .map(|name| attribute_name(name))
        .collect();
    let count = format!("{} of {} instances\n", matching.len(), cluster.instances().len());
    if matching.is_empty() {
        return print(&count);
    }
    print(&format!(
        "{}{count}",
        instance_table(None, &matching, &attributes)
    ))
}

fn read_filter(text: Option<&str>) -> Result<Option<Expression>, String> {
    let Some(text) = text else { return Ok(None) };
    match Expression::parse(text) {
        Ok(expression) => Ok(Some(expression)),
        Err(error) => Err(format!("--filter is not an expression:\n{}", error.render(text))),
    }
}

/// Reads the cluster in a file.
///
/// # Errors
/// Names the file, the place in it, and what was expected there.
pub(super) fn read_cluster(path: &Path) -> Result<Cluster, String> {
    let text = read_text(path)?;
    Cluster::parse(&text).map_err(|refusal| format!("{}: {refusal}", name_of(path)))
}

/// Says which instances a call could not describe, because nothing else would.
pub(super) fn tell_failures(cluster: &Cluster) {
    for failure in cluster.failures() {
        eprintln!(
            "note: `{}` was not described: {}",
            failure.arn.escape_debug(),
            failure.reason.escape_debug()
        );
    }
}

/// `attribute:NAME` as in expressions is the same as `NAME`.
fn attribute_name(name: &str) -> String {
    let name = name.trim();
    name.strip_prefix("attribute:").unwrap_or(name).to_owned()
}

fn arns(instances: &[&InstanceView]) -> String {
    let arns = instances
        .iter()
        .map(|instance| Value::from(instance.record.arn().as_str()));
    format!("{:#}\n", Value::Array(arns.collect()))
}
