//! What the janitor deletes, and provably does not, on the simulated AWS.
#![expect(clippy::expect_used, reason = "a story that cannot go on fails")]

mod cases;
mod costs;
mod large;
mod sweeps;
mod views;
mod yard;
