//! Where events go: into a file, and to a Lambda function.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use super::{EndpointError, EndpointOptions};

/// How often an event is sent before it is given up.
const TRIES: u32 = 5;

/// Pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(30);

/// The functions of a Lambda endpoint that speaks plain HTTP, such as a local emulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionUrl {
    /// `host:port`
    authority: String,
    path: String,
    region: String,
}

impl FunctionUrl {
    /// The function `name` at an endpoint such as `http://127.0.0.1:4566`.
    ///
    /// # Errors
    /// What is wrong with the endpoint or the name.
    pub fn new(endpoint: &str, name: &str, region: &str) -> Result<Self, String> {
        let Some(rest) = endpoint.strip_prefix("http://") else {
            return Err(format!(
                "`{endpoint}` is not an endpoint in plain HTTP: give `http://HOST:PORT`"
            ));
        };
        let (authority, base) = rest.split_once('/').unwrap_or((rest, ""));
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let valid = |c: char| c.is_ascii_alphanumeric() || "-_:".contains(c);
        if authority.is_empty() || name.is_empty() || !name.chars().all(valid) {
            return Err(format!("`{endpoint}` and `{name}` name no function"));
        }
        let base = base.trim_end_matches('/');
        let separator = if base.is_empty() { "" } else { "/" };
        Ok(Self {
            authority: if has_port {
                authority.to_owned()
            } else {
                format!("{authority}:80")
            },
            path: format!("{separator}{base}/2015-03-31/functions/{name}/invocations"),
            region: region.to_owned(),
        })
    }
}

/// All places that events go to.
#[derive(Debug)]
pub(super) struct Sinks {
    file: Option<(PathBuf, File)>,
    function: Option<UnboundedSender<Value>>,
}

impl Sinks {
    /// Opens what the options name. Needs a running `LocalSet`.
    pub(super) fn open(options: &EndpointOptions) -> Result<Self, EndpointError> {
        let file = options.events_file.as_ref().map(|path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.map(|file| (path.clone(), file))
                .map_err(|error| EndpointError::EventsFile(path.clone(), error))
        });
        let function = options.function.as_ref().map(|function| {
            let (sender, receiver) = unbounded_channel();
            spawn_local(invoke_all(function.clone(), receiver));
            sender
        });
        Ok(Self {
            file: file.transpose()?,
            function,
        })
    }

    /// Whether events go nowhere.
    pub(super) fn are_none(&self) -> bool {
        self.file.is_none() && self.function.is_none()
    }

    /// Sends events, in order. The file has them when this returns.
    pub(super) fn send(&mut self, events: Vec<Value>) {
        for event in events {
            if let Some((path, file)) = &mut self.file {
                let line = format!("{event}\n");
                if let Err(error) = file.write_all(line.as_bytes()) {
                    eprintln!(
                        "error: an event is lost: cannot write `{}`: {error}",
                        path.display()
                    );
                }
            }
            if let Some(function) = &self.function {
                // The receiver lives as long as the server.
                let _ = function.send(event);
            }
        }
    }
}

/// Invokes the function with one event after the other, so that they arrive in order.
async fn invoke_all(function: FunctionUrl, mut events: UnboundedReceiver<Value>) {
    while let Some(event) = events.recv().await {
        let body = Bytes::from(event.to_string());
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=TRIES {
            let problem = match timeout(TRY_TIMEOUT, invoke(&function, body.clone())).await {
                Ok(Ok(status)) if status.is_success() => break,
                Ok(Ok(status)) => format!("HTTP status {status}"),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer in {} s", TRY_TIMEOUT.as_secs()),
            };
            if attempt == TRIES {
                let id = event.get("id").and_then(Value::as_str).unwrap_or_default();
                eprintln!(
                    "error: event {id} is lost: cannot invoke http://{}{}: {problem}",
                    function.authority, function.path
                );
                break;
            }
            sleep(pause).await;
            pause *= 2;
        }
    }
}

/// One asynchronous invocation.
/// <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
async fn invoke(
    function: &FunctionUrl,
    body: Bytes,
) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let socket = TcpStream::connect(&function.authority).await?;
    socket.set_nodelay(true)?;
    let (mut sender, connection) = handshake(TokioIo::new(socket)).await?;
    spawn_local(async move {
        // What goes wrong with the connection, the request tells.
        let _ = connection.await;
    });
    // Emulators read the Region from the credential's scope and check nothing else.
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=berth/20260101/{}/lambda/aws4_request, SignedHeaders=host, Signature=0",
        function.region
    );
    let request = Request::post(&function.path)
        .header("host", &function.authority)
        .header("authorization", authorization)
        .header("content-type", "application/json")
        .header("x-amz-invocation-type", "Event")
        .body(Full::new(body))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    response.into_body().collect().await?;
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_by_endpoint_and_name() {
        let url = FunctionUrl::new("http://127.0.0.1:4566/", "tracker", "us-east-1").unwrap();
        assert_eq!(url.authority, "127.0.0.1:4566");
        assert_eq!(url.path, "/2015-03-31/functions/tracker/invocations");
        assert_eq!(
            FunctionUrl::new("http://lambda", "f", "r").unwrap().authority,
            "lambda:80"
        );
        assert_eq!(
            FunctionUrl::new("http://h:1/base", "f", "r").unwrap().path,
            "/base/2015-03-31/functions/f/invocations"
        );
        for (endpoint, name) in [
            ("https://h:1", "f"),
            ("h:1", "f"),
            ("http://", "f"),
            ("http://h:1", "a/b"),
            ("http://h:1", ""),
        ] {
            assert!(
                FunctionUrl::new(endpoint, name, "r").is_err(),
                "{endpoint} {name}"
            );
        }
    }
}
