//! Plans of small worlds.

mod access;
mod chance;
mod file;
mod images;
mod naive;
mod properties;
mod references;
mod sweep;
mod world;
