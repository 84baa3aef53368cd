//! A fleet is rolled back, by the action and by the command: whoever dies, and whatever goes wrong, at whatever call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use simulator::faults::{Fault, FaultPlan, Moment};

use crate::fleet::{Played, Roller, play};
use crate::kinds::{ALL, Claim, Kind};
use crate::play::Cast;
use crate::points::Extent;

/// How many applications, each of two services, are rolled back where a call goes wrong.
const FEW: usize = 2;

/// How many where somebody dies: twelve services, which are more than one call describes.
const MANY: usize = 6;

/// The same without a disturbance, told once per process.
fn undisturbed(roller: Roller, size: usize, cast: Cast) -> Arc<Played> {
    type Told = BTreeMap<String, Arc<OnceLock<Arc<Played>>>>;
    static TOLD: Mutex<Told> = Mutex::new(BTreeMap::new());
    let told = format!("{roller:?} {size} {cast:?}");
    let cell = TOLD.lock().unwrap_or_else(PoisonError::into_inner).entry(told).or_default().clone();
    let played = cell.get_or_init(|| {
        let played = play(roller, size, cast, None).expect("the undisturbed rollback comes to its end");
        assert_eq!(played.tries, ["succeeded"]);
        for service in &played.services {
            let (name, tasks) = (service.name.as_str(), if service.name.ends_with("canary") { 1 } else { 3 });
            let own = if name.trim_end_matches("-canary").ends_with(['1', '3', '5', '7', '9']) { 50 } else { 100 };
            assert_eq!(service.to_string(), format!("{tasks} x {name}:2 at {own}/200 after 4"));
        }
        Arc::new(played)
    });
    Arc::clone(played)
}

/// What was tried, and what ended otherwise.
#[derive(Debug, Default)]
struct Tally {
    tried: usize,
    given_up: usize,
    wrong: Vec<String>,
}

impl Tally {
    /// Counts one that must come to the same end, where it may be given up with a second try.
    fn count(&mut self, whole: &Played, played: Result<Played, String>, may_give_up: bool, what: &str) {
        self.tried += 1;
        let wrong = match played {
            Ok(Played { tries, .. }) if tries.len() > 1 && !may_give_up => format!("it was given up: {tries:#?}"),
            Ok(Played { tries, services, .. }) if services == whole.services => {
                self.given_up += usize::from(tries.len() > 1);
                return;
            }
            Ok(Played { tries, services, .. }) => {
                let otherwise = services.iter().filter(|service| !whole.services.contains(service));
                let list: Vec<String> = otherwise.map(ToString::to_string).collect();
                format!("{}\nafter {tries:#?}", list.join("; "))
            }
            Err(panic) => panic,
        };
        eprintln!("WRONG {what}");
        self.wrong.push(format!("{what}: {wrong}"));
    }

    fn close(self, what: &str) {
        let Self { tried, given_up, wrong } = self;
        println!("{what}: {tried} tried, {given_up} of them done by a second try, {} ended otherwise", wrong.len());
        assert!(tried > 0 && wrong.is_empty(), "{} of {tried} ended otherwise:\n{}", wrong.len(), wrong.join("\n\n"));
    }
}

fn whoever_dies(roller: Roller) {
    let whole = undisturbed(roller, MANY, Cast::One);
    let mut tally = Tally::default();
    let calls = whole.calls.get(roller.key()).map(Vec::as_slice).unwrap_or_default();
    let last = calls.last().map(|call| call.number);
    for call in Extent::told("COALMINE_KILLS", 2).of(calls.iter(), 5) {
        for moment in [Moment::BeforeTheAct, Moment::AfterTheAct] {
            // With its last act a command is over for all services: given again, it means one release further.
            if roller == Roller::Operator && moment == Moment::AfterTheAct && Some(call.number) == last {
                continue;
            }
            let plan = FaultPlan::at(roller.key(), call.number, Fault::Kill(moment));
            let what = format!("{roller:?}, killed {moment} {call}");
            // Whoever finds a dead operator's terminal gives the command again.
            tally.count(&whole, play(roller, MANY, Cast::One, Some(plan)), roller == Roller::Operator, &what);
        }
    }
    tally.close(&format!("deaths in a rollback, {roller:?}"));
}

fn whatever_goes_wrong(roller: Roller) {
    let mut tally = Tally::default();
    for kind in ALL {
        let Kind { name, cast, claim, rule } = kind;
        let whole = undisturbed(roller, FEW, cast);
        for (who, calls) in &whole.calls {
            let possible = calls.iter().filter(|call| rule(call).is_some());
            for call in Extent::told("COALMINE_FAULTS", 1).of(possible, kind.seed()) {
                let Some(rule) = rule(call) else { continue };
                let plan = FaultPlan::seeded(kind.seed()).rule(rule.caller(*who));
                // An operator is told at once what AWS does not answer before anything is touched.
                let may_give_up = claim == Claim::Honest || roller == Roller::Operator;
                let what = format!("{roller:?}, {cast:?}, {name} at {who}'s {call}");
                tally.count(&whole, play(roller, FEW, cast, Some(plan)), may_give_up, &what);
            }
        }
    }
    tally.close(&format!("faults in a rollback, {roller:?}"));
}

#[test]
fn a_fleet_is_rolled_back_by_its_action_whoever_dies() {
    whoever_dies(Roller::Action);
}

#[test]
fn a_fleet_is_rolled_back_by_the_command_whoever_dies() {
    whoever_dies(Roller::Operator);
}

#[test]
fn a_fleet_is_rolled_back_by_its_action_whatever_call_goes_wrong() {
    whatever_goes_wrong(Roller::Action);
}

#[test]
fn a_fleet_is_rolled_back_by_the_command_whatever_call_goes_wrong() {
    whatever_goes_wrong(Roller::Operator);
}
