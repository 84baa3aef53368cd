//! The places in which images are referred to, one file for each kind. A new one is a file, a [`Source`], and a line below.

mod builds;
mod daemons;
mod functions;
mod keep_lists;
mod ledger;
mod rules;
mod schedules;
mod service_deployments;
mod services;
mod task_definitions;
mod tasks;

use coalmine_door::AwsError;

use crate::aws::Place;
use crate::aws::ecs::ContainerImage;
use crate::aws::ecs_deployments::Revision;
use crate::cache::Cache;
use crate::in_use::{Arn, Source, Step, Use, Used};

pub use keep_lists::{KeepListAt, read as keep_lists};
pub use ledger::{Ledger, Ran, Records, read as ledger};

/// What a source has found.
#[derive(Debug, Default)]
pub struct Found {
    /// ARNs of ACTIVE task definitions.
    pub active: Vec<Arn>,
    /// What uses images.
    pub uses: Vec<Use>,
}

/// Where a source is read, and what is known already.
#[derive(Clone, Copy, Debug)]
pub struct From<'a> {
    /// The account and Region.
    pub place: &'a Place,
    /// What earlier runs have read and never changes.
    pub cache: &'a Cache,
    /// How many successful deployments of a service are kept.
    pub deployments: usize,
}

/// Reads a source in one place to its end.
///
/// # Errors
/// When anything of it cannot be read: then nothing may be deleted.
pub async fn read(source: Source, from: From<'_>) -> Result<Found, AwsError> {
    match source {
        Source::TaskDefinitions => task_definitions::read(from).await,
        Source::Services => services::read(from).await,
        Source::ServiceDeployments => service_deployments::read(from).await,
        Source::Tasks => tasks::read(from).await,
        Source::Daemons => daemons::read(from).await,
        Source::Lambda => functions::read(from).await,
        Source::CodeBuild => builds::read(from).await,
        Source::Rules => rules::read(from).await,
        Source::Schedules => schedules::read(from).await,
        // These are no places: the scan reads them by itself.
        Source::Registry | Source::Manifests | Source::Ledger | Source::KeepLists => Ok(Found::default()),
    }
}

impl Found {
    fn definition(&mut self, by: &[Step], definition: &Arn) {
        self.uses.push(Use { by: by.to_vec(), of: Used::Definition(definition.clone()) });
    }

    fn image(&mut self, by: &[Step], image: &ContainerImage) {
        let mut by = by.to_vec();
        by.push(Step::Container(image.container.clone()));
        let of = match (image.image.is_empty(), &image.digest) {
            (true, Some(digest)) => Used::Digest(digest.clone()),
            (true, None) => return,
            (false, digest) => Used::Image { text: image.image.clone(), digest: digest.clone() },
        };
        self.uses.push(Use { by, of });
    }

    /// What a revision of a service or daemon brings.
    fn revision(&mut self, by: &[Step], revision: &Revision) {
        if let Some(definition) = &revision.definition {
            self.definition(by, definition);
        }
        for image in &revision.images {
            self.image(by, image);
        }
    }
}
