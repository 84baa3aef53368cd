//! What the janitor deletes, and provably does not, on the simulated AWS.
#![expect(clippy::expect_used, reason = "a story that cannot go on fails")]

mod cases;
mod furnished;
mod permissions;
mod sweeps;
mod yard;
