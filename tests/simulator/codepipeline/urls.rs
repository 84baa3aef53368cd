//! The links that an action shows, from the URL templates of its type.

use super::action_types::S3_SOURCE;
use super::state::ActionRun;
use crate::World;

/// `executionUrlTemplate`, once the worker has reported an external id where the template wants one.
pub(super) fn execution(world: &World, run: &ActionRun) -> Option<String> {
    let definition = world.codepipeline.action_type(&run.action_type)?;
    let template = definition.settings?.execution_url_template?;
    const EXTERNAL_ID: &str = "{ExternalExecutionId}";
    let template = match &run.external_execution_id {
        Some(id) => template.replace(EXTERNAL_ID, id),
        None if template.contains(EXTERNAL_ID) => return None,
        None => template,
    };
    Some(configured(&template, run))
}

/// `entityUrlTemplate`; for an S3 source the console's page of S3.
pub(super) fn entity(world: &World, run: &ActionRun) -> Option<String> {
    if run.action_type.to_string() == S3_SOURCE {
        return Some(format!("https://console.aws.amazon.com/s3/home?region={}#", world.region));
    }
    let definition = world.codepipeline.action_type(&run.action_type)?;
    definition.settings?.entity_url_template.map(|template| configured(&template, run))
}

/// `revisionUrlTemplate`, of an action that has a revision.
pub(super) fn revision(world: &World, run: &ActionRun) -> Option<String> {
    let revision = run.revision.as_ref()?;
    if run.action_type.to_string() == S3_SOURCE {
        return entity(world, run);
    }
    let definition = world.codepipeline.action_type(&run.action_type)?;
    let template = definition.settings?.revision_url_template?;
    Some(configured(&template.replace("{RevisionId}", &revision.revision), run))
}

/// `{Config:name}` replaced.
fn configured(template: &str, run: &ActionRun) -> String {
    run.resolved
        .iter()
        .fold(template.to_owned(), |url, (name, value)| url.replace(&format!("{{Config:{name}}}"), value))
}
