//! The simulated ECS as the AWS SDKs see it: an HTTP endpoint in real time, and events on their way out.
//!
//! A request goes from [`server`] through [`protocol`] to its function in [`action`], and what it changed goes
//! to [`sink`] before the answer goes back.

use std::path::PathBuf;

use berth_scheduler::id::ClusterName;
use berth_scheduler::timestamp::Timestamp;

use crate::ecs::definition::Document;
use crate::ecs::error::{EcsError, EcsErrorKind};
use crate::ecs::{EcsSettings, SimulatedEcs};
use crate::scenario::Fleet;

mod action;
mod backstage;
mod calls;
mod page;
mod protocol;
mod render;
mod server;
mod sink;

pub use server::serve;
pub use sink::FunctionUrl;

use calls::Calls;
use protocol::{Answer, TARGET_PREFIX, read_document};

/// What the endpoint is started with.
#[derive(Debug)]
pub struct EndpointOptions {
    /// The address to listen on.
    pub host: std::net::IpAddr,
    /// The port to listen on; 0 is any free one.
    pub port: u16,
    /// The ECS behind it.
    pub settings: EcsSettings,
    /// Instances of the cluster `default` from the start.
    pub fleet: Option<Fleet>,
    /// A file that gets each event as a line of JSON.
    pub events_file: Option<PathBuf>,
    /// A function that is invoked with each event.
    pub function: Option<FunctionUrl>,
}

/// Why the endpoint does not run.
#[derive(Debug)]
pub enum EndpointError {
    /// The address cannot be listened on.
    Listen(std::net::SocketAddr, std::io::Error),
    /// The file for events cannot be written.
    EventsFile(PathBuf, std::io::Error),
    /// The operating system gives no more.
    Runtime(std::io::Error),
    /// An instance of the fleet cannot be registered.
    Fleet(EcsError),
}

impl std::fmt::Display for EndpointError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::EventsFile(path, error) => write!(f, "cannot write `{}`: {error}", path.display()),
            Self::Runtime(error) => write!(f, "cannot start: {error}"),
            Self::Fleet(error) => write!(f, "cannot register an instance: {error}"),
        }
    }
}

impl std::error::Error for EndpointError {}

/// The ECS behind the endpoint. It knows nothing of sockets: a request comes in as text, with the time.
#[derive(Debug)]
struct Endpoint {
    ecs: SimulatedEcs,
    calls: Calls,
    requests: u64,
}

/// Whether events have anywhere to go.
#[derive(Clone, Copy, Debug)]
enum Events {
    Wanted,
    Unwanted,
}

/// A request, as far as it matters.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    /// The header `X-Amz-Target`.
    target: Option<&'a str>,
    body: &'a [u8],
}

impl Endpoint {
    /// An ECS with the cluster `default` and a fleet in it.
    fn new(
        settings: EcsSettings,
        now: Timestamp,
        fleet: Option<&Fleet>,
        events: Events,
    ) -> Result<Self, EcsError> {
        let mut ecs = SimulatedEcs::new(settings, now);
        match events {
            Events::Wanted => ecs.write_events(render::event_json),
            Events::Unwanted => ecs.drop_events(),
        }
        let cluster = ClusterName::parse("default").map_err(|error| EcsError::invalid(error.to_string()))?;
        ecs.create_cluster(&cluster, Document::new());
        for instance in fleet.iter().flat_map(|fleet| &fleet.instances) {
            ecs.register_instance(&cluster, instance.registration())?;
        }
        Ok(Self {
            ecs,
            calls: Calls::default(),
            requests: 0,
        })
    }

    /// Answers a request that came at `now`.
    fn answer(&mut self, now: Timestamp, request: Request<'_>) -> Answer {
        self.ecs.advance_to(now);
        self.requests += 1;
        if request.path.starts_with("/_berth/") {
            return self.backstage(request.method, request.path, request.body);
        }
        if request.method != "POST" || request.path != "/" {
            return Answer::not_found();
        }
        let action = request
            .target
            .and_then(|target| target.strip_prefix(TARGET_PREFIX));
        let Some(action) = action else {
            let message = format!("header X-Amz-Target: give `{TARGET_PREFIX}` and an action");
            return Answer::from(EcsError::new(EcsErrorKind::UnknownOperation, message));
        };
        self.calls.count_action(action);
        Answer::from(read_document(request.body).and_then(|document| self.act(action, &document)))
    }
}

#[cfg(test)]
mod tests;
