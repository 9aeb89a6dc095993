//! The Python virtual environments that the suites run in, made once and used again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::run;
use crate::failure::Failure;
use crate::workspace::Workspace;

/// Whether the requirements bring what they themselves require.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dependencies {
    Included,
    LeftOut,
}

/// Makes sure that the virtual environment holds exactly what its requirements file says, and returns its folder of
/// programs.
///
/// An environment left by an earlier run is used again when neither the file nor the Python has changed since: a copy
/// of both is its stamp, written last, so that an installation cut short is not mistaken for a whole one.
pub(crate) fn prepare(
    workspace: &Workspace,
    name: &str,
    dependencies: Dependencies,
) -> Result<PathBuf, Failure> {
    let requirements = workspace
        .deployment()
        .join("requirements")
        .join(format!("{name}.txt"));
    let wanted = fs::read_to_string(&requirements)
        .map_err(Failure::io(format!("reading `{}`", requirements.display())))?;
    let wanted = format!("# {}\n{wanted}", python_version()?);
    let folder = workspace.environment(name);
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder.join("bin"));
    }
    install(workspace, name, dependencies, &requirements)?;
    fs::write(&stamp, wanted).map_err(Failure::io(format!("writing `{}`", stamp.display())))?;
    Ok(folder.join("bin"))
}

fn install(
    workspace: &Workspace,
    name: &str,
    dependencies: Dependencies,
    requirements: &Path,
) -> Result<(), Failure> {
    let folder = workspace.environment(name);
    let make = format!("making the Python environment {name}");
    run(
        workspace,
        &make,
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    let mut pip = Command::new(folder.join("bin").join("python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--requirement",
    ])
    .arg(requirements);
    if dependencies == Dependencies::LeftOut {
        pip.arg("--no-deps");
    }
    run(
        workspace,
        &format!("installing the requirements {name}"),
        &mut pip,
    )
}

/// The version of `python3`, which must be able to make virtual environments.
fn python_version() -> Result<String, Failure> {
    const PROBE: &str = "import sys, venv, ensurepip; assert sys.version_info >= (3, 10); print(sys.version)";
    let output = Command::new("python3").args(["-c", PROBE]).output();
    let output = output.map_err(|error| Failure::NoPython {
        found: error.to_string(),
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::NoPython {
            found: said.lines().last().unwrap_or("it said nothing").to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().collect())
}
