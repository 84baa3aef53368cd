//! What operators ask for beside `run`, a file each.

pub mod drift;
