//! The operators' commands. They reach the world through the same door as the worker, with the operator's own
//! credentials, and never through a job.
//!
//! A command is an `Args` with a `run`: it observes, lets a pure function decide what that means, and shows it.

pub mod answer;
pub mod common;
pub mod desk;
pub mod doctor;
pub mod drift;
pub mod explain;
pub mod history;
pub mod question;
pub mod rollback;
pub mod status;
pub mod table;
pub mod trouble;
pub mod whatif;
pub mod whatif_show;
