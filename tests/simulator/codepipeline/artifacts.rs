//! Artifacts: where they lie, how a source gets there, and the credentials with which a worker reads them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::{
    ActionDeclaration, ActionExecutionStatus, ArtifactStore, AwsSessionCredentials, CurrentRevision, SourceRevisionType,
};

use super::date;
use super::errors::built;
use super::state::{ActionError, ArtifactCopy, Credentials, Execution, Place, State};
use super::{Event, actions};
use crate::{Answer, World};

/// How long a job's artifact credentials are valid.
const CREDENTIALS_LIFE: Duration = Duration::from_secs(15 * 60);

/// The bounds of the time that a source action takes.
const FETCH: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));

impl State {
    /// Whether an access key is one of a job's artifact credentials: `None` where it is none, else whether it is
    /// still valid at `now` (15 minutes from issue).
    #[must_use]
    pub fn artifact_credentials(&self, access_key: &str, now: SystemTime) -> Option<bool> {
        self.credentials.get(access_key).map(|credentials| now < credentials.expires)
    }

    /// Whether a job's artifact credentials reach a bucket: the artifact store of the job's pipeline.
    #[must_use]
    pub fn artifact_credentials_reach(&self, access_key: &str, bucket: &str) -> bool {
        self.credentials.get(access_key).is_some_and(|credentials| credentials.bucket == bucket)
    }
}

impl Execution {
    /// The store of an execution's artifacts.
    pub(super) fn store(&self, region: &str) -> Option<&ArtifactStore> {
        let stores = self.declaration.artifact_stores.as_ref();
        self.declaration.artifact_store.as_ref().or_else(|| stores?.get(region))
    }
}

/// Where the outputs of an action will lie: pipeline and artifact names shortened as AWS does, and seven letters.
pub(super) fn outputs(
    world: &mut World,
    pipeline: &str,
    execution: &str,
    action: &ActionDeclaration,
) -> Vec<ArtifactCopy> {
    let region = world.region.clone();
    let store = world.codepipeline.execution_mut(pipeline, execution).and_then(|known| known.store(&region));
    let bucket = store.map(|store| store.location.clone()).unwrap_or_default();
    let short = |name: &str, length: usize| name.chars().take(length).collect::<String>();
    let mut copies = Vec::new();
    for artifact in action.output_artifacts() {
        let letters: String = std::iter::repeat_with(|| world.rng.alphanumeric()).take(7).collect();
        let key = format!("{}/{}/{letters}", short(pipeline, 20), short(&artifact.name, 10));
        copies.push(ArtifactCopy { name: artifact.name.clone(), bucket: bucket.clone(), key, revision: None });
    }
    copies
}

/// An S3 source action starts.
pub(super) fn fetch_later(world: &mut World, place: &Place) {
    let after = world.between(FETCH.0, FETCH.1);
    world.schedule(after, Event::world(Event::SourceFetched(place.clone())));
}

/// An S3 source action ends: the object, as it is, is the artifact. (AWS wants a zip for most actions that follow,
/// but copies whatever it finds.)
pub(super) fn fetched(world: &mut World, place: &Place) {
    if world.codepipeline.action_mut(place).is_none_or(|run| run.status != ActionExecutionStatus::InProgress) {
        return;
    }
    match fetch(world, place) {
        Ok(variables) => actions::succeed(world, place, variables),
        Err(message) => actions::fail(world, place, ActionError::new("ConfigurationError", message)),
    }
}

fn fetch(world: &mut World, place: &Place) -> Result<BTreeMap<String, String>, String> {
    let now = world.now;
    let gone = || "The pipeline was deleted".to_owned();
    let execution = world.codepipeline.execution_mut(&place.pipeline, &place.execution).ok_or_else(gone)?;
    let run = execution.action(&place.action).ok_or_else(gone)?;
    let copy = run.output_artifacts.first().cloned().ok_or("The action has no output artifact")?;
    let configured = |name: &str| run.resolved.get(name).cloned().unwrap_or_default();
    let overridden = |kind: SourceRevisionType| {
        let mut overrides = execution.overrides.iter();
        let found = overrides.find(|found| found.action_name == run.name && found.revision_type == kind);
        found.map(|found| found.revision_value.clone())
    };
    let bucket = configured("S3Bucket");
    let key = overridden(SourceRevisionType::S3ObjectKey).unwrap_or_else(|| configured("S3ObjectKey"));
    let version = overridden(SourceRevisionType::S3ObjectVersionId);

    let source = world.s3.bucket(&bucket).ok_or_else(|| format!("The bucket {bucket} does not exist"))?;
    if !source.versioned {
        return Err(format!("The bucket {bucket} is not versioned. Turn on versioning for the source bucket"));
    }
    let object = match &version {
        None => world.s3.get(&bucket, &key),
        Some(version) => world.s3.get_version(&bucket, &key, version),
    };
    let object = object.cloned().ok_or_else(|| format!("The object with key '{key}' does not exist in {bucket}"))?;
    if world.s3.bucket(&copy.bucket).is_none() {
        return Err(format!("The artifact store {} does not exist", copy.bucket));
    }
    world.s3.put(&copy.bucket, &copy.key, object.body.clone(), now);

    let revision = CurrentRevision::builder()
        .revision(&object.version)
        .change_identifier(&object.version)
        .created(date(object.modified))
        .revision_summary(format!("Amazon S3 version id: {}", object.version));
    let revision = built(revision.build()).map_err(|problem| problem.message)?;
    if let Some(run) = world.codepipeline.action_mut(place) {
        run.revision = Some(revision);
        for copy in &mut run.output_artifacts {
            copy.revision = Some(object.version.clone());
        }
    }
    if let Some(pipeline) = world.codepipeline.pipelines.get_mut(&place.pipeline) {
        pipeline.seen.insert((bucket.clone(), key.clone()), object.version.clone());
    }
    let etag = object.etag.trim_matches('"').to_owned();
    let variables = [("BucketName", bucket), ("ObjectKey", key), ("ETag", etag), ("VersionId", object.version)];
    Ok(variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// New credentials for one hand-out of a job.
pub(super) fn credentials(world: &mut World, bucket: &str) -> Answer<AwsSessionCredentials> {
    let mut letters = |count: usize| -> String {
        std::iter::repeat_with(|| world.rng.alphanumeric()).take(count).collect::<String>()
    };
    let access_key = format!("ASIA{}", letters(16).to_uppercase());
    let (secret, token) = (letters(40), letters(256));
    let expires = world.now + CREDENTIALS_LIFE;
    world.codepipeline.credentials.insert(access_key.clone(), Credentials { expires, bucket: bucket.to_owned() });
    let credentials = AwsSessionCredentials::builder();
    built(credentials.access_key_id(access_key).secret_access_key(secret).session_token(token).build())
}
