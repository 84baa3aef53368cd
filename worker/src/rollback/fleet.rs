//! All services of a rollback at once: observe, decide, act.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::time::Duration;

use coalmine_door::clock::Time;
use coalmine_door::{AwsError, Kind};
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tracing::{info, warn};

use crate::aws::ecs::{Change, SERVICES_PER_CALL};
use crate::deploy::batch::Percents;
use crate::deploy::release::{Count, count};
use crate::deploy::rollback::course::{Course, Done, Next, Seen, next};
use crate::deploy::rollback::words::{End, State};
use crate::deploy::view::{Deployment, Service};
use crate::right::LEASE;
use crate::rollback::record::{self, Author};
use crate::tools::Tools;

/// How often a small fleet is looked at: its end is told within two seconds after ECS is done.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often a large one is: two calls a second are left to others.
const INTERVAL_OF_MANY: Duration = Duration::from_secs(2);
/// A fleet that is looked at in so many calls is large.
const MANY: usize = 20;
/// How far the clocks of AWS and of this program may differ, when deployments are searched by date.
const CLOCK_SKEW_SECONDS: i64 = 60;

/// The services of a rollback.
#[derive(Debug)]
pub struct Fleet {
    members: Vec<Member>,
    author: Author,
    /// When it was last looked at.
    looked: Option<Time>,
}

/// One service.
#[derive(Clone, Debug)]
struct Member {
    course: Course,
    done: Done,
    service: Option<Service>,
    deployment: Option<Deployment>,
    count: Option<Count>,
    /// The last view that is believed began later than this.
    after: Option<Time>,
    state: State,
    reason: String,
    tasks: u32,
    /// Whether ECS was told to stop the deployment in whose middle it refused ours.
    stopped: bool,
    /// Whether it is being told where to go, and nothing has come of that yet.
    being_told: bool,
    /// Whether others heard that it goes back.
    announced: bool,
    /// Whether they heard that it does not come back, or need not.
    loss_told: bool,
}

/// What is to be done about one service.
type Order = (usize, Next);

/// An order that is being carried out, and the orders of the same pair that come after it.
type UnderWay<'a> = Pin<Box<dyn Future<Output = (usize, Next, Outcome, VecDeque<Order>)> + Send + 'a>>;

/// What came of it.
enum Outcome {
    Told(Time),
    Percents(Percents),
    Found(Option<String>),
    Looked(Option<Deployment>),
    Counted(Count),
    Stopped,
    Failed(AwsError),
}

impl Fleet {
    /// A fleet that is about to be told. With `searched`, no earlier turn can have told any of it.
    #[must_use]
    pub fn new(courses: Vec<Course>, author: Author, searched: bool) -> Self {
        let member = |course| Member {
            course,
            done: Done { searched, ..Done::default() },
            service: None,
            deployment: None,
            count: None,
            after: None,
            state: State::Untouched,
            reason: String::new(),
            tasks: 0,
            stopped: false,
            being_told: false,
            announced: false,
            loss_told: false,
        };
        Self { members: courses.into_iter().map(member).collect(), author, looked: None }
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.members.iter().all(|member| matches!(member.state, State::Back | State::Lost))
    }

    /// Whether every service is back.
    #[must_use]
    pub fn is_back(&self) -> bool {
        self.members.iter().all(|member| member.state == State::Back)
    }

    /// Where each service stands.
    #[must_use]
    pub fn ends(&self) -> Vec<End<'_>> {
        let mut ends = Vec::with_capacity(self.members.len());
        for Member { course, done, state, reason, tasks, .. } in &self.members {
            let changed = course.leaves() || done.told.is_some() || done.found;
            ends.push(End { course, state: *state, reason, tasks: *tasks, changed });
        }
        ends
    }

    /// How many tasks of each service run its target, and how many are wanted, as last seen.
    #[must_use]
    pub fn tasks(&self) -> Vec<(u32, u32)> {
        let tasks = |member: &Member| {
            let Some(service) = &member.service else { return (0, 0) };
            let there = service.rollout_of(&member.course.to).map_or(0, |rollout| rollout.running);
            (there.min(service.desired), service.desired)
        };
        self.members.iter().map(tasks).collect()
    }

    /// Waits until it is time for the next look.
    pub async fn rest(&self, tools: &Tools) {
        let many = self.members.len() > MANY;
        let interval = if many { INTERVAL_OF_MANY } else { INTERVAL };
        let passed = self.looked.map(|looked| (tools.clock.now() - looked).to_std().unwrap_or_default());
        tools.clock.wait(interval.saturating_sub(passed.unwrap_or_default())).await;
    }

    /// Looks at all services that are not done with.
    ///
    /// # Errors
    /// When ECS does not answer: what was seen before is not believed to be so still.
    pub async fn observe(&mut self, tools: &Tools) -> Result<(), AwsError> {
        let asked = tools.clock.now();
        self.looked = Some(asked);
        let mut clusters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for member in self.members.iter().filter(|member| !matches!(member.state, State::Back | State::Lost)) {
            let Course { cluster, service, .. } = &member.course;
            clusters.entry(cluster.clone()).or_default().insert(service.clone());
        }
        let clusters: Vec<(String, Vec<String>)> =
            clusters.into_iter().map(|(cluster, names)| (cluster, names.into_iter().collect())).collect();
        let mut looks = Vec::new();
        for (cluster, names) in &clusters {
            for names in names.chunks(SERVICES_PER_CALL) {
                looks.push(tools.ecs.services(cluster, names));
            }
        }
        let mut found = Vec::new();
        for seen in join_all(looks).await {
            found.extend(seen?);
        }
        for member in &mut self.members {
            if matches!(member.state, State::Back | State::Lost) || member.after.is_some_and(|after| asked < after) {
                continue;
            }
            let Course { cluster, service, .. } = &member.course;
            let seen = found.iter().find(|found| found.cluster == *cluster && found.name == *service);
            if seen.map(|seen| &seen.rollouts) != member.service.as_ref().map(|service| &service.rollouts) {
                member.deployment = None;
            }
            member.count = None;
            match seen {
                Some(seen) => {
                    if seen.revision == member.course.to {
                        member.done.deployment.clone_from(&seen.current_deployment);
                    }
                    member.service = Some(seen.clone());
                }
                None => member.lose("the service is not there any more".to_owned()),
            }
        }
        Ok(())
    }

    /// Decides what is to be done next, for every service that was seen.
    fn decide(&mut self, now: Time) -> Vec<Order> {
        let mut orders = Vec::new();
        for (place, member) in self.members.iter_mut().enumerate() {
            if matches!(member.state, State::Back | State::Lost) {
                continue;
            }
            let Some(service) = &member.service else { continue };
            let seen = Seen { service, deployment: member.deployment.as_ref(), count: member.count.as_ref() };
            let (step, reason) = next(&member.course, &member.done, seen, now.timestamp());
            if member.reason != reason {
                info!(service = member.course.service, "{reason}");
                member.reason = reason;
            }
            match step {
                Next::Wait => member.state = member.going(),
                Next::Lost => member.state = State::Lost,
                step => orders.push((place, step)),
            }
        }
        orders
    }

    /// Whether some of what is to be done changes a service.
    #[must_use]
    pub fn mutates(orders: &[Order]) -> bool {
        orders.iter().any(|(_, next)| matches!(next, Next::Tell(_) | Next::Percents(_)))
    }

    /// The same for who may tell no service anything any more: one that runs something else by now is let go.
    pub fn without_telling(&mut self, orders: Vec<Order>) -> Vec<Order> {
        let (elsewhere, orders): (Vec<Order>, Vec<Order>) =
            orders.into_iter().partition(|(_, next)| matches!(next, Next::Tell(_)));
        for (place, _) in elsewhere {
            if let Some(member) = self.members.get_mut(place) {
                member.lose("somebody told it otherwise".to_owned());
                member.loss_told = true;
            }
        }
        orders
    }

    /// Does it, for all services at once; a canary is told before its full service, so that nobody takes it for one that
    /// has to be restored. What came of each counts as soon as it is known: who drops this loses only what is under way, which
    /// [`Self::look_for_the_last_time`] looks for. Whether there may be more to do before the next look.
    pub async fn act(&mut self, tools: &Tools, orders: Vec<Order>) -> bool {
        let again =
            orders.iter().any(|(_, next)| matches!(next, Next::Search | Next::Look | Next::Count | Next::Percents(_)));
        let mut pairs: BTreeMap<String, VecDeque<Order>> = BTreeMap::new();
        for order in orders {
            let Some(Member { course, .. }) = self.members.get(order.0) else { continue };
            pairs
                .entry(course.canary_of.clone().unwrap_or_else(|| course.service.clone()))
                .or_default()
                .push_back(order);
        }
        let mut work: FuturesUnordered<_> = pairs.into_values().filter_map(|pair| self.begin(tools, pair)).collect();
        while let Some((place, next, outcome, pair)) = work.next().await {
            if let Some(member) = self.members.get_mut(place) {
                member.take(outcome, &next, tools.clock.now());
            }
            work.extend(self.begin(tools, pair));
        }
        self.tell_losses(tools).await;
        again
    }

    /// Writes down which services do not come back, and tells others.
    async fn tell_losses(&mut self, tools: &Tools) {
        let mut lost = Vec::new();
        for member in self.members.iter_mut().filter(|member| member.state == State::Lost && !member.loss_told) {
            member.loss_told = true;
            lost.push(member.clone());
        }
        let author = &self.author;
        join_all(
            lost.iter().map(|lost| Box::pin(record::lost(tools, &lost.course, author, lost.announced, &lost.reason))),
        )
        .await;
    }

    /// Begins with the first order of a pair.
    fn begin<'a>(&mut self, tools: &'a Tools, mut pair: VecDeque<Order>) -> Option<UnderWay<'a>> {
        let (place, next) = pair.pop_front()?;
        let member = self.members.get_mut(place)?;
        member.being_told = matches!(next, Next::Tell(_));
        member.announced |= member.being_told;
        let (member, author) = (member.clone(), self.author.clone());
        Some(Box::pin(async move {
            let outcome = member.carry_out(tools, &author, &next).await;
            (place, next, outcome, pair)
        }))
    }

    /// For whoever stops here, also in the middle of [`Self::act`]: looks at all services once more, and does nothing, so that
    /// it is known of each whether it was told.
    pub async fn look_for_the_last_time(&mut self, tools: &Tools, within: Duration) {
        match tools.clock.limit(within, self.observe(tools)).await {
            Some(Ok(())) => {
                let undone = self.decide(tools.clock.now());
                for (place, _) in undone {
                    if let Some(member) = self.members.get_mut(place) {
                        member.state = member.going();
                        member.reason = format!("interrupted before: {}", member.reason);
                    }
                }
            }
            Some(Err(problem)) => warn!(error = %problem, "where the services stand could not be looked at once more"),
            None => warn!("where the services stand could not be looked at once more: ECS does not answer"),
        }
        for member in self.members.iter_mut().filter(|member| member.being_told && member.state == State::Untouched) {
            // The call may still be carried out.
            member.state = State::Going;
            member.reason =
                format!("it was being told to run {}: whether ECS took that is not known", member.course.to);
        }
    }

    /// What is to be done now. Services that are back are written down first.
    pub async fn orders(&mut self, tools: &Tools) -> Vec<Order> {
        let mut orders = self.decide(tools.clock.now());
        self.tell_losses(tools).await;
        let mut back = Vec::new();
        orders.retain(|(place, next)| {
            if *next == Next::Back {
                back.push(*place);
            }
            *next != Next::Back
        });
        for place in &back {
            if let Some(member) = self.members.get_mut(*place) {
                member.come_back();
            }
        }
        let mut noting = Vec::new();
        for member in back.iter().filter_map(|place| self.members.get(*place)) {
            let deployment = member.done.deployment.as_deref();
            noting.push(Box::pin(record::back(tools, &member.course, &self.author, deployment, &member.reason)));
        }
        join_all(noting).await;
        if !back.is_empty() && self.is_back() {
            join_all(self.members.iter().map(|member| Box::pin(record::over(tools, &member.course)))).await;
        }
        orders
    }
}

impl Member {
    fn going(&self) -> State {
        let touched = self.done.told.is_some() || self.done.deployment.is_some() || !self.course.leaves();
        if touched { State::Going } else { self.state }
    }

    fn lose(&mut self, reason: String) {
        (self.state, self.reason) = (State::Lost, reason);
    }

    fn come_back(&mut self) {
        self.tasks = self.count.as_ref().map_or(0, |count| count.new);
        self.state = State::Back;
    }

    async fn carry_out(&self, tools: &Tools, author: &Author, next: &Next) -> Outcome {
        let done = match next {
            Next::Tell(percents) => self.tell(tools, author, *percents).await,
            Next::Percents(percents) => self.give(tools, *percents).await,
            Next::Search => self.search(tools, author).await,
            Next::Look => self.look(tools).await,
            Next::Count => self.count(tools).await,
            Next::Wait | Next::Back | Next::Lost => return Outcome::Stopped,
        };
        done.unwrap_or_else(Outcome::Failed)
    }

    async fn tell(&self, tools: &Tools, author: &Author, percents: Percents) -> Result<Outcome, AwsError> {
        let (course, Some(service)) = (&self.course, &self.service) else { return Ok(Outcome::Stopped) };
        Box::pin(record::leaving(tools, course, author, Some(percents))).await;
        let change = Change {
            task_definition: Some(course.to.arn_beside(&service.arn)),
            desired: None,
            percents: (percents != service.percents).then(|| (percents, service.configuration.clone())),
        };
        // Writing that down took its time, and so did the service that went before: an action's worker may have been taken for
        // dead meanwhile. A command has no job that a peer could take over.
        if author.action.is_some() && !tools.held.may_act() {
            return Err(AwsError::unusable(LEASE, "it is too old for another act"));
        }
        // What it runs already, and ECS gave up, begins anew only where that is said.
        let told = if service.revision == course.to {
            tools.ecs.update_anew(&course.cluster, &course.service, change).await
        } else {
            tools.ecs.update(&course.cluster, &course.service, change).await
        };
        match told {
            Ok(()) => Ok(Outcome::Told(tools.clock.now())),
            // A rolling deployment is superseded; where ECS does not let it be, it is stopped first.
            Err(error) if is_in_the_way(&error) && service.is_rolling() && !self.stopped => {
                warn!(%error, service = course.service, "ECS refuses while a deployment is in progress: stopping that");
                if let Some(current) = &service.current_deployment {
                    match tools.ecs.roll_back(current).await {
                        // It has ended meanwhile, or does not let itself be stopped: the next answer tells.
                        Err(error) if error.kind == Kind::Refused => {
                            warn!(%error, service = course.service, "ECS does not stop it: telling the service again");
                        }
                        stopped => stopped?,
                    }
                }
                Ok(Outcome::Stopped)
            }
            Err(error) => Err(error),
        }
    }

    async fn give(&self, tools: &Tools, percents: Percents) -> Result<Outcome, AwsError> {
        let (course, Some(service)) = (&self.course, &self.service) else { return Ok(Outcome::Stopped) };
        let change = Change { percents: Some((percents, service.configuration.clone())), ..Change::default() };
        tools.ecs.update(&course.cluster, &course.service, change).await?;
        Ok(Outcome::Percents(percents))
    }

    /// The newest deployment since the rollback began that brings the target.
    async fn search(&self, tools: &Tools, author: &Author) -> Result<Outcome, AwsError> {
        let Course { cluster, service, to, .. } = &self.course;
        let since = Time::from_timestamp(author.began - CLOCK_SKEW_SECONDS, 0);
        for listed in tools.ecs.list_deployments(cluster, service, since, false).await? {
            let after = listed.created.is_some_and(|created| created.timestamp() >= author.began);
            if after && tools.ecs.service_revision(&listed.target).await?.revision == *to {
                return Ok(Outcome::Found(Some(listed.arn)));
            }
        }
        Ok(Outcome::Found(None))
    }

    async fn look(&self, tools: &Tools) -> Result<Outcome, AwsError> {
        let Some(arn) = &self.done.deployment else { return Ok(Outcome::Looked(None)) };
        Ok(Outcome::Looked(tools.ecs.deployments(std::slice::from_ref(arn)).await?.pop()))
    }

    /// Counts the running tasks by digest, every one of them.
    async fn count(&self, tools: &Tools) -> Result<Outcome, AwsError> {
        let (Course { cluster, service, images, .. }, ecs) = (&self.course, &tools.ecs);
        let arns = ecs.task_arns(cluster, service, false).await?;
        let tasks = if arns.is_empty() { Vec::new() } else { ecs.tasks(cluster, &arns).await? };
        let silent = tasks.iter().flat_map(|task| &task.containers).any(|container| container.digest.is_none());
        let current = self.service.as_ref().and_then(|service| service.current_deployment.clone());
        let revision = match current {
            Some(arn) if silent => match ecs.deployments(&[arn]).await?.pop() {
                Some(deployment) => Some(ecs.service_revision(&deployment.target).await?),
                None => None,
            },
            _ => None,
        };
        Ok(Outcome::Counted(count(&tasks, images, revision.as_ref())))
    }

    fn take(&mut self, outcome: Outcome, next: &Next, now: Time) {
        self.being_told = false;
        match outcome {
            Outcome::Told(at) => {
                self.done.told = Some(at.timestamp());
                self.done.times += 1;
                self.done.deployment = None;
                let primary = self.service.as_ref().and_then(Service::primary);
                self.done.given_up = primary.filter(|told| told.state == "FAILED").map(|told| told.id.clone());
                (self.deployment, self.state, self.after) = (None, State::Going, Some(now));
            }
            // Percents alone start nothing that would have to be seen before going on.
            Outcome::Percents(percents) => {
                if let Some(service) = &mut self.service {
                    service.percents = percents;
                }
            }
            Outcome::Found(deployment) => {
                (self.done.searched, self.done.found) = (true, deployment.is_some());
                self.done.deployment = deployment;
            }
            Outcome::Looked(Some(deployment)) => self.deployment = Some(deployment),
            Outcome::Looked(None) => self.done.deployment = None,
            Outcome::Counted(count) => self.count = Some(count),
            Outcome::Stopped => (self.stopped, self.after) = (true, Some(now)),
            // A failed call is no verdict: it is looked again.
            Outcome::Failed(problem) if problem.is_passing() => {
                warn!(error = %problem, service = self.course.service, "a call failed; going on with the next look");
                if matches!(next, Next::Tell(_)) && problem.kind == Kind::Unavailable && problem.operation != LEASE {
                    // It may have been carried out; telling it once more does no harm.
                    (self.state, self.after) = (State::Going, Some(now));
                }
                self.reason = format!("waiting: {problem}");
                self.service = None;
            }
            Outcome::Failed(problem) => self.lose(problem.to_string()),
        }
    }
}

/// Whether ECS refuses because of the deployment that is in progress.
fn is_in_the_way(error: &AwsError) -> bool {
    error.kind == Kind::Refused && (error.is("ConflictException") || error.message.contains("deployment"))
}
