//! The watch over the canaries that wait for people. Nobody holds a job while people think: one worker at a time looks
//! at each held canary, and returns it when nobody will turn its release over any more, or when it is not well.
//!
//! ```text
//!   held/… ─► whose fate is due ─► ListActionExecutions ─► deploy/hold.rs: hold, let go, restore
//!             services, alarms  ─► the shared observer  ─┘                               │
//!                                                         record: restoring ─► a turn in the phase RestoreCanary
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coalmine_door::AwsError;
use coalmine_door::clock::Time;
use coalmine_door::store::StoreError;
use coalmine_pipeline::action_type::CANARY;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{Instrument, error, info, info_span, warn};

use crate::aws::codepipeline::{Context, Job};
use crate::aws::observer::{AlarmWatch, ServiceWatch};
use crate::deploy::action::Action;
use crate::deploy::happening::{Happening, State};
use crate::deploy::hold::{self, Fate, Health, LOOK, Why};
use crate::deploy::progress::{Phase, Progress, Target};
use crate::deploy::revision::Revision;
use crate::deploy::view::Alarm;
use crate::health::pulse::PartPulse;
use crate::ledger::canaries::{self, Canary, GLIMPSES_MOST, Glimpse};
use crate::ledger::lease::Lease;
use crate::observe::deployment_arn;
use crate::record::{self, Brought};
use crate::report::Ending;
use crate::right::{GONE, Right, Watching};
use crate::tools::Tools;
use crate::turn::Turn;

/// One worker's part in the watch.
struct Watch {
    tools: Arc<Tools>,
    lease: Arc<Lease>,
    pulse: PartPulse,
    stopping: watch::Receiver<bool>,
    /// By key.
    held: BTreeMap<String, Held>,
    /// The canaries on their way back; each gives its key.
    returning: JoinSet<String>,
    /// Why an execution could not be looked at, in the last round.
    blind: Option<String>,
}

/// A held canary as this worker knows it.
struct Held {
    version: String,
    /// `None`: the record cannot be understood, and is left alone.
    canary: Option<Canary>,
    eye: Option<Eye>,
    /// When its execution was asked for last.
    asked: Option<Time>,
    /// Where people were asked then.
    asks: Option<Vec<String>>,
    /// Since when its service is missing.
    missing: Option<Time>,
    returning: bool,
}

/// An eye on a held canary's service and its alarms.
struct Eye {
    progress: Progress,
    service: ServiceWatch,
    alarms: AlarmWatch,
    ignored: BTreeSet<String>,
}

/// Watches until the worker is told to stop.
pub(crate) async fn run(tools: Arc<Tools>, lease: Arc<Lease>, pulse: PartPulse, stopping: watch::Receiver<bool>) {
    let (held, returning) = (BTreeMap::new(), JoinSet::new());
    let mut watch = Watch { tools, lease, pulse, stopping, held, returning, blind: None };
    while !*watch.stopping.borrow_and_update() {
        let begin = watch.tools.clock.now();
        let looked = watch.look().await;
        if let Err(problem) = &looked {
            warn!(error = %problem, "the ledger cannot be read: held canaries are not watched");
        }
        let blind = watch.blind.take();
        watch.pulse.went_round(looked.err().map(|problem| problem.brief()).or(blind));
        let took = (watch.tools.clock.now() - begin).to_std().unwrap_or_default();
        let pause = LOOK.saturating_sub(took);
        tokio::select! {
            biased;
            _ = watch.stopping.changed() => {}
            () = watch.tools.clock.wait(pause) => {}
        }
    }
    // Each of them ends by itself, where it stands: the next worker goes on.
    while watch.returning.join_next().await.is_some() {}
    if let Err(problem) = watch.lease.give_up().await {
        warn!(error = %problem, "the watch could not be given up: another worker takes it over in a minute");
    }
}

impl Watch {
    async fn look(&mut self) -> Result<(), StoreError> {
        while let Some(ended) = self.returning.try_join_next() {
            // What became of it, its record says; where it is still there, it is looked at anew.
            if let Ok(key) = ended {
                self.held.remove(&key);
            }
        }
        let store = self.tools.held.store();
        let keys = canaries::keys(store).await?;
        if keys.is_empty() {
            self.held.clear();
            return self.lease.give_up().await;
        }
        self.lease.tell(self.glimpses());
        if !self.lease.keep().await? {
            self.rest();
            return Ok(());
        }
        self.held.retain(|key, held| held.returning || keys.contains(key));
        for key in keys {
            // While the ledger does not answer, each of these takes its time.
            self.pulse.beat();
            // One that nobody understood may have been replaced meanwhile.
            let known = self.held.get(&key).map(|held| held.canary.is_some());
            if known != Some(true)
                && let Some((version, canary)) = canaries::read(store, &key).await?
            {
                if canary.is_none() && known.is_none() {
                    warn!(record = key, "the record of a held canary cannot be understood: it is not watched");
                }
                let held =
                    Held { version, canary, eye: None, asked: None, asks: None, missing: None, returning: false };
                self.held.insert(key, held);
            }
        }
        self.open_eyes();
        self.go_on().await;
        self.ask().await;
        self.examine().await;
        Ok(())
    }

    /// What is known of those that wait, for whoever asks for all of them. The records of those that go back change with
    /// each of their steps.
    fn glimpses(&self) -> Vec<Glimpse> {
        let waiting = self.held.iter().filter(|(_, held)| !held.returning);
        let known = waiting.filter_map(|(key, held)| {
            let known = Glimpse::of(key, &held.version, held.canary.as_ref()?);
            Some(Glimpse { asks: held.asks.clone(), ..known })
        });
        known.take(GLIMPSES_MOST).collect()
    }

    /// Another worker watches: this one forgets what it knew, and stops what it was doing.
    fn rest(&mut self) {
        self.returning.abort_all();
        self.held.clear();
    }

    /// Looks at the services and alarms of all that wait.
    fn open_eyes(&mut self) {
        let watched = self.held.values_mut().filter(|held| !held.returning && held.eye.is_none());
        for held in watched {
            let Some(canary) = &held.canary else { continue };
            let Some(progress) = canary.progress() else { continue };
            let former = progress.former.as_ref();
            let is_red = |place: usize| former.is_some_and(|former| former.red.has(place));
            let ignored = canary.alarms.iter().enumerate().filter(|(place, _)| is_red(*place));
            held.eye = Some(Eye {
                ignored: ignored.map(|(_, name)| name.clone()).collect(),
                service: self.tools.observer.service_calmly(&canary.cluster, &canary.service),
                alarms: self.tools.observer.alarms(&canary.alarms, false),
                progress,
            });
        }
        self.tools.observer.set_calm_pace(self.pace().0);
    }

    fn pace(&self) -> (std::time::Duration, usize) {
        let canaries = self.held.values().filter_map(|held| held.canary.as_ref());
        let alarms: BTreeSet<&String> = canaries.flat_map(|canary| &canary.alarms).collect();
        hold::pace(self.held.len(), alarms.len())
    }

    /// What a worker that watched before has begun, this one ends.
    async fn go_on(&mut self) {
        let begun = self.held.iter().filter(|(_, held)| !held.returning);
        let begun = begun.filter(|(_, held)| held.canary.as_ref().is_some_and(|canary| canary.restoring.is_some()));
        let keys: Vec<String> = begun.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.begin_return(&key);
        }
    }

    /// Asks for the executions that were not asked for the longest, as many as the budget allows. One answer serves all
    /// canaries of an execution.
    async fn ask(&mut self) {
        let mut due: BTreeMap<(String, String), (Option<Time>, Vec<String>)> = BTreeMap::new();
        for (key, held) in self.held.iter().filter(|(_, held)| !held.returning) {
            let Some(canary) = &held.canary else { continue };
            let (asked, keys) = due.entry((canary.pipeline.clone(), canary.release.clone())).or_default();
            *asked = held.asked;
            keys.push(key.clone());
        }
        let mut due: Vec<_> = due.into_values().collect();
        due.sort();
        for (_, keys) in due.into_iter().take(self.pace().1) {
            self.pulse.beat();
            let canaries: Vec<Canary> = keys.iter().filter_map(|key| self.held.get(key)?.canary.clone()).collect();
            let Some(first) = canaries.first() else { continue };
            match fates(&self.tools, &context(first), &canaries).await {
                Ok((fates, asks)) => {
                    for key in &keys {
                        if let Some(held) = self.held.get_mut(key) {
                            held.asks = Some(asks.clone());
                        }
                    }
                    for (key, fate) in keys.iter().zip(fates) {
                        self.follow(key, fate).await;
                    }
                }
                Err(problem) => {
                    warn!(error = %problem, pipeline = first.pipeline, "a held canary's execution cannot be looked at");
                    self.blind = Some(problem.brief());
                }
            }
            let now = self.tools.clock.now();
            for key in &keys {
                if let Some(held) = self.held.get_mut(key) {
                    held.asked = Some(now);
                }
            }
        }
    }

    /// Judges what the observer saw last of each.
    async fn examine(&mut self) {
        let keys: Vec<String> = self.held.keys().cloned().collect();
        for key in keys {
            self.pulse.beat();
            if let Some(fate) = self.held.get(&key).and_then(sick) {
                self.follow(&key, fate).await;
            }
        }
    }

    async fn follow(&mut self, key: &str, fate: Fate) {
        let Some(held) = self.held.get(key).filter(|held| !held.returning) else { return };
        let Some(canary) = held.canary.clone() else { return };
        let version = held.version.clone();
        match fate {
            Fate::Hold(_) | Fate::Ask => {}
            Fate::LetGo(why) => {
                info!(canary = canary.label(), release = canary.release, "a canary waits no longer: {why}");
                match canaries::strike(self.tools.held.store(), key, &version).await {
                    Ok(()) | Err(StoreError::Changed { .. }) => {
                        self.held.remove(key);
                    }
                    Err(problem) => warn!(error = %problem, "a canary's record could not be struck yet"),
                }
            }
            Fate::Restore(why) => self.take_back(key, (canary, version), why).await,
        }
    }

    /// Notes that a canary goes back, and why, before anything is done. Who takes it meanwhile, has it.
    async fn take_back(&mut self, key: &str, (canary, version): (Canary, String), why: Why) {
        let Some(seen) = self.held.get(key).and_then(|held| held.eye.as_ref()).map(|eye| eye.service.latest()) else {
            return;
        };
        // What it is like is to be known first; where it is gone, there is nothing to return.
        let service = match (seen.service, seen.at, seen.problem) {
            (Some(service), _, _) => service,
            (None, Some(_), None) => return self.miss(key).await,
            _ => return,
        };
        let now = self.tools.clock.now().timestamp();
        let Some(progress) = canary.progress().map(|held| hold::way_back(&held, &service, now)) else { return };
        let canary = canary.restored_because(why, &progress, now);
        match canaries::rewrite(self.tools.held.store(), &canary, &version).await {
            Ok(version) => {
                if let Some(held) = self.held.get_mut(key) {
                    (held.version, held.canary) = (version, Some(canary));
                }
                self.begin_return(key);
            }
            Err(StoreError::Changed { .. }) => {
                self.held.remove(key);
            }
            Err(problem) => warn!(error = %problem, "that a canary goes back could not be noted yet"),
        }
    }

    /// The service of a canary that is to go back is not there: after a minute of that there is nothing to return.
    async fn miss(&mut self, key: &str) {
        let Some(held) = self.held.get_mut(key) else { return };
        let now = self.tools.clock.now();
        let since = *held.missing.get_or_insert(now);
        if (now - since).to_std().unwrap_or_default() >= GONE {
            Box::pin(self.follow(key, Fate::LetGo("its service is not there any more"))).await;
        }
    }

    /// A canary goes back from here on, beside the watch.
    fn begin_return(&mut self, key: &str) {
        let Some(held) = self.held.get_mut(key) else { return };
        let Some(canary) = held.canary.clone() else { return };
        (held.returning, held.eye) = (true, None);
        let watching = Watching { lease: Arc::clone(&self.lease), canary, version: held.version.clone() };
        let span = info_span!(
            "canary",
            canary = watching.canary.label(),
            pipeline = watching.canary.pipeline,
            execution = watching.canary.release
        );
        let (tools, stopping, key) = (Arc::clone(&self.tools), self.stopping.clone(), key.to_owned());
        self.returning.spawn(
            async move {
                // In a set of its own, so that it ends with this one, and a panic leaves the key: it is tried again.
                let mut turn = JoinSet::new();
                turn.spawn(async move { give_back(&tools, watching, stopping).await }.in_current_span());
                if let Some(Err(problem)) = turn.join_next().await {
                    error!(error = %problem, "a bug of the worker's own: the canary's way back is begun again");
                }
                key
            }
            .instrument(span),
        );
    }
}

/// Returns one canary, in a turn like that of an action that undoes what it did.
async fn give_back(tools: &Tools, watching: Watching, stopping: watch::Receiver<bool>) {
    let canary = watching.canary.clone();
    let action = Action::returning(&canary.cluster, &canary.service, &canary.full);
    let (Some(action), Some(progress)) = (action, canary.progress()) else { return };
    note(tools, &canary, (State::Restoring, ""), None).await;
    let job = Job {
        id: String::new(),
        nonce: String::new(),
        action_type: &CANARY,
        context: context(&canary),
        configuration: BTreeMap::new(),
        artifacts: Vec::new(),
        credentials: None,
        token: None,
    };
    let mut turn = Turn::new(tools, &job, (action, progress), Right::Watch(Box::new(watching)), stopping);
    let ending = turn.visit().await;
    let target = match &turn.progress.phase {
        Phase::RestoreCanary { target: Target::Revision(revision), .. } => Some(revision.clone()),
        _ => None,
    };
    let Right::Watch(watching) = turn.right else { return };
    let Watching { canary, version, .. } = *watching;
    let store = tools.held.store();
    let ended = match ending {
        Ending::Returned { done } => {
            note(tools, &canary, (State::Restored, &done), target).await;
            canaries::strike(store, &canaries::key(&canary.cluster, &canary.service), &version).await
        }
        Ending::CalledOff { why } => {
            info!("the canary need not go back after all: {why}");
            let done = format!("but then it was not returned: {why}");
            note(tools, &canary, (State::Held, &done), None).await;
            canaries::rewrite(store, &Canary { restoring: None, ..canary }, &version).await.map(|_| ())
        }
        Ending::Left { why } => {
            note(tools, &canary, (State::Failed, &why), None).await;
            canaries::strike(store, &canaries::key(&canary.cluster, &canary.service), &version).await
        }
        // The next look, or the next worker, goes on.
        _ => Ok(()),
    };
    match ended {
        Ok(()) | Err(StoreError::Changed { .. }) => {}
        Err(problem) => warn!(error = %problem, "what became of a held canary could not be noted yet"),
    }
}

/// Notes what happens to a canary that goes back, and why. A way back that takes long, because ECS takes it back again and
/// again, is begun anew by many turns: people are told once.
async fn note(tools: &Tools, canary: &Canary, (state, done): (State, &str), revision: Option<Revision>) {
    let Some(restoring) = &canary.restoring else { return };
    let reason = if done.is_empty() { restoring.why.clone() } else { format!("{}; {done}", restoring.why) };
    let happening = Happening {
        at: tools.clock.now().timestamp(),
        service: canary.label(),
        state,
        reason: reason.clone(),
        revision,
        deployment: None,
        action: Some(canary.action_execution.clone()),
        by: restoring.by.clone(),
    };
    let brought = Brought::Digests(&canary.digests);
    if record::happened(tools, (&canary.release, &canary.pipeline), brought, happening).await {
        info!("{reason}");
    }
}

/// The fate of one held canary, by what people and the pipeline did to its release.
///
/// # Errors
/// When a call fails.
pub(crate) async fn fate(tools: &Tools, canary: &Canary) -> Result<Fate, AwsError> {
    let (fates, _) = fates(tools, &context(canary), std::slice::from_ref(canary)).await?;
    Ok(fates.into_iter().next().unwrap_or(Fate::Ask))
}

/// The fates of the canaries of one execution, and where people are asked about it.
async fn fates(tools: &Tools, context: &Context, canaries: &[Canary]) -> Result<(Vec<Fate>, Vec<String>), AwsError> {
    let Some(actions) = tools.codepipeline.history(context).await? else {
        return Ok((canaries.iter().map(|_| hold::fate_by(None)).collect(), Vec::new()));
    };
    let mut fates: Vec<Fate> = canaries
        .iter()
        .map(|canary| hold::fate((&canary.cluster, &canary.service), &canary.action_execution, &actions))
        .collect();
    if fates.iter().any(|fate| hold::is_unsure(fate, &actions)) {
        let status = tools.codepipeline.status(context).await?;
        let sure = |fate: Fate| match hold::is_unsure(&fate, &actions) {
            true => hold::made_sure(fate, status.as_deref()),
            false => fate,
        };
        fates = fates.into_iter().map(sure).collect();
    }
    Ok((fates, hold::asks(&actions)))
}

fn context(canary: &Canary) -> Context {
    Context {
        pipeline: canary.pipeline.clone(),
        pipeline_arn: String::new(),
        execution: canary.release.clone(),
        stage: canary.stage.clone(),
        action: canary.action.clone(),
        action_execution: canary.action_execution.clone(),
    }
}

/// What the last view of a canary's service says of its fate.
fn sick(held: &Held) -> Option<Fate> {
    let eye = held.eye.as_ref()?;
    let seen = eye.service.latest();
    let service = seen.service.as_ref().filter(|_| seen.problem.is_none())?;
    let arn = deployment_arn(&service.arn, eye.progress.deployment.as_deref()?);
    eye.service.follow(&arn);
    // Alarms that cannot be read say nothing; what the tasks do counts all the same.
    let alarms = eye.alarms.seen().unwrap_or_default();
    let alarms: Vec<&Alarm> = alarms.iter().filter(|alarm| !eye.ignored.contains(&alarm.name)).collect();
    let health = Health { service, deployment: seen.deployments.get(&arn), stopped: &seen.stopped, alarms: &alarms };
    hold::sick(&eye.progress, &health)
}
