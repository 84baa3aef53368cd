//! What the janitor deletes, and provably does not, on the simulated AWS.

mod sweeps;
mod yard;
