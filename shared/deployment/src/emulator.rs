//! The emulator of AWS for tests in Rust: the same one that the suites start.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::environment::{Dependencies, prepare};
use crate::failure::Failure;
use crate::workspace::Workspace;

/// How long the emulator may take until it listens: it takes a second.
const READY_MAX: Duration = Duration::from_secs(30);

const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A running emulator of DynamoDB, SQS and more. It ends with this value.
#[derive(Debug)]
pub struct Emulator {
    process: Child,
    endpoint: String,
}

impl Emulator {
    /// Installs the emulator if need be, and starts it on a free port of this machine alone.
    ///
    /// # Errors
    /// When it cannot be had or does not start.
    pub fn start(workspace: &Workspace) -> Result<Self, Failure> {
        let lock = workspace.lock()?;
        let programs = prepare(workspace, "emulator", Dependencies::Included)?;
        drop(lock);
        let port = free_port().map_err(Failure::io("finding a free port"))?;
        let path = workspace.scratch().join(format!("emulator-{port}.log"));
        let log = File::create(&path).map_err(Failure::io("making the log of the emulator"))?;
        let copy = log
            .try_clone()
            .map_err(Failure::io("opening the log of the emulator"))?;
        let mut command = Command::new(programs.join("ministack"));
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env(
                "STATE_DIR",
                workspace.scratch().join(format!("emulator-state-{port}")),
            );
        let process = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy)
            // A group of its own, so that whatever it starts ends with it.
            .process_group(0)
            .spawn()
            .map_err(Failure::io("starting the emulator"))?;
        let mut emulator = Self {
            process,
            endpoint: format!("http://127.0.0.1:{port}"),
        };
        if emulator.gets_ready(port) {
            return Ok(emulator);
        }
        Err(Failure::Command {
            step: "starting the emulator of AWS".to_owned(),
            log: fs::read_to_string(&path).unwrap_or_default(),
        })
    }

    /// Its URL, for every service.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn gets_ready(&mut self, port: u16) -> bool {
        let until = Instant::now() + READY_MAX;
        while Instant::now() < until && matches!(self.process.try_wait(), Ok(None)) {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return true;
            }
            sleep(LOOK_AGAIN);
        }
        false
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It has ended already if this fails.
        let _ended = Command::new("kill")
            .args(["-KILL", "--", &format!("-{}", self.process.id())])
            .stderr(Stdio::null())
            .status();
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
