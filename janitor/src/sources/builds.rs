//! CodeBuild: the images that builds run in.

use coalmine_door::AwsError;

use super::{Found, From};
use crate::in_use::{Step, Use, Used};

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    let images = from.place.build_images().await?.into_iter();
    let uses = images.map(|(project, image)| Use {
        by: vec![Step::Project(project.into())],
        of: Used::Image { text: image.into(), digest: None },
    });
    Ok(Found { active: Vec::new(), uses: uses.collect() })
}
