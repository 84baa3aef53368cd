//! A canary that succeeded is held: on record until people have decided, and an action or the watch has taken it.

use coalmine_door::AwsError;
use tracing::{info, warn};

use crate::deploy::decision::{Role, elapsed};
use crate::deploy::happening::{Happening, State};
use crate::deploy::progress::Phase;
use crate::deploy::release;
use crate::ledger::canaries::{self, Canary, Taken};
use crate::ledger::releases;
use crate::record::{self, Brought};
use crate::report::Ending;
use crate::turn::{Pass, Turn};

impl Turn<'_> {
    /// Before the success of a canary is told: it is on record that it waits for people. What cannot be noted is not
    /// told yet: nobody would return the canary of a release that is rejected.
    pub(crate) async fn hold(&self, ending: &Ending) -> Result<(), AwsError> {
        let Ending::Succeeded { summary, .. } = ending else { return Ok(()) };
        if self.action.role != Role::Canary || !self.tools.held.holds(&self.job.id) {
            return Ok(());
        }
        let (action, context) = (&self.action, &self.job.context);
        let digests = release::digests(self.view.images.as_deref().unwrap_or_default());
        let names = (action.cluster.as_str(), action.service.as_str(), action.partner.as_str());
        let canary = Canary {
            release: context.execution.clone(),
            pipeline: context.pipeline.clone(),
            stage: context.stage.clone(),
            action: context.action.clone(),
            action_execution: context.action_execution.clone(),
            alarms: action.alarms.clone(),
            digests: digests
                .into_iter()
                .map(|(container, digest)| (container.to_owned(), digest.to_string()))
                .collect(),
            summary: summary.clone(),
            ..Canary::new(names, &self.progress, self.tools.clock.now().timestamp())
        };
        let noted = canaries::note(self.tools.held.store(), &canary).await;
        noted.map_err(|problem| AwsError::unusable("noting that the canary waits for people", problem.to_string()))
    }

    /// Before an action touches a canary, or refuses to turn it over: from now on it is this action's. `Some`: the watch
    /// is returning it, and is waited for; a release that is to replace it anyway waits no longer than for any other
    /// deployment.
    pub(crate) async fn take_canary(&mut self, busy_since: Option<i64>, ready: bool) -> Option<Pass> {
        let action = &self.action;
        let service = match action.role {
            Role::Canary if !ready => return None,
            Role::Canary => &action.service,
            Role::Full => &action.partner,
        };
        let now = self.tools.clock.now().timestamp();
        let since = busy_since.unwrap_or(now);
        let anyhow = action.role == Role::Canary && elapsed(since, now) >= action.options.wait;
        let taken = canaries::take(self.tools.held.store(), (&action.cluster, service), anyhow).await;
        match taken {
            Err(problem) => {
                warn!(error = %problem, "the canary's record cannot be taken: the job is handed back");
                Some(Pass::End(self.hand_back(format!("waiting for the ledger: {problem}"))))
            }
            Ok(Taken::Yes(before)) => {
                if let Some(before) = before.filter(|before| before.release != self.job.context.execution) {
                    self.replaces(*before).await;
                }
                None
            }
            Ok(Taken::Restoring(why)) => {
                let reason = format!("the watch is returning canary {}/{service}: {why}", action.cluster);
                // By its end everything may be otherwise.
                (self.waited, self.gathered) = (false, None);
                self.view.outdate(self.tools);
                self.progress.phase = Phase::Check { busy_since: Some(since) };
                Some(Pass::Wait(reason))
            }
        }
    }

    /// A canary that failed waits for nobody: a record that an earlier turn wrote before the failure is struck.
    pub(crate) async fn let_go(&self, ending: &Ending) {
        if self.action.role != Role::Canary || !matches!(ending, Ending::Failed { .. }) || !self.progress.has_acted() {
            return;
        }
        let (store, key) = (self.tools.held.store(), canaries::key(&self.action.cluster, &self.action.service));
        let struck = async {
            if let Some((version, Some(canary))) = canaries::read(store, &key).await?
                && canary.action_execution == self.job.context.action_execution
            {
                canaries::strike(store, &key, &version).await?;
            }
            Ok::<(), coalmine_door::store::StoreError>(())
        };
        // The watch strikes what is left behind.
        if let Err(problem) = struck.await {
            warn!(error = %problem, "the record of a canary that failed could not be struck");
        }
    }

    /// Why the watch returned the canary of this release, where that is the last that happened to it. Full sees by itself
    /// that it is gone; this says why.
    pub(crate) async fn returned(&self) -> Option<String> {
        let read = releases::read(self.tools.held.store(), &self.job.context.execution).await;
        let record = match read {
            Ok(record) => record?,
            Err(problem) => {
                warn!(error = %problem, "what happened to the canary while it was held cannot be read");
                return None;
            }
        };
        let last = record.last_of(&format!("{}/{}", self.action.cluster, self.action.partner))?;
        matches!(last.state, State::Restoring | State::Restored).then(|| last.reason.clone())
    }

    /// Another release's canary waited for people, or was to go back: it is replaced.
    async fn replaces(&self, before: Canary) {
        let by = &self.job.context.execution;
        info!(release = before.release, "this release takes the place of another one in the canary");
        let happening = Happening {
            at: self.tools.clock.now().timestamp(),
            service: before.label(),
            state: State::Failed,
            reason: format!("release {by} took its place in the canary"),
            action: Some(before.action_execution.clone()),
            ..Happening::default()
        };
        let brought = Brought::Digests(&before.digests);
        record::happened(self.tools, (&before.release, &before.pipeline), brought, happening).await;
    }
}
