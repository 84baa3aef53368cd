//! What both programs share at their edge.
//!
//! ```text
//!   open()    the one door to the world: an `SdkConfig` with HTTP client, credentials, retries, time and sleep
//!   clock     the date, sleep and dice, as the door gives them
//!   error     what can go wrong with a call, in the few kinds that make a difference
//!   dated     AWS's own date, from its replies
//!   raw       JSON beside the SDK's types
//!   store     small durable objects with conditional writes: s3://bucket/prefix, or a folder
//!   logging   log lines to stderr, for people or machines
//!   stop      SIGTERM and Ctrl-C
//! ```
//!
//! Nothing in here decides anything.

pub mod clock;
pub mod dated;
pub mod error;
pub mod logging;
mod open;
pub mod raw;
mod stop;
pub mod store;

pub use error::{AwsError, Kind};
pub use open::{CALL, limited, open};
pub use stop::told_to_stop;
