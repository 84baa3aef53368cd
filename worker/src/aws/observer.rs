//! The shared observer: it looks at all services and alarms that any job cares for, in as few calls as AWS allows.
//!
//! One `DescribeServices` per ten services of a cluster every two seconds, whatever the number of jobs; service
//! deployments in twenties, when their service changed and at least every fourth second; tasks only when something
//! about their service changed, at most every four seconds; alarms in hundreds, every ten seconds. Cost grows with
//! services, never with jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::aws::cloudwatch::{ALARMS_PER_CALL, Alarms};
use crate::aws::ecs::{DEPLOYMENTS_PER_CALL, Ecs, SERVICES_PER_CALL};
use crate::aws::observed::Entry;
pub use crate::aws::observed::Seen;
use crate::deploy::view::{Alarm, Deployment, DeploymentStatus, Service, Task};
use crate::health::pulse::PartPulse;
use coalmine_door::AwsError;
use coalmine_door::clock::{Clock, Time};

/// How often services are looked at. A deployment's end is told at most this long after ECS knows it.
pub const INTERVAL: Duration = Duration::from_secs(2);
/// How old the view of a running deployment or of a changed service's tasks may become.
const DETAIL_INTERVAL: Duration = Duration::from_secs(4);
/// How often alarms are looked at. ECS shares the nine calls a second; alarms are evaluated every ten seconds at best.
const ALARM_INTERVAL: Duration = Duration::from_secs(10);
/// The shared observer; clones are the same one.
#[derive(Clone, Debug)]
pub struct Observer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ecs: Ecs,
    alarms: Alarms,
    clock: Clock,
    state: Mutex<State>,
    wanted: Notify,
}

type Name = (String, String);

#[derive(Debug, Default)]
struct State {
    services: BTreeMap<Name, Entry>,
    alarm_names: BTreeMap<String, usize>,
    alarms: BTreeMap<String, Alarm>,
    /// The names that were asked for last: a name that is not among them is not missing, it was not looked for yet.
    alarms_asked: BTreeSet<String>,
    alarms_at: Option<Time>,
    /// How often services are looked at that only the watch cares for.
    calm_pace: Duration,
    /// When that was done last: all of them at once, so that each call is full.
    calm_at: Option<Time>,
    /// Somebody needs to know how they are at this date, or later.
    alarms_needed: Option<Time>,
    alarm_problem: Option<AwsError>,
}

/// A job's interest in one service; it ends when this is dropped.
#[derive(Debug)]
pub struct ServiceWatch {
    shared: Arc<Shared>,
    name: Name,
    calm: bool,
    receiver: watch::Receiver<Seen>,
}

/// A job's interest in alarms; it ends when this is dropped.
#[derive(Debug)]
pub struct AlarmWatch {
    shared: Arc<Shared>,
    names: Vec<String>,
    /// Older answers are not believed.
    not_before: Option<Time>,
}

impl Observer {
    /// An observer that looks at nothing yet. [`Observer::run`] makes it look.
    #[must_use]
    pub fn new(ecs: Ecs, alarms: Alarms, clock: Clock) -> Self {
        let shared = Shared { ecs, alarms, clock, state: Mutex::default(), wanted: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Looks at a service from now on.
    #[must_use]
    pub fn service(&self, cluster: &str, service: &str) -> ServiceWatch {
        self.watch((cluster.to_owned(), service.to_owned()), false)
    }

    /// Looks at a service now and then from now on: see [`Observer::set_calm_pace`].
    #[must_use]
    pub fn service_calmly(&self, cluster: &str, service: &str) -> ServiceWatch {
        self.watch((cluster.to_owned(), service.to_owned()), true)
    }

    /// Says how often that is.
    pub fn set_calm_pace(&self, pace: Duration) {
        self.shared.lock().calm_pace = pace;
    }

    fn watch(&self, name: Name, calm: bool) -> ServiceWatch {
        let receiver = {
            let mut state = self.shared.lock();
            let entry = state.services.entry(name.clone()).or_insert_with(Entry::new);
            if calm {
                entry.calm += 1;
            } else {
                entry.watchers += 1;
                entry.left_at = None;
            }
            entry.sender.subscribe()
        };
        self.shared.wanted.notify_one();
        ServiceWatch { shared: Arc::clone(&self.shared), name, calm, receiver }
    }

    /// Looks at alarms from now on. With `anew`, what was seen before does not count: who has just cleared an alarm and
    /// approved must not be told that it is red.
    #[must_use]
    pub fn alarms(&self, names: &[String], anew: bool) -> AlarmWatch {
        let not_before = anew.then(|| self.shared.clock.now());
        let mut state = self.shared.lock();
        for name in names {
            *state.alarm_names.entry(name.clone()).or_default() += 1;
        }
        state.alarms_needed = state.alarms_needed.max(not_before.filter(|_| !names.is_empty()));
        AlarmWatch { shared: Arc::clone(&self.shared), names: names.to_vec(), not_before }
    }

    /// Looks, every two seconds, for as long as it is polled.
    pub async fn run(&self, pulse: PartPulse) {
        let shared = &self.shared;
        loop {
            if shared.is_idle() {
                pulse.rest();
                shared.wanted.notified().await;
            }
            let begin = shared.clock.now();
            let problem = shared.look(&pulse).await;
            pulse.went_round(problem.map(|problem| problem.brief()));
            let took = (shared.clock.now() - begin).to_std().unwrap_or_default();
            shared.clock.wait(INTERVAL.saturating_sub(took)).await;
        }
    }
}

impl ServiceWatch {
    /// What was last seen, if it was seen after `after`; waits for it otherwise.
    pub async fn after(&mut self, after: Time) -> Seen {
        // A date that is still to come is from before the clock was set: all that is seen from now on is newer.
        let after = after.min(self.shared.clock.now());
        loop {
            let seen = self.receiver.borrow_and_update().clone();
            if seen.at.is_some_and(|at| at > after) {
                return seen;
            }
            if self.receiver.changed().await.is_err() {
                return seen;
            }
        }
    }

    /// What was last seen.
    #[must_use]
    pub fn latest(&self) -> Seen {
        self.receiver.borrow().clone()
    }

    /// Also looks at a service deployment.
    pub fn follow(&self, deployment: &str) {
        let mut state = self.shared.lock();
        if let Some(entry) = state.services.get_mut(&self.name)
            && entry.followed.insert(deployment.to_owned())
        {
            entry.deployments_at = None;
        }
    }
}

impl Drop for ServiceWatch {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        if let Some(entry) = self.shared.lock().services.get_mut(&self.name) {
            if self.calm {
                entry.calm = entry.calm.saturating_sub(1);
            } else {
                entry.watchers = entry.watchers.saturating_sub(1);
                entry.left_at = Some(now);
            }
        }
    }
}

impl AlarmWatch {
    /// The alarms as last seen, if that was at most twenty seconds ago; else why not.
    ///
    /// # Errors
    /// When CloudWatch did not answer lately.
    pub fn seen(&self) -> Result<Vec<Alarm>, Option<AwsError>> {
        if self.names.is_empty() {
            return Ok(Vec::new());
        }
        let state = self.shared.lock();
        let fresh = state.alarms_at.is_some_and(|at| {
            let age = (self.shared.clock.now() - at).to_std();
            age.is_ok_and(|age| age <= ALARM_INTERVAL * 2) && self.not_before.is_none_or(|date| at >= date)
        });
        if !fresh || !self.names.iter().all(|name| state.alarms_asked.contains(name)) {
            return Err(state.alarm_problem.clone());
        }
        Ok(self.names.iter().filter_map(|name| state.alarms.get(name).cloned()).collect())
    }
}

impl Drop for AlarmWatch {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        for name in &self.names {
            if let Some(count) = state.alarm_names.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    state.alarm_names.remove(name);
                }
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what nobody asks for any more; whether nothing is left.
    fn is_idle(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.lock();
        state.services.retain(|_, entry| entry.calm > 0 || entry.is_eager(now));
        state.services.is_empty()
    }

    /// Looks once at everything; the last problem that it met with.
    async fn look(&self, pulse: &PartPulse) -> Option<AwsError> {
        pulse.beat();
        self.look_at_alarms().await;
        let mut last = self.lock().alarm_problem.clone();
        for (cluster, names) in self.clusters() {
            for chunk in names.chunks(SERVICES_PER_CALL) {
                // While AWS does not answer, each of these takes its time.
                pulse.beat();
                // A view is as old as its question, not as its answer: an act may lie between the two.
                let asked = self.clock.now();
                match self.ecs.services(&cluster, chunk).await {
                    Ok(services) => self.look_closer(&cluster, chunk, services, asked).await,
                    Err(problem) => {
                        self.fail(&cluster, chunk, &problem);
                        last = Some(problem);
                    }
                }
            }
        }
        last
    }

    fn clusters(&self) -> BTreeMap<String, Vec<String>> {
        let mut clusters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let (now, mut state) = (self.clock.now(), self.lock());
        let calm = is_due(state.calm_at, now, state.calm_pace);
        if calm {
            state.calm_at = Some(now);
        }
        for ((cluster, name), _) in state.services.iter().filter(|(_, entry)| calm || entry.is_urgent(now)) {
            clusters.entry(cluster.clone()).or_default().push(name.clone());
        }
        clusters
    }

    fn fail(&self, cluster: &str, names: &[String], problem: &AwsError) {
        let at = self.clock.now();
        let state = self.lock();
        for name in names {
            if let Some(entry) = state.services.get(&(cluster.to_owned(), name.clone())) {
                entry.sender.send_modify(|seen| {
                    seen.at = Some(at);
                    seen.problem = Some(problem.clone());
                });
            }
        }
    }

    /// The deployments and tasks of ten services, where something about them changed; then tells the watchers.
    async fn look_closer(&self, cluster: &str, names: &[String], services: Vec<Service>, now: Time) {
        let mut services = by_name(services);
        let deployments = match self.deployments(self.due_deployments(cluster, &services, now)).await {
            Ok(deployments) => deployments,
            Err(problem) => return self.fail(cluster, names, &problem),
        };
        // The services were read before the deployments. Where one of these took a turn meanwhile, its service is read
        // again, so that it is never older: "stopped, and the service still runs our revision" would call for an undo,
        // "stopped, and it runs another" is somebody else's deployment.
        if self.took_a_turn(cluster, names, &deployments) {
            match self.ecs.services(cluster, names).await {
                Ok(again) => services = by_name(again),
                Err(problem) => return self.fail(cluster, names, &problem),
            }
        }
        for name in names {
            let key = (cluster.to_owned(), name.clone());
            if self.tasks_due(&key, now)
                && let Err(problem) = self.look_at_tasks(&key).await
            {
                self.fail(cluster, std::slice::from_ref(name), &problem);
                continue;
            }
            let state = self.lock();
            let Some(entry) = state.services.get(&key) else { continue };
            let service = services.remove(name);
            entry.sender.send_modify(|seen| {
                seen.at = Some(now);
                seen.service = service;
                seen.problem = None;
                seen.deployments.retain(|arn, _| entry.followed.contains(arn));
                let followed =
                    entry.followed.iter().filter_map(|arn| Some((arn.clone(), deployments.get(arn)?.clone())));
                seen.deployments.extend(followed);
                seen.stopped = entry.ended.values().chain(&entry.ending).cloned().collect();
            });
        }
    }

    /// Notes which services changed; gives the deployments that are to be described.
    fn due_deployments(&self, cluster: &str, services: &BTreeMap<String, Service>, now: Time) -> Vec<String> {
        let mut due = Vec::new();
        let mut state = self.lock();
        for (name, service) in services {
            let Some(entry) = state.services.get_mut(&(cluster.to_owned(), name.clone())) else { continue };
            let seen = entry.sender.borrow().clone();
            let changed = seen.service.as_ref() != Some(service);
            entry.tasks_due |= changed;
            let old = is_due(entry.deployments_at, now, DETAIL_INTERVAL);
            let before = due.len();
            due.extend(
                entry
                    .followed
                    .iter()
                    .filter(|arn| {
                        let over = seen.deployments.get(*arn).is_some_and(|deployment| is_over(&deployment.status));
                        changed || (old && !over)
                    })
                    .cloned(),
            );
            if due.len() > before {
                entry.deployments_at = Some(now);
            }
        }
        due
    }

    /// Whether a deployment has another status than it was last seen in.
    fn took_a_turn(&self, cluster: &str, names: &[String], deployments: &BTreeMap<String, Deployment>) -> bool {
        let state = self.lock();
        names.iter().filter_map(|name| state.services.get(&(cluster.to_owned(), name.clone()))).any(|entry| {
            let seen = entry.sender.borrow();
            entry.followed.iter().filter_map(|arn| deployments.get(arn)).any(|deployment| {
                seen.deployments.get(&deployment.arn).is_none_or(|before| before.status != deployment.status)
            })
        })
    }

    async fn deployments(&self, arns: Vec<String>) -> Result<BTreeMap<String, Deployment>, AwsError> {
        let mut found = BTreeMap::new();
        for chunk in arns.chunks(DEPLOYMENTS_PER_CALL) {
            for deployment in self.ecs.deployments(chunk).await? {
                found.insert(deployment.arn.clone(), deployment);
            }
        }
        Ok(found)
    }

    fn tasks_due(&self, key: &Name, now: Time) -> bool {
        let mut state = self.lock();
        let Some(entry) = state.services.get_mut(key) else { return false };
        // Only somebody who follows a deployment cares for tasks.
        let rested = is_due(entry.tasks_at, now, DETAIL_INTERVAL);
        if entry.followed.is_empty() || !entry.tasks_due || !rested {
            return false;
        }
        entry.tasks_due = false;
        entry.tasks_at = Some(now);
        true
    }

    /// Describes the stopped tasks that were not described yet. ECS keeps them for an hour.
    async fn look_at_tasks(&self, key: &Name) -> Result<(), AwsError> {
        let (cluster, service) = key;
        let arns = self.ecs.task_arns(cluster, service, true).await?;
        let id = |arn: &String| arn.rsplit('/').next().unwrap_or(arn).to_owned();
        let known: BTreeSet<String> =
            self.lock().services.get(key).map(|entry| entry.ended.keys().cloned().collect()).unwrap_or_default();
        let new: Vec<String> = arns.iter().filter(|arn| !known.contains(&id(arn))).cloned().collect();
        let tasks = if new.is_empty() { Vec::new() } else { self.ecs.tasks(cluster, &new).await? };
        let listed: BTreeSet<String> = arns.iter().map(id).collect();
        let mut state = self.lock();
        if let Some(entry) = state.services.get_mut(key) {
            entry.ended.retain(|id, _| listed.contains(id));
            // A task on its way down may not know its exit code yet: it is described again.
            let (ended, ending): (Vec<Task>, Vec<Task>) = tasks.into_iter().partition(Task::has_stopped);
            entry.tasks_due |= !ending.is_empty();
            entry.ending = ending;
            entry.ended.extend(ended.into_iter().map(|task| (task.id.clone(), task)));
        }
        Ok(())
    }

    async fn look_at_alarms(&self) {
        let now = self.clock.now();
        let names: Vec<String> = {
            let state = self.lock();
            let fresh = state.alarms_at.is_some_and(|at| {
                let needed = state.alarms_needed.is_some_and(|date| at < date);
                !is_due(Some(at), now, ALARM_INTERVAL) && !needed
            });
            let all_asked = state.alarm_names.keys().all(|name| state.alarms_asked.contains(name));
            if fresh && all_asked { Vec::new() } else { state.alarm_names.keys().cloned().collect() }
        };
        if names.is_empty() {
            return;
        }
        let mut alarms = BTreeMap::new();
        for chunk in names.chunks(ALARMS_PER_CALL) {
            match self.alarms.describe(chunk).await {
                Ok(found) => alarms.extend(found.into_iter().map(|alarm| (alarm.name.clone(), alarm))),
                Err(problem) => {
                    self.lock().alarm_problem = Some(problem);
                    return;
                }
            }
        }
        let mut state = self.lock();
        state.alarms = alarms;
        state.alarms_asked = names.into_iter().collect();
        state.alarms_at = Some(now);
        state.alarm_problem = None;
    }
}

fn by_name(services: Vec<Service>) -> BTreeMap<String, Service> {
    services.into_iter().map(|service| (service.name.clone(), service)).collect()
}

/// Whether something that was done at a date is to be done again. A date that is still to come is from before the clock
/// was set.
fn is_due(done: Option<Time>, now: Time, every: Duration) -> bool {
    done.is_none_or(|at| !(now - at).to_std().is_ok_and(|age| age < every))
}

fn is_over(status: &DeploymentStatus) -> bool {
    matches!(status, DeploymentStatus::Successful | DeploymentStatus::RolledBack | DeploymentStatus::RollbackFailed)
}
