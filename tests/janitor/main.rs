//! What the janitor deletes, and provably does not, on the simulated AWS.
#![expect(clippy::expect_used, clippy::panic, reason = "a story that cannot go on fails")]

mod cases;
mod costs;
mod deadline;
mod denied;
mod deployer;
mod extent;
mod faults;
mod furnished;
mod grants;
mod interleavings;
mod large;
mod oracle;
mod permissions;
mod readers;
mod several;
mod sweeps;
mod tricky;
mod triggers;
mod views;
mod yard;
