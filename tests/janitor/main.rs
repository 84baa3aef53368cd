//! What the janitor deletes, and provably does not, on the simulated AWS.
#![expect(clippy::expect_used, clippy::panic, reason = "a story that cannot go on fails")]

mod cases;
mod deployer;
mod extent;
mod faults;
mod furnished;
mod interleavings;
mod oracle;
mod permissions;
mod several;
mod sweeps;
mod tricky;
mod yard;
