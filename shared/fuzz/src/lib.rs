//! Everything that Berth reads from outside, fed with what nobody would send.
//!
//! A [`target::Target`] is a reader with what must hold of it whatever it reads: it never panics, what it refuses
//! has a reason, and what it accepts can be written and read again. [`mutation`] makes inputs out of real ones: the
//! files of `events/`, the golden records, the story's workload. [`run`] plays them, the same seed the same inputs;
//! the folder `fuzz` beside this crate has the same targets for cargo-fuzz, which is guided by coverage.

pub mod mutation;
pub mod run;
pub mod target;

mod corpus;
