//! What the janitor deletes, and provably does not, on the simulated AWS.
#![expect(clippy::expect_used, clippy::panic, reason = "a story that cannot go on fails")]

mod cases;
mod copies;
mod costs;
mod deadline;
mod denied;
mod deployer;
mod extent;
mod faults;
mod furnished;
mod grants;
mod histories;
mod interleavings;
mod large;
mod looks;
mod oracle;
mod permissions;
mod pulls;
mod readers;
mod several;
mod sweeps;
mod telling;
mod tricky;
mod triggers;
mod views;
mod yard;
