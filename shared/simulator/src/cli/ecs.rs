//! `berth ecs`: the simulated ECS as an HTTP endpoint.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{BAD_INPUT, complain};
use crate::ecs::EcsSettings;
use crate::endpoint::{EndpointError, EndpointOptions, FunctionUrl, serve};
use crate::scenario::{Fleet, InputError};
use crate::seconds::read_millis;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The port to listen on; 0 takes any free one. A line `listening on http://ADDRESS` tells which
    #[arg(long, value_name = "N")]
    port: u16,
    /// The address to listen on. Anything but loopback lets others in
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Container instances of the cluster `default`: CSV with the columns
    /// id,az,instance_type,cpu_units,memory_mib,gpu
    #[arg(long, value_name = "FILE")]
    instances: Option<PathBuf>,
    /// How long a task runs, unless the environment variable BERTH_TASK_SECONDS of a container override says
    /// otherwise
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = millis)]
    task_seconds: u64,
    /// How long a task is PENDING before it runs
    #[arg(long, value_name = "SECONDS", default_value = "0.2", value_parser = millis)]
    start_seconds: u64,
    /// How long a task is STOPPING before it is STOPPED; 0 leaves that state out
    #[arg(long, value_name = "SECONDS", default_value = "0.2", value_parser = millis)]
    stop_seconds: u64,
    /// Appends each event of EventBridge to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// A Lambda endpoint in plain HTTP, where a function is invoked with each event
    #[arg(long, value_name = "URL", requires = "invoke_function")]
    invoke_endpoint: Option<String>,
    /// The function to invoke
    #[arg(long, value_name = "NAME", requires = "invoke_endpoint")]
    invoke_function: Option<String>,
    /// The source of events
    #[arg(long, value_name = "NAME", default_value = "aws.ecs")]
    event_source: String,
    /// The Region in ARNs
    #[arg(long, value_name = "NAME", default_value = "us-east-1")]
    region: String,
    /// The account in ARNs
    #[arg(long, value_name = "12 DIGITS", default_value = "123456789012", value_parser = account)]
    account: String,
}

fn millis(text: &str) -> Result<u64, String> {
    read_millis(text).ok_or_else(|| "give seconds, such as `12` or `0.25`".to_owned())
}

fn account(text: &str) -> Result<String, String> {
    let valid = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if valid {
        Ok(text.to_owned())
    } else {
        Err("give 12 digits".to_owned())
    }
}

/// Serves until the process is ended.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    let options = match options(arguments) {
        Ok(options) => options,
        Err(problem) => {
            complain(&problem);
            return ExitCode::from(BAD_INPUT);
        }
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ (EndpointError::Listen(..) | EndpointError::EventsFile(..))) => {
            complain(&error);
            ExitCode::from(BAD_INPUT)
        }
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: Arguments) -> Result<EndpointOptions, String> {
    let fleet = arguments.instances.as_ref().map(|path| {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| InputError::unreadable(&name, &error))?;
        Fleet::parse(&name, &bytes)
    });
    let function = match (&arguments.invoke_endpoint, &arguments.invoke_function) {
        (Some(endpoint), Some(name)) => Some(
            FunctionUrl::new(endpoint, name, &arguments.region)
                .map_err(|problem| format!("--invoke-endpoint: {problem}"))?,
        ),
        _ => None,
    };
    Ok(EndpointOptions {
        host: arguments.host,
        port: arguments.port,
        settings: EcsSettings {
            region: arguments.region,
            account: arguments.account,
            event_source: arguments.event_source,
            start_ms: arguments.start_seconds,
            run_ms: arguments.task_seconds,
            stop_ms: arguments.stop_seconds,
        },
        fleet: fleet.transpose().map_err(|error| error.to_string())?,
        events_file: arguments.events,
        function,
    })
}
