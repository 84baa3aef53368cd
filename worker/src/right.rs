//! By what right a turn acts: it holds its job, or this worker holds the lease on the watch and the canary's record is
//! still as it left it.

use std::sync::Arc;
use std::time::Duration;

use coalmine_door::AwsError;
use coalmine_door::store::StoreError;
use tracing::info;

use crate::aws::executions::ActionState;
use crate::deploy::decision::Which;
use crate::deploy::hold::{self, Fate};
use crate::hindrance::{Hindrance, allowed};
use crate::ledger::canaries::{self, Canary};
use crate::ledger::lease::Lease;
use crate::report::Ending;
use crate::turn::Turn;
use crate::watch;

/// The operation of a failure that came before any call was made.
pub(crate) const LEASE: &str = "renewing the lease";

/// How long a service has to be missing before a canary's way back ends without it.
pub(crate) const GONE: Duration = Duration::from_secs(60);

/// How often a turn asks whether its pipeline execution still wants it; asked anew before every act.
pub(crate) const WANTED_INTERVAL: Duration = Duration::from_secs(30);

/// By what right a turn acts.
pub(crate) enum Right {
    /// It was given a job, which stands in this worker's object of the ledger.
    Job,
    /// It returns a canary for the watch.
    Watch(Box<Watching>),
}

/// A canary that the watch returns.
pub(crate) struct Watching {
    pub(crate) lease: Arc<Lease>,
    /// Its record, as this worker read or wrote it last.
    pub(crate) canary: Canary,
    pub(crate) version: String,
}

impl Right {
    pub(crate) fn is_watch(&self) -> bool {
        matches!(self, Self::Watch(_))
    }
}

impl Turn<'_> {
    /// Before a pass: whether there is still something for this turn to do. `Some` says how it ends where not.
    pub(crate) async fn obstacle(&mut self) -> Result<Option<Ending>, AwsError> {
        if self.late {
            return Ok(None);
        }
        if self.right.is_watch() {
            return Ok(self.vanished());
        }
        if !self.tools.held.holds(&self.job.id) {
            // Where a peer has given the job back already, CodePipeline does not want it from here; where the ledger was
            // lost, this is what saves it.
            return Ok(Some(self.hand_back("the worker's record of its jobs is gone".to_owned())));
        }
        Ok(if self.is_wanted().await? { None } else { Some(Ending::NotWanted) })
    }

    /// How a canary's way back ends where a service is not there any more, which one look does not show.
    fn vanished(&mut self) -> Option<Ending> {
        let Some(missing) = self.view.missing() else {
            self.missing_since = None;
            return None;
        };
        let now = self.tools.clock.now();
        let since = *self.missing_since.get_or_insert(now);
        let name = match missing {
            Which::Own => &self.action.service,
            Which::Partner => &self.action.partner,
        };
        let why = format!("it is left as it is: service {}/{name} is not there any more", self.action.cluster);
        ((now - since).to_std().unwrap_or_default() >= GONE).then_some(Ending::Left { why })
    }

    /// Directly before a call that changes something: whether this worker may still make it. What is asked and written down
    /// after [`Self::hindrance`] takes its time, too, and the call itself must be over before a peer takes this worker for dead.
    ///
    /// # Errors
    /// When the lease is too old by now.
    pub(crate) fn in_time(&self) -> Result<(), AwsError> {
        let may_act = match &self.right {
            Right::Job => self.late || self.tools.held.may_act(),
            Right::Watch(watching) => watching.lease.may_act(),
        };
        let too_old = || AwsError::unusable(LEASE, "it is too old for another act");
        may_act.then_some(()).ok_or_else(too_old)
    }

    /// Whether the execution still wants this job, asked every 30 seconds; right before an act it is asked anew.
    async fn is_wanted(&mut self) -> Result<bool, AwsError> {
        let fresh = self
            .wanted_at
            .is_some_and(|at| (self.tools.clock.now() - at).to_std().unwrap_or_default() < WANTED_INTERVAL);
        // A turn that has just begun was given its job by a living execution.
        if fresh || self.wanted_at.is_none() {
            self.wanted_at.get_or_insert(self.tools.clock.now());
            return Ok(true);
        }
        let state = self.tools.codepipeline.action(&self.job.context).await?;
        self.wanted_at = Some(self.tools.clock.now());
        Ok(state == ActionState::Wanted)
    }

    /// Right before an act: the progress is on record, this worker's lease holds, and the execution still wants the
    /// job. `Some` says how the turn ends where one of these is not so.
    pub(crate) async fn hindrance(&mut self) -> Result<Option<Ending>, AwsError> {
        if self.late {
            // A retry that has begun meanwhile sees for itself what was done.
            let state = self.tools.codepipeline.newest(&self.job.context).await?;
            return Ok((state == ActionState::Wanted).then_some(Ending::NotWanted));
        }
        if self.right.is_watch() {
            return self.hindrance_of_watch().await;
        }
        Ok(match allowed(self.tools, self.job, &self.progress.to_token()).await? {
            Ok(since) => {
                (self.wanted_at, self.since) = (Some(self.tools.clock.now()), since);
                None
            }
            Err(Hindrance::HandBack(reason)) => Some(self.hand_back(reason)),
            Err(Hindrance::NotWanted) => Some(Ending::NotWanted),
        })
    }

    /// The same for the watch: the way back is on record, nobody has taken the canary meanwhile, this worker is still
    /// the one that watches, and people have not thought better of it.
    async fn hindrance_of_watch(&mut self) -> Result<Option<Ending>, AwsError> {
        let store = self.tools.held.store();
        let Right::Watch(watching) = &mut self.right else { return Ok(None) };
        // Whoever answers slowly is asked first, and the lease looked at last.
        if !hold::is_told(&self.progress) {
            let sick = watching.canary.restoring.as_ref().is_some_and(|restoring| restoring.sick);
            match watch::fate(self.tools, &watching.canary).await? {
                Fate::Restore(_) => {}
                Fate::Hold(_) if sick => {}
                Fate::Hold(why) | Fate::LetGo(why) => return Ok(Some(Ending::CalledOff { why: why.to_owned() })),
                Fate::Ask => return Err(AwsError::unusable("looking for the execution", "its status is not known")),
            }
        }
        let unwritten = |problem: StoreError| AwsError::unusable("noting the canary's way back", problem.to_string());
        let canary = watching.canary.clone().with(&self.progress);
        match canaries::rewrite(store, &canary, &watching.version).await {
            Ok(version) => (watching.canary, watching.version) = (canary, version),
            Err(StoreError::Changed { .. }) => {
                info!("an action or another worker has taken the canary: it is left to it");
                return Ok(Some(Ending::NotWanted));
            }
            Err(problem) => return Err(unwritten(problem)),
        }
        if !watching.lease.may_act() {
            watching.lease.keep().await.map_err(unwritten)?;
            if !watching.lease.may_act() {
                return Ok(Some(Ending::NotWanted));
            }
        }
        Ok(None)
    }
}
