//! A call that was frozen with its process may be carried out after a peer has taken the job over: what becomes of it.

use std::time::Duration;

use tracing::{info, warn};

use crate::aws::codepipeline::Received;
use crate::aws::executions::ActionState;
use crate::deploy::progress::{Cause, CauseKind, Phase};
use crate::report::Ending;
use crate::turn::{Pass, Turn};

/// How often a worker whose call came too late looks whether the action has ended.
const LOOK: Duration = Duration::from_secs(10);

impl Turn<'_> {
    /// After an act: whether the job was taken over before the act was carried out, and how this turn ends then. While
    /// the action goes on, its new holder sees and corrects what was done; when it has ended, nobody looks any more but
    /// this worker.
    pub(crate) async fn too_late(&mut self) -> Option<Pass> {
        let held = &self.tools.held;
        if self.late || self.right.is_watch() || (held.may_act() && held.holds(&self.job.id)) {
            return None;
        }
        // This shows whether a peer has taken over, unless the heartbeat has found it out already. Where the ledger does
        // not answer, the next act is refused.
        if let Err(problem) = held.renew().await {
            warn!(error = %problem, "the ledger was asked whether the job is still this worker's");
        }
        if held.holds(&self.job.id) {
            return None;
        }
        warn!("a call was carried out after a peer had taken the job over: looking whether it has to be corrected");
        let over = Some(Pass::End(Ending::NotWanted));
        if self.is_taken_back().await {
            return over;
        }
        let state = loop {
            match self.tools.codepipeline.newest(&self.job.context).await {
                Ok(ActionState::Wanted) => {}
                Ok(ended) => break ended,
                Err(problem) => warn!(error = %problem, "the state of the action cannot be read yet"),
            }
            if self.blind("its job was taken over").is_some() || self.rest().await {
                return over;
            }
        };
        self.late = true;
        let now = self.tools.clock.now().timestamp();
        match state {
            // What it wanted is so. Only percents that were meant for the way there may have come back.
            ActionState::Succeeded => {
                self.progress.percents_are_back(true);
                self.progress.phase = Phase::LeaveCanary;
            }
            ActionState::Wanted | ActionState::Ended => {
                let text = "a call of this worker was carried out after the action had ended".to_owned();
                let cause = Cause { kind: CauseKind::Changed, text, witness: None };
                self.progress.undo(self.action.role, cause, now);
            }
        }
        self.view.outdate(self.tools);
        Some(Pass::Again)
    }

    /// Hands the job back, which CodePipeline takes only where nobody has done so before: then no peer had it, the
    /// worker's object was lost, and whoever goes on sees what was done.
    async fn is_taken_back(&mut self) -> bool {
        let (token, percent) = (self.progress.to_token(), self.percent());
        let summary = "the worker's record of its jobs is gone";
        loop {
            let id = self.progress.deployment.as_deref();
            match self.tools.codepipeline.hand_back(&self.job.id, &token, summary, Some(percent), id).await {
                Ok(Received::Taken) => {
                    info!("no peer had the job: it was handed back");
                    self.tools.handed_back.tell(Some(self.job.action_type), self.tools.clock.now());
                    return true;
                }
                Ok(Received::NotWanted) => return false,
                Err(problem) => warn!(error = %problem, "the job could not be handed back yet"),
            }
            if self.rest().await {
                return true;
            }
        }
    }

    /// Waits a while; whether the worker is told to stop meanwhile.
    async fn rest(&mut self) -> bool {
        if !self.is_stopping() {
            tokio::select! {
                biased;
                _ = self.stopping.changed() => {}
                () = self.tools.clock.wait(LOOK) => {}
            }
        }
        self.is_stopping()
    }
}
