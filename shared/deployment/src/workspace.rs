//! Where things are.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The checkout, and the folder in it that the tests may write to.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The workspace of the integration test whose `CARGO_TARGET_TMPDIR` is given: cargo makes that folder directly
    /// below the target folder, wherever this is.
    ///
    /// # Errors
    /// When the folder has no parent, or the working folder of the tests cannot be made.
    pub fn of_test(target_tmpdir: &str) -> Result<Self, Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .unwrap_or(Path::new("."));
        let target = Path::new(target_tmpdir).parent().unwrap_or(Path::new("target"));
        let workspace = Self {
            root: root.to_path_buf(),
            target: target.to_path_buf(),
        };
        fs::create_dir_all(workspace.scratch())
            .map_err(Failure::io("making the folder of the deployment tests"))?;
        Ok(workspace)
    }

    /// Waits until nobody else prepares or runs deployment tests; they may again when the file is closed.
    pub(crate) fn lock(&self) -> Result<File, Failure> {
        let lock = File::create(self.scratch().join("lock"));
        let lock = lock.map_err(Failure::io("making the lock of the deployment tests"))?;
        lock.lock()
            .map_err(Failure::io("waiting for other deployment tests to end"))?;
        Ok(lock)
    }

    /// The root of the checkout: `template.yaml` is here.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that cargo builds into.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Everything that these tests make: virtual environments, builds, logs.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.target.join("deployment")
    }

    /// The virtual environment of this name.
    pub(crate) fn environment(&self, name: &str) -> PathBuf {
        self.scratch().join("python").join(name)
    }

    /// The simulator's binary.
    pub(crate) fn simulator(&self) -> PathBuf {
        self.target
            .join("debug")
            .join(format!("berth{}", env::consts::EXE_SUFFIX))
    }

    /// Where cargo builds the functions: a folder of its own, so that nobody waits for the other's lock.
    pub(crate) fn functions(&self) -> PathBuf {
        self.scratch().join("functions")
    }

    /// Where `sam build` leaves the template and the functions.
    pub(crate) fn build(&self) -> PathBuf {
        self.scratch().join("build")
    }

    pub(crate) fn deployment(&self) -> PathBuf {
        self.root.join("shared").join("deployment")
    }
}
