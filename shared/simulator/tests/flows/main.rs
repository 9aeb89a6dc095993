//! The flows on in-memory tables and a scripted ECS: what each step does when the next one fails.

mod admission;
mod reconciliation;
mod tracking;
mod world;
