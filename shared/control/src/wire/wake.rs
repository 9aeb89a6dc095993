//! Wake messages: "look at this cluster's waiting list".

use berth_scheduler::id::ClusterName;
use serde::Serialize;

use super::refusal::Refusal;
use super::strict_json::field::{Field, Object};
use super::submission::cluster_of_deployment;
use crate::settings::Settings;

/// The field that tells a wake message from a submission.
pub(crate) const WAKE_FIELD: &str = "wake";

const WAKE_SHAPE: &str = "an object such as `{\"cluster\": \"default\"}`";

#[derive(Serialize)]
struct WakeMessage<'a> {
    wake: WakeTarget<'a>,
}

#[derive(Serialize)]
struct WakeTarget<'a> {
    cluster: &'a str,
}

/// The JSON text of a wake message: `{"wake":{"cluster":"default"}}`.
pub fn wake_message(cluster: &ClusterName) -> String {
    let message = WakeMessage {
        wake: WakeTarget {
            cluster: cluster.as_str(),
        },
    };
    // A name in two objects: there is nothing in it that could fail to become JSON.
    serde_json::to_string(&message).unwrap_or_default()
}

/// Reads a message that has a `wake` field.
pub(crate) fn decode_wake(message: &Object<'_>, settings: &Settings) -> Result<ClusterName, Refusal> {
    let mut cluster = None;
    for (name, field) in message.fields() {
        match name {
            WAKE_FIELD => cluster = Some(decode_target(&field, settings)?),
            _ => return Err(field.unknown(&[WAKE_FIELD])),
        }
    }
    cluster.ok_or_else(|| message.missing(WAKE_FIELD, WAKE_SHAPE))
}

fn decode_target(wake: &Field<'_>, settings: &Settings) -> Result<ClusterName, Refusal> {
    let target = wake.object(WAKE_SHAPE)?;
    let mut cluster = None;
    for (name, field) in target.fields() {
        match name {
            "cluster" => cluster = Some(cluster_of_deployment(&field, settings)?),
            _ => return Err(field.unknown(&["cluster"])),
        }
    }
    cluster.ok_or_else(|| target.missing("cluster", "the name of a cluster"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::submission::{Message, decode_message};

    #[test]
    fn a_wake_message_is_read_back() {
        let settings = Settings::parse("default,batch", "").unwrap();
        let batch = ClusterName::parse("batch").unwrap();
        let text = wake_message(&batch);
        assert_eq!(text, r#"{"wake":{"cluster":"batch"}}"#);
        assert_eq!(decode_message(&text, "m-1", &settings), Ok(Message::Wake(batch)));
    }
}
