//! A life from one seed.

use std::time::Duration;

use aws_sdk_codepipeline::types::{ApprovalStatus, StageRetryMode};
use serde_json::json;
use simulator::ecr::Behaviour;
use simulator::faults::{Fault, Freeze, Moment};
use simulator::{Service, Skew};

use crate::life::{Answer, End, Hand, Happening, Image, Life, Mishap, Release, Stop, Weather};
use crate::stage::Application;

/// Within this time everything begins.
const PLANS: u64 = 15 * 60;

impl Life {
    /// The life that a seed stands for.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice(fastrand::Rng::with_seed(seed));
        let names: &[&str] = if dice.in_a_hundred(20) { &["shop", "mail"] } else { &["shop"] };
        let applications: Vec<Application> = names.iter().map(|name| dice.application(name)).collect();
        let mut pipelines = applications.clone();
        if dice.in_a_hundred(20) {
            pipelines.push(applications[0].by_pipeline("hotfix"));
        }
        let workers = 2 + dice.few(2);
        let workers: Vec<Hand> = (0..workers).map(|place| dice.hand(place)).collect();
        let weather = (0..1 + dice.few(5)).map(|_| dice.weather(workers.len())).collect();
        let mut releases: Vec<Release> = Vec::new();
        for (place, pipeline) in pipelines.iter().enumerate() {
            for _ in 0..1 + dice.few(3) {
                let number = releases.len() + 2;
                releases.push(dice.release(number, place, pipeline.patience.is_some()));
            }
        }
        releases.sort_by_key(|release| release.at);
        let mut happenings: Vec<(Duration, Happening)> = Vec::new();
        for _ in 0..dice.few(5) {
            let happening = dice.happening(&applications, pipelines.len(), workers.len());
            happenings.push((dice.seconds(0, PLANS + 600), happening));
        }
        happenings.sort_by_key(|(at, _)| *at);
        let overlap = if dice.in_a_hundred(40) { dice.millis(50, 3_000) } else { Duration::ZERO };
        for _ in 0..dice.few(3) {
            happenings.extend(dice.clock(workers.len()));
        }
        happenings.sort_by_key(|(at, _)| *at);
        let again = if dice.in_a_hundred(50) { dice.millis(500, 5_000) } else { Duration::from_secs(60) };
        Self { seed, applications, pipelines, overlap, again, workers, weather, releases, happenings }
    }
}

/// Where everything is drawn from.
struct Dice(fastrand::Rng);

impl Dice {
    fn in_a_hundred(&mut self, times: u32) -> bool {
        self.0.u32(0..100) < times
    }

    /// 0 to `most`, small numbers more often.
    fn few(&mut self, most: usize) -> usize {
        self.0.usize(0..=most).min(self.0.usize(0..=most))
    }

    fn seconds(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_secs(self.0.u64(least..=most))
    }

    fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.0.u64(least..=most))
    }

    fn one_of<T: Clone>(&mut self, these: &[T]) -> T {
        these[self.0.usize(0..these.len())].clone()
    }

    fn application(&mut self, name: &str) -> Application {
        let tasks = if self.in_a_hundred(70) { self.0.i32(1..=12) } else { self.0.i32(1..=40) };
        let mut app = if self.in_a_hundred(30) {
            Application::queue_workers(name, (tasks / 9).max(1), tasks)
        } else {
            Application::web(name, tasks)
        };
        if self.in_a_hundred(20) {
            app.deployment = json!({"minimumHealthyPercent": 50, "maximumPercent": 150});
        }
        if self.in_a_hundred(40) {
            app = app.with_breaker();
        }
        app.rebalancing = self.in_a_hundred(20);
        app.immutable = self.in_a_hundred(80);
        if self.in_a_hundred(25) {
            app = app.with_alarm(&format!("{name}-5xx"));
        }
        if self.in_a_hundred(10) {
            app = app.never_deployed();
        }
        app.mode = if self.in_a_hundred(80) { "SUPERSEDED" } else { "QUEUED" };
        app.patience = self.in_a_hundred(30).then(|| self.0.u32(5..=20));
        let bakes = ["0s", "30s", "2m", "5m"];
        let (canary, full) = (self.one_of(&bakes), self.one_of(&bakes));
        app = app.canary_with("BakeTime", canary).full_with("BakeTime", full);
        let mut full = vec!["deadline=40m"];
        if self.in_a_hundred(30) {
            full.push("surge=true");
        }
        if self.in_a_hundred(80) {
            let (canary, full) = (String::from("deadline=20m"), full.join(", "));
            app = app.canary_with("Options", &canary).full_with("Options", &full);
        }
        if self.in_a_hundred(20) {
            let batch = self.one_of(&["5%", "25%", "50%"]);
            app = app.full_with("Batch", batch);
        }
        app
    }

    fn hand(&mut self, place: usize) -> Hand {
        let skew = match self.0.u32(0..10) {
            0 => Skew::Ahead(self.seconds(1, 50)),
            1 => Skew::Behind(self.seconds(1, 50)),
            _ => Skew::None,
        };
        let mishaps = (0..self.few(4)).map(|_| self.mishap()).collect();
        let slots = if self.in_a_hundred(15) { 1 } else { 20 };
        Hand { key: format!("AKIAHAND{place}"), slots, skew, back: self.seconds(1, 240), mishaps }
    }

    fn mishap(&mut self) -> Mishap {
        const CALLS: [&str; 8] = [
            "UpdateService",
            "UpdateService",
            "RegisterTaskDefinition",
            "StopServiceDeployment",
            "AcknowledgeJob",
            "PutJobSuccessResult",
            "PutJobFailureResult",
            "ListServiceDeployments",
        ];
        let what = if self.in_a_hundred(70) {
            End::Dies(self.moment())
        } else {
            let when = self.one_of(&[Freeze::BeforeSending, Freeze::WhileSending, Freeze::AfterSending]);
            End::Freezes(when, self.seconds(3, 200))
        };
        let operation = self.in_a_hundred(60).then(|| self.one_of(&CALLS));
        Mishap { from: self.seconds(0, PLANS), operation, what }
    }

    fn moment(&mut self) -> Moment {
        self.one_of(&[Moment::BeforeTheAct, Moment::AfterTheAct])
    }

    fn weather(&mut self, workers: usize) -> Weather {
        let from = self.seconds(0, PLANS);
        let chance = 0.05 + 0.9 * f64::from(self.0.u32(0..100)) / 100.0;
        let mut weather = Weather {
            from,
            until: from + self.seconds(20, 500),
            worker: self.in_a_hundred(40).then(|| self.0.usize(0..workers)),
            service: None,
            operation: None,
            chance,
            fault: Fault::Throttle,
        };
        const SERVICES: [Service; 5] =
            [Service::CodePipeline, Service::Ecs, Service::S3, Service::Ecr, Service::CloudWatch];
        if self.in_a_hundred(60) {
            weather.service = Some(self.one_of(&SERVICES));
        }
        weather.fault = match self.0.u32(0..100) {
            0..15 => Fault::Throttle,
            15..27 => Fault::ServerError(self.moment()),
            27..39 => Fault::Reset(self.moment()),
            39..51 => Fault::TimeOut(self.moment()),
            51..59 => Fault::eventual_consistency(self.seconds(2, 30)),
            59..65 => Fault::ShortPage(self.0.u32(1..=3)),
            65..69 => Fault::RepeatedPage,
            69..73 => Fault::RepeatedItems,
            73..79 => Fault::Failures(self.one_of(&["MISSING", "SERVICE_UNAVAILABLE"]).into()),
            79..85 => Fault::UnknownValue(
                self.one_of(&[
                    "serviceDeployments[].status",
                    "services[].status",
                    "services[].deployments[].rolloutState",
                ])
                .into(),
            ),
            85..93 => Fault::Delay(self.seconds(1, 20)),
            93..96 => Fault::Crowded,
            _ => {
                const READS_AND_ACTS: [&str; 6] = [
                    "DescribeServices",
                    "RegisterTaskDefinition",
                    "UpdateService",
                    "PutJobSuccessResult",
                    "ListActionExecutions",
                    "DescribeTasks",
                ];
                weather.service = None;
                weather.operation = Some(self.one_of(&READS_AND_ACTS));
                Fault::AccessDenied
            }
        };
        weather
    }

    fn behaviour(&mut self, good: u32) -> Behaviour {
        if self.in_a_hundred(good) {
            return if self.in_a_hundred(80) { Behaviour::Good } else { Behaviour::SlowStart(self.seconds(10, 120)) };
        }
        match self.0.u32(0..7) {
            0 | 1 => Behaviour::CrashesAfter {
                after: self.seconds(0, 120),
                exit_code: self.0.i32(1..=3),
                lines: vec!["it did not go well".into()],
            },
            2 => Behaviour::NeverHealthy,
            3 => Behaviour::OutOfMemory { after: self.seconds(5, 120) },
            4 => Behaviour::CannotBePulled,
            5 => Behaviour::WrongArchitecture,
            _ => Behaviour::Raises5xx,
        }
    }

    fn release(&mut self, number: usize, pipeline: usize, patient: bool) -> Release {
        let image = match self.0.u32(0..100) {
            0..3 => Image::Missing,
            3..6 => Image::OtherArchitecture,
            _ => Image::Pushed(self.behaviour(72)),
        };
        let turns = self.in_a_hundred(25).then(|| self.behaviour(0));
        let answers = [self.answer(4, patient), self.answer(12, patient)];
        let stop = self.in_a_hundred(15).then(|| Stop {
            during: self.one_of(&["Canary", "Approve", "Full", "Full"]),
            after: self.seconds(0, 240),
            abandon: self.in_a_hundred(50),
        });
        let mode = self.one_of(&[StageRetryMode::AllActions, StageRetryMode::FailedActions]);
        let retry = self.in_a_hundred(25).then(|| (self.seconds(0, 400), mode));
        let at = self.seconds(0, PLANS);
        Release { at, pipeline, tag: format!("v{number}"), image, turns, answers, stop, retry }
    }

    fn answer(&mut self, no: u32, patient: bool) -> Answer {
        let says = match self.0.u32(0..100) {
            drawn if drawn < no => Some(ApprovalStatus::Rejected),
            drawn if drawn < no + 10 && patient => None,
            _ => Some(ApprovalStatus::Approved),
        };
        let most = if self.in_a_hundred(80) { 90 } else { 900 };
        Answer { after: self.seconds(1, most), says }
    }

    /// A clock is set, mostly by minutes, and mostly it is set right again: by whoever set it, or when a machine that slept
    /// hears of the date.
    fn clock(&mut self, workers: usize) -> Vec<(Duration, Happening)> {
        let (worker, at) = (self.0.usize(0..workers), self.seconds(0, PLANS + 600));
        // More than five minutes AWS refuses at first.
        let by = if self.in_a_hundred(85) { self.seconds(5, 280) } else { self.seconds(301, 600) };
        let skew = if self.in_a_hundred(50) { Skew::Ahead(by) } else { Skew::Behind(by) };
        let mut set = vec![(at, Happening::SetsClock { worker, skew })];
        if self.in_a_hundred(80) {
            set.push((at + self.seconds(1, 240), Happening::SetsClock { worker, skew: Skew::None }));
        }
        set
    }

    fn happening(&mut self, applications: &[Application], pipelines: usize, workers: usize) -> Happening {
        let application = self.0.usize(0..applications.len());
        let app = &applications[application];
        let either = |dice: &mut Self| if dice.in_a_hundred(50) { app.name.clone() } else { app.canary_name() };
        match self.0.u32(0..100) {
            0..30 => Happening::Scales { service: app.name.clone(), tasks: self.0.i32(1..=30) },
            30..38 => {
                let service = either(self);
                Happening::Deploys { application, service, behaviour: self.behaviour(80) }
            }
            38..44 => Happening::StopsDeployment { service: either(self) },
            44..54 => Happening::RollsBack { pipeline: self.0.usize(0..pipelines) },
            54..62 => Happening::Spot { service: either(self), tasks: self.0.usize(1..=3) },
            62..68 => Happening::NoCapacity { service: either(self), lasting: self.seconds(30, 400) },
            68..74 => Happening::PullsFail { count: self.0.usize(1..=3) },
            _ => Happening::Sigterm { worker: self.0.usize(0..workers) },
        }
    }
}
