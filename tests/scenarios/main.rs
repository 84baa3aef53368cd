//! Whole stories, told to the programs under test through the simulated AWS.

#[path = "../stage/mod.rs"]
mod stage;

mod happy;
mod queue_workers;
mod scaling;
mod sizes;
mod watched;
