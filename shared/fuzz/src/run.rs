//! Playing mutated inputs, and telling which one failed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;

use crate::mutation::mutate;
use crate::target::Target;

/// An input for which something did not hold.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which execution it was.
    pub execution: u64,
    /// What did not hold.
    pub what: String,
    /// The input.
    pub input: Vec<u8>,
}

/// Plays so many inputs, the corpus itself first. The same seed is always the same inputs; `progress` is told
/// after each one and may end the run.
///
/// # Errors
/// The first input for which something did not hold.
pub fn run(
    target: &Target,
    seed: u64,
    executions: u64,
    progress: &mut impl FnMut() -> bool,
) -> Result<u64, Box<Finding>> {
    let corpus = (target.corpus)();
    let mut random = Rng::with_seed(seed);
    let mut real = corpus.iter().cloned();
    for execution in 0..executions {
        let input = real.next().unwrap_or_else(|| mutate(&corpus, &mut random));
        if let Err(what) = check(target, &input) {
            return Err(Box::new(Finding {
                execution,
                what,
                input,
            }));
        }
        if !progress() {
            return Ok(execution.saturating_add(1));
        }
    }
    Ok(executions)
}

/// Checks one input. A panic is told as what did not hold.
///
/// # Errors
/// What did not hold.
pub fn check(target: &Target, input: &[u8]) -> Result<(), String> {
    let checked = catch_unwind(AssertUnwindSafe(|| (target.check)(input)));
    checked.unwrap_or_else(|_| Err("it panicked".to_owned()))
}
