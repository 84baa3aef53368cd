//! Whole stories, told to the programs under test through the simulated AWS.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a story that cannot go on fails")]

#[path = "../stage/mod.rs"]
mod stage;

mod adopters;
mod alarms;
mod answers;
mod artifacts;
mod budgets;
mod clocks;
mod definitions;
mod denied;
mod drift;
mod ecs_decides;
mod first_day;
mod frozen;
mod given_back;
mod handover;
mod happy;
mod health;
mod held;
mod held_records;
mod history;
mod hostile_text;
mod judged_once_more;
mod ledger_stores;
mod offers;
mod operators;
mod pages;
mod patience;
mod people_decide;
mod permissions;
mod provisioned;
mod queue_workers;
mod refused;
mod reshaped;
mod retried;
mod rollback_action;
mod rollback_command;
mod rollback_paths;
mod rollback_points;
mod rollbacks;
mod rolled_back;
mod scaling;
mod secrets;
mod several;
mod sick_canary;
mod sick_turnover;
mod sizes;
mod somebody_else;
mod status;
mod stopped;
mod tables;
mod told;
mod two_pipelines;
mod watched;
