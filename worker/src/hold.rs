//! A canary that succeeded is held: on record until people have decided, and an action or the watch has taken it.

use coalmine_door::AwsError;
use coalmine_door::store::StoreError;
use tracing::{info, warn};

use crate::aws::ecs;
use crate::deploy::decision::{Role, elapsed};
use crate::deploy::happening::{Happening, State};
use crate::deploy::progress::Phase;
use crate::deploy::release;
use crate::late::is_taken_over;
use crate::ledger::canaries::{self, Canary};
use crate::ledger::releases;
use crate::record::{self, Brought};
use crate::report::Ending;
use crate::turn::{Pass, Turn, configuration};

/// How often it is noted again that a canary waits, where somebody else has noted something meanwhile.
const TRIES: usize = 5;

impl Turn<'_> {
    /// Before the success of a canary is told: it is on record that it waits for people. What cannot be noted is not
    /// told yet: nobody would return the canary of a release that is rejected.
    pub(crate) async fn hold(&self, ending: &Ending) -> Result<(), AwsError> {
        let Ending::Succeeded { summary, .. } = ending else { return Ok(()) };
        if self.action.role != Role::Canary || self.late {
            return Ok(());
        }
        let unnoted = |problem: String| AwsError::unusable("noting that the canary waits for people", problem);
        if !self.tools.held.holds(&self.job.id) {
            return Err(unnoted("the worker's record of its jobs is gone".to_owned()));
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
        let noted = self.note(&canary).await.map_err(|problem| unnoted(problem.to_string()))?;
        if !is_taken_over(self.tools, &self.job.id).await {
            return Ok(());
        }
        // Written by a worker that had been frozen, and perhaps after a turnover had taken the record that its peer wrote.
        if let Some(version) = noted {
            let key = canaries::key(&canary.cluster, &canary.service);
            match canaries::strike(self.tools.held.store(), &key, &version).await {
                Ok(()) | Err(StoreError::Changed { .. }) => {}
                Err(problem) => warn!(error = %problem, "a record that came too late could not be struck"),
            }
        }
        Err(unnoted("a peer has taken the job over".to_owned()))
    }

    /// The version of the record. `None`: another one stands there, and the job was taken over: a worker that had been frozen
    /// leaves what its peers have noted meanwhile.
    async fn note(&self, canary: &Canary) -> Result<Option<String>, StoreError> {
        let (store, key) = (self.tools.held.store(), canaries::key(&canary.cluster, &canary.service));
        for _ in 0..TRIES {
            let standing = store.get(&key).await?;
            // Asked after the read: a peer takes a job over before it notes anything.
            if standing.is_some() && is_taken_over(self.tools, &self.job.id).await {
                return Ok(None);
            }
            match canaries::note(store, canary, standing).await {
                Err(StoreError::Changed { .. }) => {}
                other => return other.map(Some),
            }
        }
        Err(StoreError::Changed { key })
    }

    /// While everything is checked: whether the watch is returning the canary. `Some`: it is waited for; a release that is to
    /// replace it anyway waits no longer than for any other deployment, and a turnover, whose canary it is, is refused then.
    pub(crate) async fn await_watch(&mut self, busy_since: Option<i64>, ready: bool) -> Option<Pass> {
        if self.action.role == Role::Canary && !ready {
            return None;
        }
        let now = self.tools.clock.now().timestamp();
        let since = busy_since.unwrap_or(now);
        let store = self.tools.held.store();
        let why = match canaries::read(store, &self.canary_key()).await {
            Err(problem) => return Some(self.without_its_record(&problem)),
            Ok(Some((_, Some(canary)))) if self.is_to_be_taken(&canary) => canary.restoring?.why,
            Ok(_) => return None,
        };
        if elapsed(since, now) < self.action.options.wait {
            return Some(self.wait_for_watch(&why, since));
        }
        let canary = &self.action.partner;
        let text = || format!("Nothing was deployed: the watch is still returning canary {canary}, because {why}.");
        (self.action.role == Role::Full).then(|| Pass::End(configuration(text())))
    }

    /// Right before an action first tells a service anything: from now on the canary is this action's, and nobody watches it
    /// any more. `Some`: it is not yet.
    pub(crate) async fn take_canary(&mut self) -> Option<Pass> {
        // A canary action has taken what was there before its own deployment; what came later is not its to take.
        let is_its_own = self.action.role == Role::Canary && self.progress.deployment.is_some();
        if self.right.is_watch() || self.late || self.has_canary || is_its_own {
            return None;
        }
        let store = self.tools.held.store();
        let key = self.canary_key();
        let (version, canary) = match canaries::read(store, &key).await {
            Err(problem) => return Some(self.without_its_record(&problem)),
            Ok(Some((version, Some(canary)))) if self.is_to_be_taken(&canary) => (version, canary),
            Ok(_) => {
                self.has_canary = true;
                return None;
            }
        };
        let now = self.tools.clock.now().timestamp();
        if let Some(restoring) = &canary.restoring {
            let long = elapsed(restoring.since, now) >= self.action.options.wait;
            if !(long && self.action.role == Role::Canary) {
                return Some(self.wait_for_watch(&restoring.why, now));
            }
        }
        match canaries::strike(store, &key, &version).await {
            Ok(()) => {
                (self.has_canary, self.struck) = (true, Some(Box::new(canary)));
                None
            }
            // The watch, or another action, was quicker.
            Err(StoreError::Changed { .. }) => Some(Pass::Again),
            Err(problem) => Some(self.without_its_record(&problem)),
        }
    }

    /// After a service was told something, for which a canary's record was struck: it is this action's now, also where it is
    /// not known whether ECS took that. What AWS refused has touched nothing: the canary waits as before. Where the call was
    /// not even made, the record is put back with the turn's end, unless it is made until then.
    pub(crate) async fn took_canary(&mut self, problem: Option<&AwsError>) {
        match problem {
            Some(problem) if !problem.is_passing() => return self.put_back().await,
            Some(problem) if problem.operation != ecs::UPDATE => return,
            _ => {}
        }
        if let Some(before) = self.struck.take().filter(|before| before.release != self.job.context.execution) {
            self.replaces(*before).await;
        }
    }

    /// A canary whose record was struck, and to which nothing was done, waits as before. Who was taken for dead meanwhile does
    /// not know what was done to it, and leaves it to whoever has the job.
    pub(crate) async fn put_back(&mut self) {
        let Some(canary) = self.struck.take() else { return };
        self.has_canary = false;
        let (store, tools) = (self.tools.held.store(), self.tools);
        if is_taken_over(tools, &self.job.id).await {
            return;
        }
        let put = match canaries::put_back(store, &canary).await {
            // Frozen while it was sent, it may have come too late.
            Ok(Some(version)) if is_taken_over(tools, &self.job.id).await => {
                canaries::strike(store, &canaries::key(&canary.cluster, &canary.service), &version).await
            }
            Ok(_) => Ok(()),
            Err(problem) => Err(problem),
        };
        match put {
            Ok(()) | Err(StoreError::Changed { .. }) => {}
            Err(problem) => {
                warn!(error = %problem, canary = canary.label(), "that the canary waits as before could not be noted: nobody watches it");
            }
        }
    }

    /// A turnover takes its own release's record alone: whatever else the canary runs waits for other people.
    fn is_to_be_taken(&self, canary: &Canary) -> bool {
        self.action.role == Role::Canary || canary.release == self.job.context.execution
    }

    fn canary_key(&self) -> String {
        let action = &self.action;
        let canary = match action.role {
            Role::Canary => &action.service,
            Role::Full => &action.partner,
        };
        canaries::key(&action.cluster, canary)
    }

    fn without_its_record(&self, problem: &StoreError) -> Pass {
        warn!(error = %problem, "the canary's record cannot be read or taken: the job is handed back");
        Pass::End(self.hand_back(format!("waiting for the ledger: {problem}")))
    }

    /// By the end of the canary's way back everything may be otherwise: where nothing was deployed, it is checked again.
    fn wait_for_watch(&mut self, why: &str, since: i64) -> Pass {
        if matches!(self.progress.phase, Phase::Check { .. } | Phase::Deploy) && self.progress.deployment.is_none() {
            (self.waited, self.gathered) = (false, None);
            (self.progress.former, self.progress.revision) = (None, None);
            self.progress.phase = Phase::Check { busy_since: Some(since) };
        }
        self.view.outdate(self.tools);
        Pass::Wait(format!(
            "the watch is returning canary {}: {why}",
            self.canary_key().trim_start_matches(canaries::PREFIX).trim_end_matches(".json")
        ))
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
            Ok::<(), StoreError>(())
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
