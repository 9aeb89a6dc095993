//! Making a failing run small: fewer kinds of faults, fewer messages, the same broken promise.

use super::{FaultKind, SeedRun, SoakOptions, run_seed, trace_seed};

/// A failing run made small.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What it was allowed.
    pub options: SoakOptions,
    /// What happened in it, with its last steps.
    pub run: SeedRun,
    /// The kinds of faults it still needs.
    pub kinds: Vec<FaultKind>,
}

/// Turns off one kind of fault after the other and halves the messages while a promise is still broken. `None`
/// when the seed keeps all promises. The run keeps so many of its last steps.
pub fn shrink(seed: u64, options: &SoakOptions, steps: usize) -> Option<Shrunk> {
    let fails = |options: &SoakOptions| run_seed(seed, options).violation.is_some();
    if !fails(options) {
        return None;
    }
    let mut options = options.clone();
    for kind in FaultKind::ALL {
        let mut fewer = options.clone();
        fewer.never.insert(*kind);
        if fails(&fewer) {
            options = fewer;
        }
    }
    let mut messages = run_seed(seed, &options).messages;
    while messages > 1 {
        let fewer = SoakOptions {
            messages_max: messages / 2,
            ..options.clone()
        };
        if !fails(&fewer) {
            break;
        }
        messages /= 2;
        options = fewer;
    }
    let run = trace_seed(seed, &options, steps);
    let kinds = run.kinds.clone();
    Some(Shrunk { options, run, kinds })
}
