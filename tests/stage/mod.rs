//! The stage on which scenarios and the demo play: applications as a team would have them, on a simulated account.

mod application;
mod budget;
mod claims;
pub(crate) mod invariants;
mod log;
pub(crate) mod loopback;
mod operator;
mod people;
pub(crate) mod permissions;
mod pipeline;
pub(crate) mod provisioned;
mod recorder;
mod rollback_budget;
pub(crate) mod story;

pub(crate) use application::{Application, CLUSTER};
pub(crate) use budget::{Cost, ten_quiet_minutes};
pub(crate) use claims::{redacted, without_ids};
pub(crate) use log::Log;
pub(crate) use operator::{OPERATOR_KEY, order};
pub(crate) use pipeline::pipeline_json;
pub(crate) use provisioned::Provisioned;
pub(crate) use rollback_budget::{RollbackCost, rollback_over_a_socket, ten_applications};
pub(crate) use story::{PEER_KEY, Story, WORKER_KEY, Worker, ledger, settings, zipped};
