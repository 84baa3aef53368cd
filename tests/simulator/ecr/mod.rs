//! Simulated Amazon ECR. (ecr 1.138 has no schema-based serde, so the codec is hand-written.)

mod behaviour;

pub use behaviour::Behaviour;

/// All repositories.
#[derive(Debug, Default)]
pub struct State {}

/// What a puller gets for an image reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The digest the reference names: the index of a multi-architecture image, else the manifest.
    pub digest: String,
    /// The manifest for the architecture asked for; equal to `digest` where there is no index.
    pub platform_digest: String,
    /// How it behaves.
    pub behaviour: Behaviour,
}

impl State {
    /// Resolves a reference as an agent of `architecture` (`arm64`, `amd64`) would.
    ///
    /// # Errors
    /// The reason text ECS shows: `CannotPullContainerError: …`.
    pub fn pull(&self, reference: &str, _architecture: &str) -> Result<Pulled, String> {
        Err(format!("CannotPullContainerError: {reference}: not found"))
    }
}

crate::wire::json_operations! { dispatch: }
