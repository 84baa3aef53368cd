//! What a decision is: one step, and the reason for it.

use std::time::Duration;

use coalmine_pipeline::Share;

use crate::deploy::batch::{CANARY_PERCENTS, Percents, Room, percents};
use crate::deploy::progress::{Cause, Phase, Progress};
use crate::deploy::release::Count;
use crate::deploy::revision::Revision;
use crate::deploy::view::{Alarm, Deployment, Service, Task};

/// The next step of an action, with the reason that logs, summaries and messages show.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a decision that nobody carries out is lost"]
pub struct Decision {
    /// What to do.
    pub step: Step,
    /// Why, in words.
    pub reason: String,
}

impl Decision {
    /// A step with its reason.
    pub fn new(step: Step, reason: impl Into<String>) -> Self {
        Self { step, reason: reason.into() }
    }
}

/// What can be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until the world changes.
    Wait,
    /// Go on in another phase.
    Enter(Phase),
    /// Find the service deployment that brings our revision.
    Bind,
    /// Count the running tasks by the digests they run.
    Count,
    /// `UpdateService`.
    Update(Update),
    /// `StopServiceDeployment(ROLLBACK)` on our deployment.
    RollBack,
    /// Undo what was done, because of this.
    Undo(Cause),
    /// Find out what the canary goes back to.
    PlanRestore,
    /// Find out what a late call of this action has taken the place of, and go back to that.
    GiveWay,
    /// The action succeeded.
    Succeed,
    /// The action failed; what could be undone is undone.
    Fail,
}

/// Which of the two services a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The action's own service.
    Own,
    /// Its partner: the canary of a full service, the full service of a canary.
    Partner,
}

/// An `UpdateService` request: only what is set is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The service.
    pub which: Which,
    /// The revision it is told to run; starts a deployment.
    pub revision: Option<Revision>,
    /// The desired count.
    pub desired: Option<u32>,
    /// The percents, within the deployment configuration that was read.
    pub percents: Option<Percents>,
}

impl Update {
    /// The percents, where nothing else is sent: that starts no deployment.
    #[must_use]
    pub fn percents_alone(&self) -> Option<Percents> {
        self.percents.filter(|_| self.revision.is_none() && self.desired.is_none())
    }
}

/// The two actions that deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `Coalmine-Canary`.
    Canary,
    /// `Coalmine-Full`.
    Full,
}

/// What the configuration says about a rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Which action it is.
    pub role: Role,
    /// How many tasks are replaced at a time, as a share of the desired count. The canary rolls at once.
    pub batch: Option<Share>,
    /// The `surge` option.
    pub surge: Option<bool>,
    /// The desired count that the canary is given; `None` leaves it.
    pub desired: Option<u32>,
    /// How long the deployed tasks are watched.
    pub bake: Duration,
    /// How long after its begin the action gives up.
    pub deadline: Duration,
    /// Whether an undo is followed to its end, however long that takes: nobody waits for it.
    pub patient: bool,
}

impl Terms {
    /// How many tasks of a service are replaced at a time.
    #[must_use]
    pub fn batch(&self, desired: u32) -> u32 {
        match self.batch {
            Some(share) => share.of_rounded_down(desired).max(1),
            None => desired.max(1),
        }
    }

    /// The percents with which a service is rolled.
    #[must_use]
    pub fn percents(&self, service: &Service) -> Percents {
        match self.role {
            Role::Canary => CANARY_PERCENTS,
            Role::Full => {
                let room = Room::choose(service.desired, service.rebalancing, self.surge);
                percents(service.desired, self.batch(service.desired), room)
            }
        }
    }
}

/// What one turn sees after the preflight.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    /// The action's own service.
    pub service: &'a Service,
    /// Its partner.
    pub partner: &'a Service,
    /// Our service deployment, once AWS shows it.
    pub deployment: Option<&'a Deployment>,
    /// Whether our deployment was looked for since the last change, and not found.
    pub searched: bool,
    /// Stopped tasks of the own service.
    pub stopped: &'a [Task],
    /// The alarms that count.
    pub alarms: Vec<&'a Alarm>,
    /// The running tasks of the own service, freshly counted.
    pub count: Option<&'a Count>,
}

/// Seconds since an epoch second.
#[must_use]
pub(crate) fn elapsed(since: i64, now: i64) -> Duration {
    Duration::from_secs(u64::try_from(now - since).unwrap_or(0))
}

/// Whether an action that began long ago has to give up.
pub(crate) fn is_overdue(progress: &Progress, terms: &Terms, now: i64) -> bool {
    elapsed(progress.started, now) >= terms.deadline
}
