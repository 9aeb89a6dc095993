//! Runs Berth on this machine. See `berth --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    berth_simulator::cli::run()
}
