//! Whole stories, told to the programs under test through the simulated AWS.
#![expect(clippy::expect_used, reason = "a story that cannot go on fails")]

#[path = "../stage/mod.rs"]
mod stage;

mod budgets;
mod definitions;
mod handover;
mod happy;
mod queue_workers;
mod scaling;
mod several;
mod sick_canary;
mod sick_turnover;
mod sizes;
mod watched;
