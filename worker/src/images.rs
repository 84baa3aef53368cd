//! Which images a release has: those that its artifact and its options name.

use coalmine_door::AwsError;
use coalmine_pipeline::{ContainerImage, ImageReference, Options};

use crate::artifact;
use crate::aws::ecr::ImageError;
use crate::aws::s3::{self, ReadError};
use crate::deploy::release::Image;
use crate::deploy::revision::Revision;
use crate::turn::Turn;

/// The images of the release, or why there are none, for people: those of the artifact, then those of the option `image.<container>`, which win.
pub(crate) async fn release(
    turn: &Turn<'_>,
    containers: &[String],
) -> Result<Result<Vec<ContainerImage>, String>, AwsError> {
    let options = &turn.action.options;
    let mut images = Vec::new();
    if let Some(artifact) = turn.job.artifacts.first() {
        let bytes = match read_artifact(turn, artifact).await {
            Ok(bytes) => bytes,
            Err(ReadError::Aws(error)) => return Err(error),
            Err(problem) => return Ok(Err(problem.to_string())),
        };
        match in_artifact(&bytes, &artifact.name, options, containers) {
            Ok(found) => images = found,
            Err(problem) => return Ok(Err(problem)),
        }
    }
    Ok(with_options(images, options))
}

/// The images that an artifact names.
pub(crate) fn in_artifact(
    bytes: &[u8],
    name: &str,
    options: &Options,
    containers: &[String],
) -> Result<Vec<ContainerImage>, String> {
    let named = |problem: String| format!("input artifact {name}: {problem}");
    let file = artifact::images(bytes, options.file.as_deref()).map_err(|problem| named(problem.to_string()))?;
    artifact::by_container(file, containers).map_err(named)
}

/// The same with those of the option `image.<container>`, which win.
pub(crate) fn with_options(mut images: Vec<ContainerImage>, options: &Options) -> Result<Vec<ContainerImage>, String> {
    for (container, image) in &options.images {
        images.retain(|other: &ContainerImage| other.container != *container);
        images.push(ContainerImage { container: container.clone(), image: image.clone() });
    }
    if images.is_empty() {
        return Err(
            "the action has no image to deploy: give it an input artifact with imagedefinitions.json, or image.<container>= in Options"
                .to_owned(),
        );
    }
    Ok(images)
}

/// Reads with the job's credentials, renewed once where their 15 minutes are over.
async fn read_artifact(turn: &Turn<'_>, artifact: &crate::aws::codepipeline::Artifact) -> Result<Vec<u8>, ReadError> {
    let tools = turn.tools;
    if let Some(credentials) = &turn.job.credentials {
        match s3::read(&tools.door, credentials, artifact).await {
            Err(problem) if problem.is_expired() => {}
            other => return other,
        }
    }
    let renewed = tools.codepipeline.credentials(&turn.job.id).await?;
    s3::read(&tools.door, &renewed, artifact).await
}

/// The release's images as our revision names them, for a turn that did not do the preflight itself.
pub(crate) async fn images_of(turn: &Turn<'_>, revision: &Revision) -> Result<Vec<Image>, AwsError> {
    let (releases, action) = (&turn.tools.releases, &turn.job.context.action_execution);
    if let Some(images) = releases.get(action) {
        return Ok(images);
    }
    let images = look_up(turn, revision).await?;
    releases.keep(action, &images);
    Ok(images)
}

async fn look_up(turn: &Turn<'_>, revision: &Revision) -> Result<Vec<Image>, AwsError> {
    let unusable = |problem: String| AwsError::unusable("reading the release again", problem);
    let definition = turn
        .tools
        .ecs
        .task_definition(&revision.to_string())
        .await?
        .ok_or_else(|| unusable(format!("task definition {revision} is gone")))?;
    let written = definition.images();
    let containers: Vec<String> = written.iter().map(|(container, _)| container.clone()).collect();
    let mut images = Vec::new();
    for asked in release(turn, &containers).await?.map_err(unusable)? {
        let Some((container, image)) = written.iter().find(|(container, _)| *container == asked.container) else {
            continue;
        };
        let reference = ImageReference::parse(image).map_err(|problem| unusable(format!("{image}: {problem}")))?;
        match turn.tools.registries.resolve(&reference).await {
            Ok(resolved) => images.push(Image::new(container, &reference, &resolved)),
            Err(ImageError::Problem(problem)) => return Err(unusable(format!("{image} {problem}"))),
            Err(ImageError::Aws(error)) => return Err(error),
        }
    }
    Ok(images)
}
