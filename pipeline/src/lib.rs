//! The contract between pipelines and Coalmine's programs: the custom action types, their configuration, the artifacts
//! they read, and the grammar of image references.
//!
//! ```text
//!  pipeline definition            job                                artifact
//!        │                         │                                    │
//!  action_type ── contract    config::{Canary,Full,Rollback}Config  artifact::parse_image_*
//!        │      (contract.json,    │   └─ options, capacity,            │
//!        │       README table)     │      duration, names               │
//!        └── drives the parser ────┘                └───────┬───────────┘
//!                                                   image::ImageReference
//! ```
//!
//! Plain functions of plain values: no I/O, no clock, no environment, no async, no SDK. Whatever comes from outside is
//! answered with a typed value or with words that say what was found and what was expected ([`Mismatch`],
//! [`Problems`], [`ArtifactError`]); nothing panics.
//!
//! - [`action_type`]: the definitions. Everything else about properties follows from them.
//! - [`config`], [`options`], [`capacity`], [`duration`], [`names`]: from texts to values, all problems at once.
//! - [`artifact`], [`image`]: which images a release consists of.
//! - [`contract`]: the definitions as JSON and Markdown.
//! - [`ledger`], [`limits`], [`variables`], [`tags`]: what the worker writes, and how much AWS takes.

pub mod action_type;
pub mod artifact;
pub mod capacity;
pub mod config;
pub mod contract;
pub mod duration;
pub mod image;
pub mod ledger;
pub mod limits;
pub mod mismatch;
pub mod names;
pub mod options;
pub mod tags;
pub mod variables;

pub use crate::action_type::ActionType;
pub use crate::artifact::{ArtifactError, ContainerImage, ImageDetail, ImageFile};
pub use crate::capacity::{Capacity, Share};
pub use crate::config::{Back, CanaryConfig, FullConfig, Problem, Problems, RollbackConfig};
pub use crate::image::{BrokenReference, Digest, EcrRepository, HostFamily, ImageReference};
pub use crate::mismatch::Mismatch;
pub use crate::names::Home;
pub use crate::options::{AlreadyRed, Mode, Options};
