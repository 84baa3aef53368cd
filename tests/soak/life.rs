//! A life: all that people, machines and AWS do to a few pipelines, as a plain value that prints one line per event.

use std::fmt;
use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, StageRetryMode};
use coalmine_pipeline::duration::show;
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, Freeze, Moment};
use simulator::{Service, Skew};

use crate::stage::Application;

/// Everything that happens. Dates count from the beginning.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// What it was made of, and what rules the world's and the worker's own chance.
    pub(crate) seed: u64,
    /// The applications, each with the pipeline of its name.
    pub(crate) applications: Vec<Application>,
    /// The pipelines: those of the applications, and at times a second one on the same two services.
    pub(crate) pipelines: Vec<Application>,
    /// How long a job that one poll found is also found by others: makes races.
    pub(crate) overlap: Duration,
    /// How soon a job that nobody has acknowledged yet is offered again, also to whom it was offered.
    pub(crate) again: Duration,
    /// The workers.
    pub(crate) workers: Vec<Hand>,
    /// What goes wrong between them and AWS.
    pub(crate) weather: Vec<Weather>,
    /// What is released.
    pub(crate) releases: Vec<Release>,
    /// What else happens, in order.
    pub(crate) happenings: Vec<(Duration, Happening)>,
}

/// A worker, and what befalls its process.
#[derive(Clone, Debug)]
pub(crate) struct Hand {
    /// The access key that it signs with.
    pub(crate) key: String,
    /// How many jobs it holds at a time.
    pub(crate) slots: usize,
    /// How far its clock is off.
    pub(crate) skew: Skew,
    /// How long it takes to come back after a death or a stop.
    pub(crate) back: Duration,
    /// Deaths and freezes.
    pub(crate) mishaps: Vec<Mishap>,
}

/// A process dies or freezes at its first call after a date, or at the first call of one operation.
#[derive(Clone, Debug)]
pub(crate) struct Mishap {
    /// From when on.
    pub(crate) from: Duration,
    /// At any call, or at this one.
    pub(crate) operation: Option<&'static str>,
    /// What.
    pub(crate) what: End,
}

/// How a process comes to a halt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// For good.
    Dies(Moment),
    /// For a while.
    Freezes(Freeze, Duration),
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// From when.
    pub(crate) from: Duration,
    /// Until when.
    pub(crate) until: Duration,
    /// For one worker; otherwise for all.
    pub(crate) worker: Option<usize>,
    /// With calls of one service only.
    pub(crate) service: Option<Service>,
    /// With calls of one operation only.
    pub(crate) operation: Option<&'static str>,
    /// How probably.
    pub(crate) chance: f64,
    /// What.
    pub(crate) fault: Fault,
}

/// A build pushes an image and starts a pipeline; people answer.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    /// When.
    pub(crate) at: Duration,
    /// Which pipeline, by its place.
    pub(crate) pipeline: usize,
    /// The image's tag.
    pub(crate) tag: String,
    /// The image.
    pub(crate) image: Image,
    /// How it behaves from the second approval on, where that is otherwise.
    pub(crate) turns: Option<Behaviour>,
    /// What people say to the first and to the second approval.
    pub(crate) answers: [Answer; 2],
    /// Somebody stops the execution.
    pub(crate) stop: Option<Stop>,
    /// Somebody retries its stage after it has failed.
    pub(crate) retry: Option<(Duration, StageRetryMode)>,
}

/// What a release brings.
#[derive(Clone, Debug)]
pub(crate) enum Image {
    /// An image for the tasks' architecture.
    Pushed(Behaviour),
    /// An image for another one.
    OtherArchitecture,
    /// None: the push was forgotten.
    Missing,
}

/// What people say to an approval, so long after they were asked.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// How long they think.
    pub(crate) after: Duration,
    /// `None`: nobody answers, and the approval runs out.
    pub(crate) says: Option<ApprovalStatus>,
}

/// Somebody stops an execution while one of its actions runs.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    /// `Canary`, `Approve` or `Full`, in the stage Release.
    pub(crate) during: &'static str,
    /// How long after the action began.
    pub(crate) after: Duration,
    /// Whether the actions in progress are abandoned.
    pub(crate) abandon: bool,
}

/// What else happens.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// Autoscaling wants another number of tasks of a full service.
    Scales { service: String, tasks: i32 },
    /// Somebody deploys to a service by hand.
    Deploys { application: usize, service: String, behaviour: Behaviour },
    /// Somebody stops a service's deployment, which rolls it back.
    StopsDeployment { service: String },
    /// Somebody rolls a pipeline's last stage back to its last success but one.
    RollsBack { pipeline: usize },
    /// Spot capacity is taken back.
    Spot { service: String, tasks: usize },
    /// There is no capacity for new tasks.
    NoCapacity { service: String, lasting: Duration },
    /// The registry throttles so many pulls.
    PullsFail { count: usize },
    /// A worker is told to stop, and comes back.
    Sigterm { worker: usize },
    /// The clock of a worker's machine is set.
    SetsClock { worker: usize, skew: Skew },
}

impl Life {
    /// When the last thing begins or ends that was planned.
    pub(crate) fn last_plan(&self) -> Duration {
        let weather = self.weather.iter().map(|weather| weather.until);
        let releases = self.releases.iter().map(|release| release.at);
        let happenings = self.happenings.iter().map(|(at, _)| *at);
        weather.chain(releases).chain(happenings).max().unwrap_or_default()
    }
}

fn named(behaviour: &Behaviour) -> String {
    match behaviour {
        Behaviour::CrashesAfter { after, exit_code, .. } => format!("CrashesAfter {} with {exit_code}", show(*after)),
        Behaviour::OutOfMemory { after } => format!("OutOfMemory after {}", show(*after)),
        Behaviour::SlowStart(by) => format!("SlowStart by {}", show(*by)),
        other => format!("{other:?}"),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.says {
            Some(status) => write!(f, "{status} after {}", show(self.after)),
            None => f.write_str("nobody answers"),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = match &self.image {
            Image::Pushed(behaviour) => named(behaviour),
            other => format!("{other:?}"),
        };
        write!(f, "{:>7} release {} ({image}) through pipeline {}", show(self.at), self.tag, self.pipeline)?;
        write!(f, "; {}; {}", self.answers[0], self.answers[1])?;
        if let Some(behaviour) = &self.turns {
            write!(f, ", then it {}", named(behaviour))?;
        }
        if let Some(Stop { during, after, abandon }) = &self.stop {
            let how = if *abandon { "abandoned" } else { "stopped" };
            write!(f, "; {how} {} into {during}", show(*after))?;
        }
        if let Some((after, mode)) = &self.retry {
            write!(f, "; retried ({mode}) {} after a failure", show(*after))?;
        }
        Ok(())
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scales { service, tasks } => write!(f, "autoscaling wants {tasks} tasks of {service}"),
            Self::Deploys { service, behaviour, .. } => {
                write!(f, "somebody deploys to {service} by hand ({})", named(behaviour))
            }
            Self::StopsDeployment { service } => write!(f, "somebody stops the deployment of {service}"),
            Self::RollsBack { pipeline } => write!(f, "somebody rolls the stage Release of pipeline {pipeline} back"),
            Self::Spot { service, tasks } => write!(f, "Spot takes {tasks} tasks of {service}"),
            Self::NoCapacity { service, lasting } => write!(f, "no capacity for {service} for {}", show(*lasting)),
            Self::PullsFail { count } => write!(f, "the next {count} pulls are throttled"),
            Self::Sigterm { worker } => write!(f, "worker {worker} is told to stop"),
            Self::SetsClock { worker, skew } => write!(f, "the clock of worker {worker} is set: skew {skew:?}"),
        }
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "life {}", self.seed)?;
        for (place, app) in self.pipelines.iter().enumerate() {
            let Application { name, pipeline, full, canary, deployment, rebalancing, patience, mode, .. } = app;
            writeln!(
                f,
                "  pipeline {place} {pipeline} on {name}: {full} + {canary} tasks, {deployment}, rebalancing {rebalancing}, \
                 deployed {}, {mode}, patience {patience:?} min, alarms {:?}, Canary {:?}, Full {:?}",
                app.deployed, app.alarms, app.canary_action, app.full_action
            )?;
        }
        let (overlap, again) = (show(self.overlap), show(self.again));
        writeln!(f, "  polls overlap for {overlap}, offers are repeated after {again}")?;
        for (place, Hand { key, slots, skew, back, mishaps }) in self.workers.iter().enumerate() {
            writeln!(f, "  worker {place} {key}: {slots} slots, skew {skew:?}, back after {}", show(*back))?;
            for Mishap { from, operation, what } in mishaps {
                let at = operation.unwrap_or("call");
                writeln!(f, "    {:>7} {what:?} at its next {at}", show(*from))?;
            }
        }
        for weather in &self.weather {
            let Weather { from, until, worker, service, operation, chance, fault } = weather;
            let whose = worker.map_or_else(|| "all workers".to_owned(), |worker| format!("worker {worker}"));
            let what = match (service, operation) {
                (_, Some(operation)) => (*operation).to_owned(),
                (Some(service), None) => service.name().to_owned(),
                (None, None) => "any call".to_owned(),
            };
            writeln!(f, "  {:>7} until {}: {fault}, {what}, {whose}, chance {chance:.2}", show(*from), show(*until))?;
        }
        for release in &self.releases {
            writeln!(f, "  {release}")?;
        }
        for (at, happening) in &self.happenings {
            writeln!(f, "  {:>7} {happening}", show(*at))?;
        }
        Ok(())
    }
}
