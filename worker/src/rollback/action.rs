//! A turn of the action `Coalmine-Rollback`.
//!
//! ```text
//!   configuration ─► decided already? (rollbacks/<action execution>.json) ─ no ─► plan, check, put on record
//!                            └─ yes ─► fleet: observe, decide, act ─► success: every task counted; failure: who is where
//! ```
//!
//! The token says when the action began, whether it was decided, and, where that has room, where each service goes: with it
//! the courses are made again if the ledger loses the record. Everything else is on record, or AWS's.

use std::time::Duration;

use coalmine_door::clock::Time;
use coalmine_door::store::StoreError;
use coalmine_door::{AwsError, Kind};
use coalmine_pipeline::limits::cut;
use coalmine_pipeline::{Back, RollbackConfig, duration, variables};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::aws::codepipeline::{ActionExecution, FailureKind, Job};
use crate::aws::executions::ActionState;
use crate::deploy::decision::elapsed;
use crate::deploy::message;
use crate::deploy::rollback::aim::Aims;
use crate::deploy::rollback::token::Token;
use crate::deploy::rollback::words;
use crate::hindrance::{Hindrance, hindrance};
use crate::late::{Lost, is_taken_over};
use crate::ledger::rollbacks::{self, Decided};
use crate::report::Ending;
use crate::right::WANTED_INTERVAL;
use crate::rollback::again;
use crate::rollback::fleet::Fleet;
use crate::rollback::plan::{self, Plan, Request};
use crate::rollback::record::Author;
use crate::rollback::survey::Ledger;
use crate::tools::Tools;
use crate::turn::configuration;

/// One visit.
struct Turn<'a> {
    tools: &'a Tools,
    job: &'a Job,
    config: RollbackConfig,
    token: Token,
    fleet: Option<(Fleet, Vec<String>)>,
    wanted_at: Time,
    last: String,
    /// Whether this turn only corrects what it did too late; its job is over.
    late: bool,
}

/// Visits a job that was acknowledged.
pub(crate) async fn visit(tools: &Tools, job: &Job, mut stopping: watch::Receiver<bool>) -> Ending {
    let now = tools.clock.now();
    let config = match RollbackConfig::parse(&job.configuration) {
        Ok(config) => config,
        Err(problems) => return configuration(format!("The action's configuration cannot be used:\n{problems}")),
    };
    let token = match Token::read(job.token.as_deref(), now.timestamp()) {
        Ok(token) => token,
        Err(problem) => return configuration(format!("The job cannot be continued: {problem}.")),
    };
    let mut turn = Turn { tools, job, config, token, fleet: None, wanted_at: now, last: String::new(), late: false };
    loop {
        if stopping.has_changed().is_err() || *stopping.borrow_and_update() {
            return turn.end_here("the worker is being stopped".to_owned());
        }
        match turn.pass(&mut stopping).await {
            Ok(Some(_)) if turn.late => return Ending::NotWanted,
            Ok(Some(ending)) => return ending,
            Ok(None) => {}
            Err(problem) if problem.is_passing() => {
                warn!(error = %problem, "a call failed; going on with the next look");
                turn.last = format!("waiting: {problem}");
            }
            Err(problem) if turn.late => {
                warn!(error = %problem, "what was carried out too late could not be looked at: percents that it lent stay on record");
                return Ending::NotWanted;
            }
            Err(problem) => return turn.refused(&problem),
        }
        let age = elapsed(turn.token.began, tools.clock.now().timestamp());
        if age >= turn.config.deadline() {
            return if turn.late { Ending::NotWanted } else { turn.overdue() };
        }
        let lingered = (tools.clock.now() - now).to_std().unwrap_or_default();
        if lingered >= tools.linger && !turn.late {
            return turn.hand_back(turn.said());
        }
        tokio::select! {
            biased;
            _ = stopping.changed() => {}
            () = turn.rest() => {}
        }
    }
}

impl Turn<'_> {
    async fn rest(&self) {
        match &self.fleet {
            Some((fleet, _)) => fleet.rest(self.tools).await,
            None => self.tools.clock.wait(Duration::from_secs(2)).await,
        }
    }

    /// One pass; how the turn ends, if it does.
    async fn pass(&mut self, stopping: &mut watch::Receiver<bool>) -> Result<Option<Ending>, AwsError> {
        if !self.late && !self.tools.held.holds(&self.job.id) {
            return Ok(Some(self.hand_back("the worker's record of its jobs is gone".to_owned())));
        }
        if !self.late && !self.is_wanted().await? {
            return Ok(Some(Ending::NotWanted));
        }
        if self.fleet.is_none()
            && let Some(ending) = self.decide().await?
        {
            return Ok(Some(ending));
        }
        let (tools, job, token, to) = (self.tools, self.job, self.token.write(), self.config.to.clone());
        let Some((fleet, left_out)) = &mut self.fleet else { return Ok(None) };
        fleet.observe(tools).await?;
        let mut mutated = false;
        loop {
            let mut orders = fleet.orders(tools).await;
            if self.late {
                orders = fleet.without_telling(orders);
            } else if Fleet::mutates(&orders) {
                mutated = true;
                match hindrance(tools, job, &token).await? {
                    None => {}
                    Some(Hindrance::NotWanted) => return Ok(Some(Ending::NotWanted)),
                    Some(Hindrance::HandBack(reason)) => return Ok(Some(self.hand_back(reason))),
                }
            }
            if !fleet.act(tools, orders).await {
                break;
            }
        }
        let ending = fleet.is_over().then(|| end(fleet, left_out, &to));
        if mutated && self.is_too_late(stopping).await {
            return Ok(Some(Ending::NotWanted));
        }
        Ok(ending)
    }

    /// After an act: whether the job was taken over before the act was carried out, and there is nothing left to do here.
    /// While the action goes on, its new holder sees what was done; when it has ended, only this worker gives percents
    /// back that it lent too late. That a service was told once more to go where it was to go does no harm.
    async fn is_too_late(&mut self, stopping: &mut watch::Receiver<bool>) -> bool {
        let (tools, job) = (self.tools, self.job);
        if !is_taken_over(tools, &job.id).await {
            return false;
        }
        let percent = self.fleet.as_ref().map_or(0, |(fleet, _)| percent(fleet));
        let lost = Lost { tools, job, token: self.token.write(), percent, id: None };
        let is_given_up = || elapsed(self.token.began, tools.clock.now().timestamp()) >= self.config.deadline();
        self.late = lost.ended(stopping, is_given_up).await.is_some();
        !self.late
    }

    async fn is_wanted(&mut self) -> Result<bool, AwsError> {
        let now = self.tools.clock.now();
        if (now - self.wanted_at).to_std().unwrap_or_default() < WANTED_INTERVAL {
            return Ok(true);
        }
        let state = self.tools.codepipeline.action(&self.job.context).await?;
        self.wanted_at = self.tools.clock.now();
        Ok(state == ActionState::Wanted)
    }

    /// Takes up what was decided; where nothing was, decides, and puts it on record before anything is touched.
    async fn decide(&mut self) -> Result<Option<Ending>, AwsError> {
        let (tools, action) = (self.tools, self.job.context.action_execution.as_str());
        let ledger = |problem: StoreError| AwsError::unusable("reading the ledger", problem.to_string());
        let known = rollbacks::read(tools.held.store(), action).await.map_err(ledger)?;
        let searched = known.is_none() && !self.token.decided;
        let request = Request {
            cluster: self.config.cluster.clone(),
            services: self.config.services.clone(),
            to: self.config.to.clone(),
            canaries: self.config.options.canaries.clone(),
            surge: self.config.options.surge,
            home: self.config.home.clone(),
            ordered: self.token.began,
        };
        let decided = match known {
            Some(decided) => decided,
            None if self.token.decided => {
                warn!("the ledger has lost what this action decided: it is made again from the token");
                match self.made_again(&request).await? {
                    Ok(decided) => decided,
                    Err(ending) => return Ok(Some(ending)),
                }
            }
            None => {
                let Plan { planned, problems, .. } = Box::pin(plan::make(tools, &request, &[], Ledger::Needed)).await?;
                if planned.is_empty() || !(problems.is_empty() || self.config.options.partial) {
                    return Ok(Some(configuration(refusal(&problems))));
                }
                match hindrance(tools, self.job, &self.token.write()).await? {
                    Some(Hindrance::HandBack(reason)) => return Ok(Some(self.hand_back(reason))),
                    Some(Hindrance::NotWanted) => return Ok(Some(Ending::NotWanted)),
                    None => {}
                }
                let courses = plan::settle(tools, planned).await?;
                let left_out = problems.into_iter().map(|(service, problem)| format!("{service}: {problem}")).collect();
                let decided = Decided::new(self.token.began, courses, left_out);
                rollbacks::decide(tools.held.store(), action, decided).await.map_err(ledger)?
            }
        };
        (self.token.decided, self.token.aims) = (true, Aims::of(&decided.courses).to_string());
        let context = &self.job.context;
        let author = Author {
            by: format!("pipeline {}, execution {}", context.pipeline, context.execution),
            why: String::new(),
            action: Some(ActionExecution::of(context)),
            began: decided.began,
        };
        for course in &decided.courses {
            info!(service = course.service, "goes from {} to {}", course.from, course.to);
        }
        self.fleet = Some((Fleet::new(decided.courses, author, searched), decided.left_out));
        Ok(None)
    }

    /// What was decided, where the ledger has lost it: on record again, or how the action ends.
    async fn made_again(&self, request: &Request) -> Result<Result<Decided, Ending>, AwsError> {
        let action = self.job.context.action_execution.as_str();
        let courses = match self.token.aims.parse::<Aims>() {
            Ok(aims) if !aims.0.is_empty() => Box::pin(again::courses(self.tools, request, &aims)).await?,
            _ => Err(vec![(request.services.join(", "), "where it was to go is not known any more".to_owned())]),
        };
        let courses = match courses {
            Ok(courses) => courses,
            Err(problems) => {
                let list: String =
                    problems.iter().map(|(service, problem)| format!("\n- {service}: {problem}")).collect();
                let text = format!(
                    "The ledger has lost what this action decided ({action}), and it cannot go on without:{list}\nLook at the services in the ECS console; run the rollback again with the release that is meant."
                );
                return Ok(Err(Ending::Failed { kind: FailureKind::System, text, id: None }));
            }
        };
        let decided = Decided::new(self.token.began, courses, Vec::new());
        match rollbacks::decide(self.tools.held.store(), action, decided.clone()).await {
            Ok(decided) => Ok(Ok(decided)),
            // A record that cannot be read is as good as lost.
            Err(StoreError::Changed { .. }) => Ok(Ok(decided)),
            Err(problem) => Err(AwsError::unusable("writing the ledger", problem.to_string())),
        }
    }

    /// What the console shows meanwhile.
    fn said(&self) -> String {
        let Some((fleet, _)) = &self.fleet else { return self.last.clone() };
        let ends = fleet.ends();
        let waiting = ends.iter().find(|end| end.state != words::State::Back);
        let waiting = waiting.map(|end| format!("; {}: {}", end.course.service, end.reason)).unwrap_or_default();
        format!("{}{waiting}", words::summary(&ends))
    }

    /// How a turn ends that may go on elsewhere.
    fn end_here(&self, summary: String) -> Ending {
        if self.late { Ending::NotWanted } else { self.hand_back(summary) }
    }

    fn hand_back(&self, summary: String) -> Ending {
        let percent = self.fleet.as_ref().map_or(0, |(fleet, _)| percent(fleet));
        Ending::HandedBack { token: self.token.write(), percent, summary, id: None }
    }

    /// What AWS refused before anything was decided.
    fn refused(&self, problem: &AwsError) -> Ending {
        let kind = if problem.kind == Kind::Denied { FailureKind::Permission } else { FailureKind::Job };
        let text = match &self.fleet {
            None => format!("Nothing was rolled back: {problem}."),
            Some((fleet, _)) => format!("{problem}.\n{}", words::failure(&fleet.ends())),
        };
        Ending::Failed { kind, text, id: None }
    }

    fn overdue(&self) -> Ending {
        let within = duration::show(self.config.deadline());
        let text = match &self.fleet {
            None => format!("Nothing was rolled back within {within}: {}", self.last),
            Some((fleet, _)) => format!("Not done within {within}. {}", words::failure(&fleet.ends())),
        };
        Ending::Failed { kind: FailureKind::Job, text, id: None }
    }
}

fn percent(fleet: &Fleet) -> u8 {
    let (there, wanted) = fleet.tasks().into_iter().fold((0, 0), |(a, b), (there, wanted)| (a + there, b + wanted));
    u8::try_from(u64::from(there) * 95 / u64::from(wanted.max(1))).unwrap_or(95).min(95)
}

fn end(fleet: &Fleet, left_out: &[String], to: &Back) -> Ending {
    let ends = fleet.ends();
    if !fleet.is_back() {
        return Ending::Failed { kind: FailureKind::Job, text: words::failure(&ends), id: None };
    }
    let mut summary = format!("Rollback: {}", words::summary(&ends));
    if let Some(there) = words::unchanged(&ends, "To=", to) {
        summary = format!("{summary}; {there}");
    }
    if !left_out.is_empty() {
        summary = format!("{summary}; left out: {}", left_out.join("; "));
    }
    let summary = message::summary(&summary);
    let variables = [(variables::ROLLED_BACK.name.to_owned(), summary.clone())].into();
    Ending::Succeeded { summary, id: None, variables }
}

fn refusal(problems: &[(String, String)]) -> String {
    let list: String = problems
        .iter()
        .map(|(service, problem)| format!("\n- {service}: {}", cut(problem, 1_000).replace('\n', "\n  ")))
        .collect();
    format!("Nothing was rolled back:{list}")
}
