//! A suite: pytest files with what they need.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::run;
use crate::environment::{Dependencies, prepare};
use crate::failure::Failure;
use crate::workspace::Workspace;

/// The variables that cargo sets for the running test. A build started from the test must not see them: build scripts
/// that watch them would run again, and their crates be compiled again, every time.
const VARIABLES_OF_THE_TEST: [&str; 6] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_BIN_",
    "CARGO_TARGET_TMPDIR",
];

/// Pytest files with what they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// The template by itself, and beside the code it deploys.
    Template,
    /// The simulator's ECS endpoint, as boto3 sees it.
    EcsEndpoint,
    /// The stack, deployed to an emulator of AWS.
    Stack,
    /// The same while calls fail and functions are killed.
    StackFaults,
}

impl Suite {
    /// Prepares what the suite needs and runs it.
    ///
    /// # Errors
    /// When something it needs cannot be had, or a test of it fails.
    pub fn run(self, workspace: &Workspace) -> Result<(), Failure> {
        // Held until the suite ends: two runs of the tests must not build into the same folders at once.
        let _lock = workspace.lock()?;
        let emulator = prepare(workspace, "emulator", Dependencies::Included)?;
        let mut pytest = Command::new(emulator.join("python"));
        pytest.current_dir(workspace.deployment().join("python"));
        pytest.args(["-m", "pytest", "-p", "no:cacheprovider", "--durations=5"]);
        pytest.args(self.files());
        pytest.env("PYTHONDONTWRITEBYTECODE", "1");
        pytest.env("BERTH_SCRATCH", workspace.scratch());
        if self != Self::EcsEndpoint {
            pytest.env(
                "BERTH_SAM",
                prepare(workspace, "sam", Dependencies::Included)?.join("sam"),
            );
        }
        if self != Self::Template {
            build_simulator(workspace)?;
            pytest.env("BERTH_BINARY", workspace.simulator());
        }
        if matches!(self, Self::Stack | Self::StackFaults) {
            build_functions(workspace)?;
            pytest.env("BERTH_BUILD", workspace.build());
        }
        // Its output goes where ours goes, live: it is the report.
        let status = pytest
            .stdin(Stdio::null())
            .status()
            .map_err(Failure::io("starting pytest"))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::TestsFailed {
            suite: self.files().first().copied().unwrap_or_default(),
            report: workspace.scratch(),
        })
    }

    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Template => &["test_template.py"],
            Self::EcsEndpoint => &["test_ecs_endpoint.py"],
            // One deployed stack for both.
            Self::Stack => &["test_stack.py", "test_stack_lifetime.py"],
            Self::StackFaults => &["test_stack_faults.py"],
        }
    }
}

fn build_simulator(workspace: &Workspace) -> Result<(), Failure> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace.root()).args([
        "build",
        "--locked",
        "--package",
        "berth-simulator",
        "--target-dir",
    ]);
    cargo.arg(workspace.target());
    run(
        workspace,
        "building the simulator",
        without_variables_of_the_test(&mut cargo),
    )
}

/// Builds the functions the way a user does, with SAM.
fn build_functions(workspace: &Workspace) -> Result<(), Failure> {
    let sam = prepare(workspace, "sam", Dependencies::Included)?;
    let cargo_lambda = prepare(workspace, "cargo-lambda", Dependencies::LeftOut)?;
    let build = workspace.build();
    fs::create_dir_all(&build).map_err(Failure::io("making the folder of the build"))?;
    let mut command = Command::new(sam.join("sam"));
    command
        .current_dir(workspace.root())
        .args(["build", "--template-file", "template.yaml", "--build-dir"])
        .arg(&build);
    command.env("PATH", with_first(&cargo_lambda)?);
    command
        .env("CARGO_LAMBDA_COMPILER", "cargo")
        .env("CARGO_TARGET_DIR", workspace.functions());
    // Quicker to build than for release, and stricter: a broken assumption or an overflow ends the function.
    command
        .env("SAM_BUILD_MODE", "debug")
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    command
        .env("SAM_CLI_TELEMETRY", "0")
        .env("AWS_DEFAULT_REGION", "us-east-1");
    run(
        workspace,
        "building the functions",
        without_variables_of_the_test(&mut command),
    )
}

fn with_first(folder: &Path) -> Result<std::ffi::OsString, Failure> {
    let rest = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(env::split_paths(&rest));
    env::join_paths(folders).map_err(|error| Failure::Io {
        doing: "setting PATH".to_owned(),
        source: std::io::Error::other(error),
    })
}

fn without_variables_of_the_test(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if VARIABLES_OF_THE_TEST
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command
}
