//! What no ECS has: paths under `/_berth/` that make things happen to instances, and count calls.

use berth_scheduler::id::{ClusterName, ContainerInstanceArn, SubnetId};
use berth_scheduler::report::AgentConnection;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Endpoint;
use super::protocol::{Answer, read, read_document};
use crate::ecs::definition::Document;
use crate::ecs::error::EcsError;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Happening {
    cluster: Option<String>,
    container_instance: Option<String>,
    connected: Option<bool>,
    subnet_id: Option<String>,
    availability_zone: Option<String>,
}

impl Endpoint {
    pub(super) fn backstage(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        let result = match (method, path) {
            ("GET", "/_berth/calls") => Ok(self.calls.json()),
            ("GET", "/_berth/ready") => Ok(json!({ "ready": true })),
            ("POST", "/_berth/agent" | "/_berth/terminate" | "/_berth/subnet") => {
                read_document(body).and_then(|document| self.happen(path, &document))
            }
            _ => return Answer::not_found(),
        };
        Answer::from(result)
    }

    fn happen(&mut self, path: &str, document: &Document) -> Result<Value, EcsError> {
        let given: Happening = read(document)?;
        match path {
            "/_berth/agent" => {
                let (cluster, arn) = self.target(&given)?;
                let agent = match given.connected {
                    Some(true) => AgentConnection::Connected,
                    Some(false) => AgentConnection::Disconnected,
                    None => return Err(EcsError::invalid("connected: give true or false")),
                };
                self.ecs.set_agent(&cluster, &arn, agent)?;
            }
            "/_berth/terminate" => {
                let (cluster, arn) = self.target(&given)?;
                self.ecs.terminate_instance(&cluster, &arn)?;
            }
            _ => {
                let (Some(subnet), Some(zone)) = (&given.subnet_id, &given.availability_zone) else {
                    return Err(EcsError::invalid("give subnetId and availabilityZone"));
                };
                let subnet = SubnetId::parse(subnet)
                    .map_err(|error| EcsError::invalid(format!("subnetId: {error}")))?;
                self.ecs.set_subnet_zone(subnet, zone);
            }
        }
        Ok(json!({}))
    }

    /// An instance by its ARN, its id, or the id of its EC2 instance.
    fn target(&self, given: &Happening) -> Result<(ClusterName, ContainerInstanceArn), EcsError> {
        let cluster = ClusterName::from_name_or_arn(given.cluster.as_deref().unwrap_or("default"))
            .map_err(|error| EcsError::invalid(format!("cluster: {error}")))?;
        let name = given.container_instance.as_deref().unwrap_or_default();
        let by_ec2_id = berth_scheduler::id::Ec2InstanceId::parse(name).ok();
        let by_ec2_id = by_ec2_id
            .map(|id| self.ecs.instance_of(&cluster, &id))
            .transpose()?
            .flatten();
        let found = self
            .ecs
            .cluster(&cluster)?
            .find_instance(name)
            .map(|instance| instance.arn.clone());
        let unknown = || {
            EcsError::invalid(format!(
                "containerInstance: `{name}` is not an instance of `{cluster}`"
            ))
        };
        Ok((cluster.clone(), by_ec2_id.or(found).ok_or_else(unknown)?))
    }
}
