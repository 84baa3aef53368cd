//! A call that was frozen with its process may be carried out after a peer has taken the job over: what becomes of it.

use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::aws::codepipeline::{Job, Received};
use crate::aws::executions::ActionState;
use crate::deploy::progress::{Cause, CauseKind, Phase};
use crate::deploy::undo::STALE_READ;
use crate::report::Ending;
use crate::tools::Tools;
use crate::turn::{Pass, Turn};
use coalmine_door::AwsError;
use coalmine_door::clock::Time;

/// How often a worker whose call came too late looks whether the action has ended.
const LOOK: Duration = Duration::from_secs(10);

/// A job that was taken over while a call of its turn was under way.
pub(crate) struct Lost<'a> {
    pub(crate) tools: &'a Tools,
    pub(crate) job: &'a Job,
    /// What its turn knows by now.
    pub(crate) token: String,
    pub(crate) percent: u8,
    pub(crate) id: Option<&'a str>,
}

/// Whether a job was taken over before an act of its turn was carried out.
pub(crate) async fn is_taken_over(tools: &Tools, job: &str) -> bool {
    let held = &tools.held;
    if held.may_act() && held.holds(job) {
        return false;
    }
    // This shows whether a peer has taken over, unless the heartbeat has found it out already. Where the ledger does
    // not answer, the next act is refused.
    if let Err(problem) = held.renew().await {
        warn!(error = %problem, "the ledger was asked whether the job is still this worker's");
    }
    !held.holds(job)
}

impl Lost<'_> {
    /// Waits for the end of the action; `None` where nobody else has the job, where it is given up, or the worker stops.
    pub(crate) async fn ended(
        &self,
        stopping: &mut watch::Receiver<bool>,
        is_given_up: impl Fn() -> bool,
    ) -> Option<ActionState> {
        warn!("a call was carried out after a peer had taken the job over: looking whether it has to be corrected");
        if self.is_taken_back(stopping).await {
            return None;
        }
        loop {
            match self.tools.codepipeline.newest(&self.job.context).await {
                Ok(ActionState::Wanted) => {}
                Ok(ended) => return Some(ended),
                Err(problem) => warn!(error = %problem, "the state of the action cannot be read yet"),
            }
            if is_given_up() || self.rest(stopping).await {
                return None;
            }
        }
    }

    /// Hands the job back, which CodePipeline takes only where nobody has done so before: then no peer had it, the
    /// worker's object was lost, and whoever goes on sees what was done.
    async fn is_taken_back(&self, stopping: &mut watch::Receiver<bool>) -> bool {
        let Self { tools, job, token, percent, id } = self;
        let summary = "the worker's record of its jobs is gone";
        loop {
            match tools.codepipeline.hand_back(&job.id, token, summary, Some(*percent), *id).await {
                Ok(Received::Taken) => {
                    info!("no peer had the job: it was handed back");
                    tools.handed_back.tell(Some(job.action_type), tools.clock.now());
                    return true;
                }
                Ok(Received::NotWanted) => return false,
                Err(problem) => warn!(error = %problem, "the job could not be handed back yet"),
            }
            if self.rest(stopping).await {
                return true;
            }
        }
    }

    /// Waits a while; whether the worker is told to stop meanwhile.
    async fn rest(&self, stopping: &mut watch::Receiver<bool>) -> bool {
        let is_stopping =
            |stopping: &mut watch::Receiver<bool>| stopping.has_changed().is_err() || *stopping.borrow_and_update();
        if !is_stopping(stopping) {
            tokio::select! {
                biased;
                _ = stopping.changed() => {}
                () = self.tools.clock.wait(LOOK) => {}
            }
        }
        is_stopping(stopping)
    }
}

impl Turn<'_> {
    /// After an act: whether the job was taken over before the act was carried out, and how this turn ends then. While
    /// the action goes on, its new holder sees and corrects what was done; when it has ended, nobody looks any more but
    /// this worker. `of_percents` tells an act that gave the action's own service other percents and no revision.
    pub(crate) async fn too_late(&mut self, of_percents: bool) -> Option<Pass> {
        if self.late || self.right.is_watch() || !is_taken_over(self.tools, &self.job.id).await {
            return None;
        }
        let (token, percent) = (self.progress.to_token(), self.percent());
        let lost = Lost { tools: self.tools, job: self.job, token, percent, id: self.progress.deployment.as_deref() };
        let is_given_up = || self.blind("its job was taken over").is_some();
        let mut stopping = self.stopping.clone();
        let Some(state) = lost.ended(&mut stopping, is_given_up).await else {
            return Some(Pass::End(Ending::NotWanted));
        };
        match state {
            // What it wanted is so. Only percents that were meant for the way there may have come back.
            ActionState::Succeeded => self.leave_but_percents(),
            ActionState::Ended { .. } if of_percents => self.leave_but_percents(),
            ActionState::Wanted => return Some(Pass::End(Ending::NotWanted)),
            ActionState::Ended { at } => {
                if !self.came_after(at, &lost, &mut stopping).await {
                    info!("the call changed nothing after the action had ended: there is nothing to correct");
                    return Some(Pass::End(Ending::NotWanted));
                }
                let text = "a call of this worker was carried out after the action had ended".to_owned();
                let cause = Cause { kind: CauseKind::Changed, text, witness: None };
                self.progress.undo(self.action.role, cause, self.tools.clock.now().timestamp());
            }
        }
        self.late = true;
        self.view.outdate(self.tools);
        Some(Pass::Again)
    }

    fn leave_but_percents(&mut self) {
        self.progress.percents_are_back(true);
        self.progress.phase = Phase::LeaveCanary;
    }

    /// Whether a deployment of this release was created after the action had ended. What was there before, its holder
    /// knew, and left so, or people did who abandoned it.
    async fn came_after(&self, ended: Option<Time>, lost: &Lost<'_>, stopping: &mut watch::Receiver<bool>) -> bool {
        // Not said by AWS: an undo too many is better than a release that nobody watches.
        let Some(ended) = ended else { return true };
        let called = self.tools.clock.now();
        loop {
            let settled = (self.tools.clock.now() - called).to_std().unwrap_or_default() >= STALE_READ;
            match self.is_deployed_since(ended).await {
                Ok(true) => return true,
                // What is not seen may not be shown yet.
                Ok(false) if settled => return false,
                Ok(false) => {}
                Err(problem) => warn!(error = %problem, "what the late call did cannot be seen yet"),
            }
            if self.blind("its job was taken over").is_some() || lost.rest(stopping).await {
                return false;
            }
        }
    }

    async fn is_deployed_since(&self, ended: Time) -> Result<bool, AwsError> {
        let (Some(ours), ecs) = (&self.progress.revision, &self.tools.ecs) else { return Ok(false) };
        let (cluster, service) = (&self.action.cluster, &self.action.service);
        for listed in ecs.list_deployments(cluster, service, Some(ended), false).await? {
            if listed.created.is_none_or(|created| created > ended)
                && ecs.service_revision(&listed.target).await?.revision == *ours
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
