//! worker
pub mod clock;
pub mod deploy;
