//! Whole stories, told to the programs under test through the simulated AWS.

#[path = "../stage/mod.rs"]
mod stage;

mod alarms;
mod ecs_decides;
mod happy;
mod patience;
mod sick_canary;
mod sick_turnover;
mod somebody_else;
