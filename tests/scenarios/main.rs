//! Whole stories, told to the programs under test through the simulated AWS.

#[path = "../stage/mod.rs"]
mod stage;

mod alarms;
mod happy;
mod sick_canary;
mod sick_turnover;
