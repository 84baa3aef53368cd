//! One visit of one job: observe, decide, act, report.
//!
//! ```text
//!   job ─► configuration, token ─► ┌─ observe ─► decide ─► act ─┐ ─► report: success, failure,
//!                                  └──── until the decision ────┘            or hand back with a token
//!                                        is final, or --linger is over
//! ```

use std::sync::Arc;

use coalmine_pipeline::action_type::{FULL, ROLLBACK};
use coalmine_pipeline::limits::CUSTOM_ACTION_TIMEOUT;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::act;
use crate::aws::codepipeline::{FailureKind, Job};
use crate::aws::ecs;
use crate::aws::observer::INTERVAL;
use crate::deploy::action::Action;
use crate::deploy::decision::{Decision, Role, Step, Terms, Which, elapsed};
use crate::deploy::hold::LOOK;
use crate::deploy::progress::{Cause, CauseKind, Phase, Progress, Target};
use crate::deploy::{rollout, undo};
use crate::ledger::canaries::Canary;
use crate::observe::{Gathered, View};
use crate::report::{self, Ending};
use crate::right::{LEASE, Right};
use crate::rollback;
use crate::tools::Tools;
use coalmine_door::clock::Time;
use coalmine_door::{AwsError, Kind};

/// What one pass of observe, decide and act came to.
pub(crate) enum Pass {
    /// Something was done: look again.
    Again,
    /// Nothing to do until the world changes.
    Wait(String),
    /// The job is over.
    End(Ending),
}

/// One visit of one job.
pub(crate) struct Turn<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) job: &'a Job,
    pub(crate) action: Action,
    pub(crate) progress: Progress,
    pub(crate) view: View,
    /// What the preflight gathered, kept while it waits for something to pass.
    pub(crate) gathered: Option<Gathered>,
    pub(crate) waited: bool,
    pub(crate) wanted_at: Option<Time>,
    /// When the action began, in epoch seconds by AWS's clock, once that is known.
    pub(crate) since: Option<i64>,
    /// Whether this turn only corrects what it did too late; its job is over.
    pub(crate) late: bool,
    /// By what right it acts.
    pub(crate) right: Right,
    /// Whether the canary is this action's, and nobody watches it any more.
    pub(crate) has_canary: bool,
    /// The record that was struck for that, until something was done to the canary.
    pub(crate) struck: Option<Box<Canary>>,
    /// Since when a service is missing.
    pub(crate) missing_since: Option<Time>,
    /// Says when the worker is to stop.
    pub(crate) stopping: watch::Receiver<bool>,
    last: String,
}

/// Does one visit of a job that was acknowledged, and reports what it came to.
pub async fn take(tools: Arc<Tools>, job: Job, stopping: watch::Receiver<bool>) {
    let ending = if job.action_type.provider == ROLLBACK.provider {
        Box::pin(rollback::action::visit(&tools, &job, stopping)).await
    } else {
        match begin(&tools, &job, stopping) {
            Ok(mut turn) => {
                let ending = turn.visit().await;
                turn.record_end(&ending).await;
                turn.put_back().await;
                turn.let_go(&ending).await;
                ending
            }
            Err(ending) => ending,
        }
    };
    report::tell(&tools, &job, ending).await;
    tools.held.release(&job.id);
}

/// Fails a job whose turn panicked.
pub(crate) async fn panicked(tools: &Tools, job: &Job) {
    let text = "The worker met a bug of its own while it worked on this job; its log says more. What state the service is in, the ECS console shows; retrying the stage goes on from there.";
    report::tell(tools, job, Ending::Failed { kind: FailureKind::System, text: text.to_owned(), id: None }).await;
    tools.held.release(&job.id);
}

fn begin<'a>(tools: &'a Tools, job: &'a Job, stopping: watch::Receiver<bool>) -> Result<Turn<'a>, Ending> {
    let now = tools.clock.now().timestamp();
    let mut progress = match &job.token {
        None => Progress::begin(now),
        Some(token) => Progress::from_token(token)
            .map_err(|problem| configuration(format!("The job cannot be continued: {problem}.")))?,
    };
    let action = match Action::parse(job.action_type, &job.configuration) {
        Ok(Some(action)) => action,
        Ok(None) => return Err(configuration(format!("This worker does not know {}.", job.action_type.provider))),
        Err(problems) => {
            let text = format!("The action's configuration cannot be used:\n{problems}");
            let Some(action) = Action::services_alone(job.action_type, &job.configuration) else {
                return Err(configuration(match job.action_type.provider {
                    provider if provider == FULL.provider => {
                        format!("{text}\nThe canary was not given back, as it is not clear which service it is.")
                    }
                    _ => text,
                }));
            };
            // Nobody will turn this canary over any more: a retry of the stage begins with the canary.
            match &mut progress.cause {
                None => progress.undo(action.role, Cause { kind: CauseKind::Refused, text, witness: None }, now),
                // The token may have cut it.
                Some(cause) => cause.text = text,
            }
            action
        }
    };
    Ok(Turn::new(tools, job, (action, progress), Right::Job, stopping))
}

impl<'a> Turn<'a> {
    /// A visit that has not begun.
    pub(crate) fn new(
        tools: &'a Tools,
        job: &'a Job,
        (action, progress): (Action, Progress),
        right: Right,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let view = View::new(tools, &action, &progress);
        let (gathered, waited, wanted_at, late, last) = (None, false, None, false, String::new());
        let (since, has_canary, struck, missing_since) = (None, false, None, None);
        Self {
            tools,
            job,
            action,
            progress,
            view,
            gathered,
            waited,
            wanted_at,
            since,
            late,
            right,
            has_canary,
            struck,
            missing_since,
            stopping,
            last,
        }
    }
}

impl Turn<'_> {
    pub(crate) async fn visit(&mut self) -> Ending {
        let begin = self.tools.clock.now();
        loop {
            if self.is_stopping() {
                return self.hand_back("the worker is being stopped".to_owned());
            }
            let seen = tokio::select! {
                biased;
                _ = self.stopping.changed() => continue,
                seen = self.view.refresh() => seen,
            };
            let passed = match seen {
                Ok(()) => self.pass().await,
                Err(problem) => Err(problem),
            };
            if let Err(problem) = &passed
                && let Some(ending) = self.stays_refused(problem)
            {
                warn!(error = %problem, "the canary of a turnover that was refused cannot be given back");
                return ending;
            }
            let mut rests = false;
            let reason = match passed {
                Ok(Pass::Again) => continue,
                Ok(Pass::End(_)) if self.late => return Ending::NotWanted,
                Ok(Pass::End(ending)) => return ending,
                Ok(Pass::Wait(reason)) => reason,
                Err(problem) if problem.is_passing() => {
                    warn!(error = %problem, "a call failed; going on with the next observation");
                    format!("{}; waiting: {problem}", self.last)
                }
                Err(problem) => match self.refused(&problem) {
                    Some(ending) => return ending,
                    None => {
                        // Nothing ends a watch: what AWS refuses is asked again no sooner than it looks.
                        rests = self.right.is_watch();
                        format!("waiting: {problem}")
                    }
                },
            };
            self.tell(&reason);
            if let Some(ending) = self.blind(&reason) {
                return ending;
            }
            let lingered = (self.tools.clock.now() - begin).to_std().unwrap_or_default();
            if lingered >= self.tools.linger && !self.late && !self.right.is_watch() {
                return self.hand_back(reason);
            }
            // Longer than an observation takes to come, so that a hand-back follows one.
            let left = self.tools.linger.saturating_sub(lingered).max(INTERVAL * 2);
            tokio::select! {
                biased;
                _ = self.stopping.changed() => {}
                () = self.tools.clock.wait(LOOK), if rests => {}
                _ = self.tools.clock.limit(left, self.view.changed()), if !rests => {}
            }
        }
    }

    /// Whether the worker was told to stop, or is not there any more.
    pub(crate) fn is_stopping(&mut self) -> bool {
        self.stopping.has_changed().is_err() || *self.stopping.borrow_and_update()
    }

    /// Logs a reason once, when it is a new one.
    pub(crate) fn tell(&mut self, reason: &str) {
        if self.last != reason {
            info!(service = %self.action.service, "{reason}");
            reason.clone_into(&mut self.last);
        }
    }

    /// What AWS refused, or the worker may not: before anything was touched it ends the action; later the deadlines
    /// do, because leaving things half done is worse than waiting for a permission. What may have been told is undone,
    /// and a turnover gives its canary back, before the action ends.
    fn refused(&mut self, problem: &AwsError) -> Option<Ending> {
        let touched = self.progress.deployment.is_some() || self.progress.cause.is_some();
        if touched || self.right.is_watch() {
            return None;
        }
        let service = format!("{}/{}", self.action.cluster, self.action.service);
        let denied = problem.kind == Kind::Denied;
        let now = self.tools.clock.now().timestamp();
        if !matches!(self.progress.phase, Phase::Check { .. }) {
            // The service may have been told to run the release; only its deployment could not be looked for. Where the
            // telling itself was refused, it was not.
            let text = if problem.operation == ecs::UPDATE {
                format!("Nothing was deployed to {service}: {problem}.")
            } else {
                format!("The deployment to {service} could not be followed: {problem}.")
            };
            let kind = if denied { CauseKind::Barred } else { CauseKind::Unusable };
            self.progress.undo(self.action.role, Cause { kind, text, witness: None }, now);
            return None;
        }
        let text = format!("Nothing was deployed to {service}: {problem}.");
        if self.action.role == Role::Full {
            let kind = if denied { CauseKind::Denied } else { CauseKind::Refused };
            self.progress.undo(Role::Full, Cause { kind, text, witness: None }, now);
            return None;
        }
        let kind = if denied { FailureKind::Permission } else { FailureKind::Job };
        Some(Ending::Failed { kind, text, id: None })
    }

    /// How an action ends that AWS refused before it followed a deployment, and that cannot give its canary back either:
    /// the full service is as it was, so it does not wait for a permission, or for a service that is not there.
    fn stays_refused(&self, problem: &AwsError) -> Option<Ending> {
        let cause = self.progress.cause.as_ref().filter(|cause| cause.kind.is_refusal())?;
        let Phase::RestoreCanary { since, .. } = self.progress.phase else { return None };
        let long = elapsed(since, self.tools.clock.now().timestamp()) >= undo::UNDO_LIMIT;
        (long || !problem.is_passing() || self.view.lacks_a_service())
            .then(|| report::refusal(self.action.role, cause, problem))
    }

    /// The last of all deadlines: where nothing can be decided because nothing can be observed, the action ends and
    /// says so, instead of blocking its stage for a day.
    pub(crate) fn blind(&self, reason: &str) -> Option<Ending> {
        // The watch blocks nobody.
        if self.right.is_watch() {
            return None;
        }
        let age = elapsed(self.progress.started, self.tools.clock.now().timestamp());
        (age >= (self.action.deadline + undo::UNDO_LIMIT * 3).min(CUSTOM_ACTION_TIMEOUT - undo::UNDO_LIMIT)).then(|| Ending::Failed {
            kind: FailureKind::System,
            text: format!(
                "The deployment to {}/{} was given up: its state cannot be told. The last that is known: {reason}. Look at the service in the ECS console.",
                self.action.cluster, self.action.service
            ),
            id: self.progress.deployment.clone(),
        })
    }

    pub(crate) fn hand_back(&self, reason: String) -> Ending {
        Ending::HandedBack {
            token: self.progress.to_token(),
            percent: self.percent(),
            summary: reason,
            id: self.progress.deployment.clone(),
        }
    }

    async fn pass(&mut self) -> Result<Pass, AwsError> {
        if let Some(ending) = self.obstacle().await? {
            return Ok(Pass::End(ending));
        }
        match self.progress.phase.clone() {
            Phase::Check { busy_since } => self.check(busy_since).await,
            phase => {
                let decision = self.decide(&phase)?;
                self.carry_out(decision).await
            }
        }
    }

    fn decide(&self, phase: &Phase) -> Result<Decision, AwsError> {
        let now = self.tools.clock.now().timestamp();
        let former_desired = self.progress.former.as_ref().map_or(0, |former| former.desired);
        let sight = self.view.sight()?;
        // The watch blocks nobody.
        let patient = self.right.is_watch();
        let terms = Terms { patient, ..self.action.terms(former_desired, sight.partner) };
        let progress = &self.progress;
        Ok(match phase {
            Phase::Check { .. } | Phase::Deploy => rollout::deploy(&terms, progress, &sight, now),
            Phase::Bake { since } => rollout::bake(&terms, progress, &sight, *since, now),
            Phase::UndoFull { since, stopped } => undo::full(&terms, progress, &sight, (*since, *stopped), now),
            Phase::LeaveCanary => undo::leave(&terms, progress, &sight),
            Phase::RestoreCanary { since, target, told, own } => {
                // Whose canary it is by now, the action's end or its retry has settled.
                let target = if self.late && self.action.role == Role::Full { &Target::Left } else { target };
                undo::canary(&terms, progress, &sight, (*since, target, *told, *own), now)
            }
        })
    }

    async fn carry_out(&mut self, Decision { step, reason }: Decision) -> Result<Pass, AwsError> {
        let mutates = matches!(step, Step::Update(_) | Step::RollBack | Step::PlanRestore);
        if mutates && let Some(ending) = self.hindrance().await? {
            return Ok(Pass::End(ending));
        }
        if mutates && let Some(pass) = self.take_canary().await {
            return Ok(pass);
        }
        if step != Step::Wait {
            self.tell(&reason);
        }
        match step {
            Step::Wait => {
                self.view.forget_search();
                Ok(Pass::Wait(reason))
            }
            Step::Succeed => {
                let ending = report::success(self, &reason).await?;
                self.hold(&ending).await?;
                Ok(Pass::End(ending))
            }
            Step::Fail => {
                let present = self.view.service().map(|service| service.percents).ok();
                if self.progress.former.as_ref().map(|former| former.percents) == present {
                    act::strike_percents(self).await;
                }
                if self.right.is_watch() {
                    return Ok(Pass::End(Ending::Returned { done: reason }));
                }
                Ok(Pass::End(report::failure(self, &reason).await))
            }
            Step::Undo(cause) => {
                self.progress.undo(self.action.role, cause, self.tools.clock.now().timestamp());
                Ok(Pass::Again)
            }
            other => {
                let alone = match &other {
                    Step::Update(update) => update.percents_alone().map(|percents| (update.which, percents)),
                    _ => None,
                };
                // A plan changes nothing that would have to be seen first; the watch is to be quick.
                let plans = other == Step::PlanRestore && self.right.is_watch();
                let tells = other != Step::PlanRestore;
                let acted = act::act(self, other).await;
                if mutates {
                    if tells {
                        self.took_canary(acted.as_ref().err()).await;
                    }
                    match (alone, &acted) {
                        // Percents alone start nothing that would have to be seen before going on.
                        (Some((which, percents)), Ok(())) => self.view.took(self.tools, which, percents),
                        _ if plans && acted.is_ok() => {}
                        // What was done shows in the next observation; where the reply was lost, that tells, too.
                        _ => self.view.outdate(self.tools),
                    }
                    // What was not even sent cannot have come too late.
                    let is_sent = acted.as_ref().err().is_none_or(|problem| problem.operation != LEASE);
                    if is_sent
                        && let Some(pass) = self.too_late(alone.is_some_and(|(which, _)| which == Which::Own)).await
                    {
                        return Ok(pass);
                    }
                }
                acted.map(|()| Pass::Again)
            }
        }
    }

    /// How far the action is, for CodePipeline's progress bar.
    pub(crate) fn percent(&self) -> u8 {
        let Ok(sight) = self.view.sight() else { return 0 };
        match &self.progress.phase {
            Phase::Check { .. } => 0,
            Phase::Deploy => {
                let new = self
                    .progress
                    .revision
                    .as_ref()
                    .and_then(|ours| sight.service.rollout_of(ours))
                    .map_or(0, |rollout| rollout.running);
                let share = 80 * u64::from(new) / u64::from(sight.service.desired.max(1));
                5 + u8::try_from(share.min(80)).unwrap_or(80)
            }
            Phase::Bake { since } => {
                let watched = (self.tools.clock.now().timestamp() - since).max(0);
                let bake = i64::try_from(self.action.bake.as_secs()).unwrap_or(i64::MAX).max(1);
                85 + u8::try_from((14 * watched / bake).min(14)).unwrap_or(14)
            }
            Phase::UndoFull { .. } | Phase::LeaveCanary | Phase::RestoreCanary { .. } => 95,
        }
    }
}

pub(crate) fn configuration(text: String) -> Ending {
    Ending::Failed { kind: FailureKind::Configuration, text, id: None }
}
