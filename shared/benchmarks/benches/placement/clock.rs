//! The CPU time of this thread: other work on the machine does not count.

use std::hint::black_box;
use std::time::Instant;

/// How often each case is run; the best time counts, as the least disturbed.
const ROUNDS: usize = 15;

/// A case is given up to this long, in nanoseconds.
const NANOSECONDS_MAX: f64 = 4e9;

/// Shorter runs are repeated until they take this long, in nanoseconds.
const NANOSECONDS_MIN: f64 = 5e6;

/// Nanoseconds of CPU time of this thread (Linux keeps them as the first number of `schedstat`); wall-clock
/// time where that is not known.
fn nanoseconds(start: Instant) -> f64 {
    // Linux counts when it schedules: without this the number is as old as the last tick.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok());
    first.unwrap_or_else(|| start.elapsed().as_nanos() as f64)
}

/// Runs `work`, which makes so many decisions, and gives the decisions per second of its best run.
pub(crate) fn decisions_per_second<T>(decisions: usize, mut work: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    let began = nanoseconds(start);
    let mut repeat = 1_u32;
    let mut best = 0.0_f64;
    let mut round = 0;
    while round < ROUNDS && (round == 0 || nanoseconds(start) - began < NANOSECONDS_MAX) {
        let before = nanoseconds(start);
        for _ in 0..repeat {
            black_box(work());
        }
        let taken = nanoseconds(start) - before;
        if taken < NANOSECONDS_MIN && repeat < 1 << 20 {
            repeat *= 4;
            continue;
        }
        best = best.max(decisions as f64 * f64::from(repeat) / taken.max(1.0) * 1e9);
        round += 1;
    }
    best
}

/// A speed for people: `1,234,567`.
pub(crate) fn per_second(speed: f64) -> String {
    let digits = format!("{speed:.0}");
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
