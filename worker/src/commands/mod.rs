//! Operators' commands: they look at services and releases, and change them with the operator's own credentials.

pub mod common;
pub mod rollback;
