//! Plans of small worlds.

mod cases;
mod file;
mod naive;
mod properties;
mod sweep;
mod world;
