//! Writing down what a turn came to: history for people and for rollbacks. It never holds a deployment up: what cannot
//! be written is missing from the history, and the log says so.

use std::collections::BTreeMap;
use std::time::Duration;

use coalmine_door::store::StoreError;
use coalmine_pipeline::Mode;
use tracing::warn;

use crate::deploy::decision::Role;
use crate::deploy::happening::{Event, Happening, State};
use crate::deploy::release::{self, Image};
use crate::late::is_taken_over;
use crate::ledger::history::{self, Ran};
use crate::ledger::releases;
use crate::report::Ending;
use crate::tools::Tools;
use crate::turn::Turn;

/// How long one record may take.
const RECORD: Duration = Duration::from_secs(5);

impl Turn<'_> {
    /// The service is about to be told to run the release.
    pub(crate) async fn record_begin(&self) {
        let what = self.view.images.as_deref().map(release::describe).unwrap_or_default();
        self.record(State::Deploying, &what).await;
    }

    /// The action is about to end.
    pub(crate) async fn record_end(&self, ending: &Ending) {
        let role = self.action.role;
        let ends = match ending {
            // A plan is no release yet: nothing runs it.
            _ if self.late || self.action.options.mode == Mode::Plan => false,
            // What was refused before anything was touched is no part of any service's history.
            Ending::Failed { .. } => self.progress.has_acted(),
            Ending::Succeeded { .. } => true,
            _ => false,
        };
        // What becomes of the release is for whoever has the job to say.
        if !ends || is_taken_over(self.tools, &self.job.id).await {
            return;
        }
        match ending {
            Ending::Succeeded { summary, .. } => {
                self.record(if role == Role::Canary { State::Held } else { State::Deployed }, summary).await;
                within(self.tools, self.record_history()).await;
            }
            Ending::Failed { text, .. } => {
                self.record(State::Failed, text).await;
                // A worker that died when it had noted the success, and had not told it yet: a rollback must not go there.
                let (action, release) = (&self.action, &self.job.context.execution);
                let service = (action.cluster.as_str(), action.service.as_str());
                let struck = history::strike(self.tools.held.store(), service, self.progress.started, release);
                within(self.tools, struck).await;
            }
            _ => {}
        }
    }

    async fn record(&self, state: State, reason: &str) {
        let context = &self.job.context;
        let happening = Happening {
            at: self.tools.clock.now().timestamp(),
            service: format!("{}/{}", self.action.cluster, self.action.service),
            state,
            reason: reason.to_owned(),
            revision: self.progress.revision.clone(),
            deployment: self.progress.deployment.clone(),
            action: Some(context.action_execution.clone()),
            by: None,
        };
        let images = self.view.images.as_deref().unwrap_or_default();
        let brought = Brought::Images(images);
        happened(self.tools, (&context.execution, &context.pipeline), brought, happening).await;
    }

    async fn record_history(&self) -> Result<(), StoreError> {
        let (context, progress) = (&self.job.context, &self.progress);
        let Some(revision) = progress.revision.clone() else { return Ok(()) };
        let when = (progress.started, self.tools.clock.now().timestamp());
        let digests = release::digests(self.view.images.as_deref().unwrap_or_default());
        let mut ran = Ran::new(&context.execution, &context.pipeline, when, revision);
        ran.deployment.clone_from(&progress.deployment);
        ran.canary = (self.action.role == Role::Full).then(|| self.action.partner.clone());
        ran.digests = digests.into_iter().map(|(container, digest)| (container.into(), digest.to_string())).collect();
        history::note(self.tools.held.store(), (&self.action.cluster, &self.action.service), &ran).await
    }
}

/// Puts on record what happened to a release, and tells others where that was news; `false` where it is on record already.
pub(crate) async fn happened(tools: &Tools, release: (&str, &str), brought: Brought<'_>, happening: Happening) -> bool {
    let (images, digests) = match brought {
        Brought::Images(images) => {
            let digests = release::digests(images).into_iter();
            (images, digests.map(|(container, digest)| (container.to_owned(), digest.to_string())).collect())
        }
        Brought::Digests(digests) => (&[][..], digests.clone()),
    };
    let noted = within(tools, releases::note(tools.held.store(), release, images, &happening)).await;
    if noted == Some(true) {
        tools.teller.tell(Event::new(release, digests, happening));
    }
    noted != Some(false)
}

/// What a release brings, as far as it is known.
pub(crate) enum Brought<'a> {
    /// Its images.
    Images(&'a [Image]),
    /// Container → digest.
    Digests(&'a BTreeMap<String, String>),
}

/// Gives a record its time; a ledger that is in trouble gets none.
async fn within<T>(tools: &Tools, noting: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    if tools.held.is_in_trouble() {
        warn!("the ledger cannot be written: what became of the release is not on record");
        return None;
    }
    match tools.clock.limit(RECORD, noting).await {
        Some(Ok(noted)) => return Some(noted),
        Some(Err(problem)) => warn!(error = %problem, "what became of the release could not be put on record"),
        None => warn!("the ledger answers too slowly: what became of the release is not on record"),
    }
    None
}
