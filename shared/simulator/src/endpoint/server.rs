//! The HTTP server, and the clock that makes tasks start and stop.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::pending;
use std::io::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use berth_scheduler::timestamp::Timestamp;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};

use super::protocol::{Answer, BODY_BYTES_MAX};
use super::sink::Sinks;
use super::{Endpoint, EndpointError, EndpointOptions, Events, Request};
use crate::ecs::error::{EcsError, EcsErrorKind};

/// Pause after a connection could not be accepted: the reason is most often that there are too many.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the connections and the clock share; all run on one thread.
struct Shared {
    endpoint: RefCell<Endpoint>,
    sinks: RefCell<Sinks>,
    /// Tells the clock that the next due moment may have changed.
    changed: Notify,
}

/// Serves until the process is ended.
///
/// # Errors
/// When it cannot start.
pub fn serve(options: &EndpointOptions) -> Result<(), EndpointError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(EndpointError::Runtime)?;
    LocalSet::new().block_on(&runtime, run(options))
}

async fn run(options: &EndpointOptions) -> Result<(), EndpointError> {
    let sinks = Sinks::open(options)?;
    let events = if sinks.are_none() {
        Events::Unwanted
    } else {
        Events::Wanted
    };
    let endpoint = Endpoint::new(
        options.settings.clone(),
        wall_clock(),
        options.fleet.as_ref(),
        events,
    );
    let endpoint = RefCell::new(endpoint.map_err(EndpointError::Fleet)?);
    let shared = Rc::new(Shared {
        endpoint,
        sinks: RefCell::new(sinks),
        changed: Notify::new(),
    });
    shared.pass_events_on();

    let address = SocketAddr::new(options.host, options.port);
    let failed = |error| EndpointError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    println!("listening on http://{address}");
    // Nobody may be reading; that is no reason not to serve.
    let _ = std::io::stdout().flush();

    tokio::select! {
        () = accept(&listener, &shared) => {}
        () = keep_time(&shared) => {}
        () = asked_to_end() => {}
    }
    Ok(())
}

async fn accept(listener: &TcpListener, shared: &Rc<Shared>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Small answers: waiting for more to send would only slow every call down.
        let _ = socket.set_nodelay(true);
        let shared = Rc::clone(shared);
        let service = service_fn(move |request| {
            let shared = Rc::clone(&shared);
            async move { Ok::<_, Infallible>(shared.respond(request).await) }
        });
        spawn_local(async move {
            // A connection that breaks is the caller's affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

/// Lets happen what is due, when it is due.
async fn keep_time(shared: &Shared) {
    loop {
        let due = shared.endpoint.borrow().ecs.next_due();
        let wait = due.map(|due| Duration::from_millis(due.millis_since(wall_clock())));
        let alarm = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = alarm => shared.endpoint.borrow_mut().ecs.advance_to(wall_clock()),
            () = shared.changed.notified() => {}
        }
        shared.pass_events_on();
    }
}

/// Ends with the signal that asks a process to end, so that it does so in order.
async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => pending().await,
    }
}

impl Shared {
    fn pass_events_on(&self) {
        let events = self.endpoint.borrow_mut().ecs.take_written();
        self.sinks.borrow_mut().send(events);
    }

    async fn respond(&self, request: HttpRequest<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let target = head
            .headers
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok());
        let answer = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                let request = Request {
                    method: head.method.as_str(),
                    path: head.uri.path(),
                    target,
                    body: &body,
                };
                self.endpoint.borrow_mut().answer(wall_clock(), request)
            }
            Err(_) => {
                let message = format!("the body is longer than {BODY_BYTES_MAX} bytes, or did not arrive");
                Answer::from(EcsError::new(EcsErrorKind::Serialization, message))
            }
        };
        self.pass_events_on();
        self.changed.notify_one();
        let number = self.endpoint.borrow().requests;
        to_response(&answer, number)
    }
}

fn to_response(answer: &Answer, number: u64) -> Response<Full<Bytes>> {
    let mut response = Response::builder()
        .status(answer.status)
        .header("content-type", "application/x-amz-json-1.1")
        .header(
            "x-amzn-requestid",
            format!("00000000-0000-4000-8000-{number:012x}"),
        );
    if let Some(error) = answer.error {
        response = response.header("x-amzn-errortype", error);
    }
    let body = Full::new(Bytes::from(answer.body.to_string()));
    // Status and headers are all of our own making, so this cannot fail.
    response.body(body).unwrap_or_default()
}

fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
