//! Why a suite could not run or did not pass.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a suite could not run or did not pass.
pub enum Failure {
    /// No Python that can make virtual environments.
    NoPython { found: String },
    /// A file, a folder or a process could not be used.
    Io { doing: String, source: io::Error },
    /// A command ended with an error; the log holds what it said.
    Command { step: String, log: String },
    /// The suite ran, and tests in it failed; pytest has said which.
    TestsFailed { suite: &'static str, report: PathBuf },
}

impl Failure {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPython { found } => write!(
                to,
                "the deployment tests need `python3`, 3.10 or newer, with its `venv` module ({found}): install it, on \
                 Debian and Ubuntu with `apt-get install python3 python3-venv`"
            ),
            Self::Io { doing, source } => write!(to, "{doing}: {source}"),
            Self::Command { step, log } => write!(to, "{step} failed:\n{log}"),
            Self::TestsFailed { suite, report } => {
                write!(
                    to,
                    "tests in `{suite}` failed: see above, and the logs in `{}`",
                    report.display()
                )
            }
        }
    }
}

// What a test prints when it returns an error is the Debug form.
impl fmt::Debug for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, to)
    }
}

impl std::error::Error for Failure {}
