//! A life played to its end, on virtual time.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use aws_sdk_codepipeline::types::ActionExecutionStatus;
use simulator::faults::{Fault, FaultPlan, Rule};
use simulator::{Settings, Simulator};

use crate::crew::Crew;
use crate::late::{Excuses, Finding};
use crate::life::{End, Happening, Life, Mishap, Weather};
use crate::people::People;
use crate::rest;
use crate::stage::invariants::{Broken, Invariants};
use crate::stage::pipeline_json;
use crate::stage::story::prepare;
use crate::tally::Tally;

/// How often people look.
const TICK: Duration = Duration::from_secs(2);

/// Within this time after the last thing that was planned a life is over. A turnover may take 3 h, its undo another.
const PATIENCE: Duration = Duration::from_secs(10 * 3_600);

/// How long the world is left alone before it must be at rest: a death is found out after a minute, an undo is followed
/// for half an hour and then left to ECS.
const REST: Duration = Duration::from_secs(3 * 60);

/// How names of operations begin that change nothing.
const READS: [&str; 6] = ["Describe", "List", "Poll", "Get", "BatchGet", "FilterLogEvents"];

/// What a life came to.
pub(crate) struct Played {
    /// What there was of each.
    pub(crate) tally: Tally,
    /// What broke first; `None`: all held.
    pub(crate) broken: Option<String>,
    /// The calls that changed something.
    pub(crate) picture: String,
    /// Every call there was, one a line.
    pub(crate) calls: Vec<String>,
}

/// A life that is being played.
pub(crate) struct Play<'a> {
    pub(crate) life: &'a Life,
    pub(crate) simulator: Simulator,
    pub(crate) invariants: Invariants,
    /// What was excused by what a frozen process did late.
    excuses: RefCell<Excuses>,
}

/// Plays a life in a runtime of its own.
pub(crate) fn play(life: &Life) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        // The programs' own jitter comes from this thread's generator: the seed repeats the whole life.
        fastrand::seed(life.seed);
        let simulator = Simulator::new(Settings::seeded(life.seed));
        let play = Play::begin(life, simulator);
        let mut tally = Tally::default();
        let broken = play.to_the_end(&mut tally).await.err();
        play.count(&mut tally);
        let epoch = play.simulator.settings().epoch;
        play.simulator.with_calls(|calls| Played {
            tally,
            broken,
            picture: calls.picture(epoch, |call| {
                let reads = READS.iter().any(|read| call.operation.starts_with(read));
                !reads && call.service != simulator::Service::S3
            }),
            calls: calls.records.iter().map(written).collect(),
        })
    })
}

impl<'a> Play<'a> {
    fn begin(life: &'a Life, simulator: Simulator) -> Self {
        simulator.check_dates();
        simulator.with_world(|world| {
            prepare(world, &life.applications, true);
            for pipeline in &life.pipelines[life.applications.len()..] {
                world.create_pipeline_from_json(&pipeline_json(pipeline).to_string()).expect("a pipeline");
            }
            world.codepipeline.set_offer_overlap(life.overlap);
            world.codepipeline.set_offered_again(life.again);
        });
        let invariants = Invariants::watch(&simulator, &life.applications.iter().collect::<Vec<_>>());
        invariants.expect_deaths();
        simulator.inject(faults(life, simulator.settings().epoch));
        Self { life, simulator, invariants, excuses: RefCell::default() }
    }

    /// How long it has been going on.
    pub(crate) fn age(&self) -> Duration {
        let now = self.simulator.clock().now();
        now.duration_since(self.simulator.settings().epoch).unwrap_or_default()
    }

    async fn to_the_end(&self, tally: &mut Tally) -> Result<(), String> {
        let mut crew = Crew::begin(self);
        let mut people = People::begin(self);
        let last_plan = self.life.last_plan();
        let waits = || self.simulator.with_world(|world| rest::is_waiting(world));
        while !(people.is_done(self) && self.age() >= last_plan && crew.is_steady() && !waits()) {
            people.look(self, &mut crew).await;
            crew.look(self).await?;
            self.held()?;
            if self.age() > last_plan + PATIENCE {
                let waits = [people.is_done(self), crew.is_steady(), !waits()];
                let unfinished = rest::unfinished(self);
                return Err(format!("life goes on and on: {unfinished} (people, workers, canaries done: {waits:?})"));
            }
            self.simulator.clock().wait(TICK).await;
        }
        self.simulator.clock().wait(REST).await;
        crew.look(self).await?;
        self.held()?;
        rest::claim(self, &people)?;
        crew.dismiss(self, tally).await?;
        self.held()
    }

    /// Fails with what broke; not with what a call explains that a frozen process sent late.
    fn held(&self) -> Result<(), String> {
        let broken = self.invariants.taken();
        match broken.iter().find(|broken| !self.is_excused(broken)) {
            Some(broken) => Err(broken.to_string()),
            None => Ok(()),
        }
    }

    fn is_excused(&self, broken: &Broken) -> bool {
        let Some(service) = &broken.service else { return false };
        let (ends, what) = (self.ends(service), broken.to_string());
        let finding = Finding { at: broken.at, service, what: &what };
        self.simulator.with_calls(|calls| self.excuses.borrow_mut().explain(&finding, &calls.records, &ends))
    }

    /// When actions on a service's application ended.
    fn ends(&self, service: &str) -> Vec<SystemTime> {
        let Some(app) = self.life.applications.iter().find(|app| app.name == service || app.canary_name() == *service)
        else {
            return Vec::new();
        };
        self.simulator.with_world(|world| {
            let ended = rest::runs(world, app).into_iter().map(|(_, run)| run);
            ended.filter(|run| run.status != ActionExecutionStatus::InProgress).map(|run| run.updated).collect()
        })
    }

    fn count(&self, tally: &mut Tally) {
        tally.lives = 1;
        tally.virtual_time = self.age();
        tally.deaths = self.simulator.deaths().len();
        let is_clock = |happening: &Happening| matches!(happening, Happening::SetsClock { .. });
        tally.clocks = self.life.happenings.iter().filter(|(_, happening)| is_clock(happening)).count();
        self.simulator.with_world(|world| tally.count_executions(world));
        self.simulator.with_calls(|calls| {
            tally.calls = calls.records.len();
            let faults = calls.records.iter().filter_map(|call| call.error.as_ref());
            tally.faults = faults.filter(|error| error.contains("fault: ")).count();
        });
    }
}

/// All that goes wrong with calls. Of the rules that are due for a call the first happens: mishaps before weather.
fn faults(life: &Life, epoch: SystemTime) -> FaultPlan {
    let mut plan = FaultPlan::seeded(life.seed);
    for worker in &life.workers {
        for Mishap { from, operation, what } in &worker.mishaps {
            let fault = match what {
                End::Dies(moment) => Fault::Kill(*moment),
                End::Freezes(when, length) => Fault::Freeze(*when, *length),
            };
            let rule = Rule::new(fault).caller(&worker.key).from(epoch + *from).times(1);
            plan = plan.rule(match operation {
                Some(operation) => rule.operation(*operation),
                None => rule,
            });
        }
    }
    for Weather { from, until, worker, service, operation, chance, fault } in &life.weather {
        let hit = life.workers.iter().enumerate().filter(|(place, _)| worker.is_none_or(|worker| worker == *place));
        for (_, worker) in hit {
            let mut rule = Rule::new(fault.clone()).caller(&worker.key).chance(*chance);
            rule = rule.from(epoch + *from).until(epoch + *until);
            if let Some(service) = service {
                rule = rule.service(*service);
            }
            if let Some(operation) = operation {
                rule = rule.operation(*operation);
            }
            plan = plan.rule(rule);
        }
    }
    plan
}

/// A call, the members of its request in one order: the SDK writes a map in any.
fn written(call: &simulator::CallRecord) -> String {
    let mut call = call.clone();
    call.request.sort_all_objects();
    format!("{call:?}")
}
