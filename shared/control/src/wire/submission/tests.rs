use berth_scheduler::shape::{BinpackField, SpreadField};

use super::*;

mod content;
mod full;
mod properties;
mod refused;

/// A deployment with two clusters and the default overrides.
fn settings() -> Settings {
    Settings::parse("default,batch", "environment,resources").unwrap()
}

/// A deployment that allows all overrides.
fn permissive() -> Settings {
    let all = "environment,resources,command,environment-files,task-role,execution-role,execute-command";
    Settings::parse("default,batch", all).unwrap()
}

fn decode_with(body: &str, settings: &Settings) -> Result<Submission, Refusal> {
    match decode_message(body, "5fea7756-0ea4-451a-a703-a558b933e274", settings)? {
        Message::Submission(submission) => Ok(*submission),
        Message::Wake(_) | Message::Command(_) => panic!("{body} is a submission"),
    }
}

fn decode(body: &str) -> Result<Submission, Refusal> {
    decode_with(body, &settings())
}
