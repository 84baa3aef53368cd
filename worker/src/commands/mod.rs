//! The operators' commands, a file each. They reach the world through the same door as the worker, with the operator's own
//! credentials, and never through a job.

pub mod answer;
pub mod common;
pub mod drift;
pub mod rollback;
