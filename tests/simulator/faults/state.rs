//! Who has called what, who is dead or frozen, and which rule is due.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::sync::watch;

use super::plan::FaultPlan;
use super::refusal::can_happen;
use super::rule::{Fault, Rule};
use crate::call::{Call, Service};
use crate::door::Skew;

/// A call as its caller sent it, whether or not it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentCall {
    /// The caller's how-manieth call this is, from 1.
    pub number: u64,
    /// When it was sent.
    pub at: SystemTime,
    /// The service.
    pub service: Service,
    /// The operation.
    pub operation: String,
    /// What it is about, as in the call log.
    pub subject: String,
}

impl fmt::Display for SentCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.number, self.service.name(), self.operation)?;
        if self.subject.is_empty() { Ok(()) } else { write!(f, " {}", self.subject) }
    }
}

/// A caller's death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// Whose: the access key.
    pub caller: String,
    /// At which call.
    pub call: SentCall,
    /// Whether that call was carried out.
    pub acted: bool,
}

/// Who sends: an access key, and through which door. `None`: through the loopback mount, which has no doors.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) caller: String,
    pub(crate) door: Option<u64>,
}

/// Whether a caller may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Go,
    Until(SystemTime),
    Never,
}

/// A fault that is due, with what it takes to give it back unused.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) fault: Fault,
    plan: usize,
    rule: usize,
}

#[derive(Debug)]
struct Running {
    rng: fastrand::Rng,
    rules: Vec<RunningRule>,
}

#[derive(Debug)]
struct RunningRule {
    rule: Rule,
    met: u64,
    happened: u64,
}

#[derive(Debug, Default)]
struct Caller {
    sent: Vec<SentCall>,
    newest_door: u64,
    /// Doors up to this one belong to a dead process.
    dead_up_to: Option<u64>,
    frozen_until: Option<SystemTime>,
    /// How its clock was set; `None`: never.
    clock: Option<Skew>,
}

#[derive(Debug)]
pub(crate) struct Faults {
    plans: Vec<Running>,
    callers: BTreeMap<String, Caller>,
    doors: u64,
    deaths: watch::Sender<Vec<Death>>,
    pages: BTreeMap<String, Value>,
    pub(crate) checks_dates: bool,
    /// Whether replies bear no date.
    pub(crate) hides_dates: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            plans: Vec::new(),
            callers: BTreeMap::new(),
            doors: 0,
            deaths: watch::Sender::new(Vec::new()),
            pages: BTreeMap::new(),
            checks_dates: false,
            hides_dates: false,
        }
    }
}

impl Faults {
    pub(crate) fn inject(&mut self, plan: FaultPlan) {
        let rules = plan.rules.into_iter().map(|rule| RunningRule { rule, met: 0, happened: 0 }).collect();
        self.plans.push(Running { rng: fastrand::Rng::with_seed(plan.seed), rules });
    }

    pub(crate) fn clear(&mut self) {
        self.plans.clear();
        self.pages.clear();
    }

    /// A new door for a caller: a process of its own as far as death is concerned.
    pub(crate) fn open_door(&mut self, caller: &str) -> u64 {
        self.doors += 1;
        self.callers.entry(caller.to_owned()).or_default().newest_door = self.doors;
        self.doors
    }

    pub(crate) fn sent_by(&self, caller: &str) -> &[SentCall] {
        self.callers.get(caller).map(|known| known.sent.as_slice()).unwrap_or_default()
    }

    pub(crate) fn deaths(&self) -> watch::Receiver<Vec<Death>> {
        self.deaths.subscribe()
    }

    /// Whether the newest process of a caller is dead.
    pub(crate) fn is_dead(&self, caller: &str) -> bool {
        self.hold(&Who { caller: caller.to_owned(), door: None }, SystemTime::UNIX_EPOCH) == Hold::Never
    }

    pub(crate) fn hold(&self, who: &Who, now: SystemTime) -> Hold {
        let Some(caller) = self.callers.get(&who.caller) else { return Hold::Go };
        if caller.dead_up_to.is_some_and(|dead| who.door.unwrap_or(caller.newest_door) <= dead) {
            return Hold::Never;
        }
        match caller.frozen_until {
            Some(until) if until > now => Hold::Until(until),
            _ => Hold::Go,
        }
    }

    pub(crate) fn freeze(&mut self, who: &Who, until: SystemTime) {
        let caller = self.callers.entry(who.caller.clone()).or_default();
        caller.frozen_until = caller.frozen_until.max(Some(until));
    }

    /// Sets the clock of a caller's machine.
    pub(crate) fn set_clock(&mut self, caller: &str, skew: Skew) {
        self.callers.entry(caller.to_owned()).or_default().clock = Some(skew);
    }

    /// How far it is off since it was set.
    pub(crate) fn clock_of(&self, caller: &str) -> Option<Skew> {
        self.callers.get(caller).and_then(|caller| caller.clock)
    }

    pub(crate) fn die(&mut self, who: &Who, call: SentCall, acted: bool) {
        let caller = self.callers.entry(who.caller.clone()).or_default();
        caller.dead_up_to = Some(caller.newest_door);
        // Whoever is dead is not frozen any more.
        caller.frozen_until = None;
        self.deaths.send_modify(|deaths| deaths.push(Death { caller: who.caller.clone(), call, acted }));
    }

    /// Counts a call and says what goes wrong with it.
    pub(crate) fn send(&mut self, who: &Who, call: &Call, subject: &str) -> (SentCall, Option<Drawn>) {
        let caller = self.callers.entry(who.caller.clone()).or_default();
        let sent = SentCall {
            number: caller.sent.len() as u64 + 1,
            at: call.at,
            service: call.service,
            operation: call.operation.clone(),
            subject: subject.to_owned(),
        };
        caller.sent.push(sent.clone());
        let mut drawn = None;
        for (plan, Running { rng, rules }) in self.plans.iter_mut().enumerate() {
            for (rule, running) in rules.iter_mut().enumerate() {
                if !running.rule.is_met_by(&who.caller, &sent, call) || !can_happen(&running.rule.fault, call) {
                    continue;
                }
                running.met += 1;
                // Drawn for every call that meets the rule, so that one rule's luck does not shift another's.
                let lucky = running.rule.chance.is_none_or(|probability| rng.f64() < probability);
                let due = running.rule.nth.is_none_or(|nth| running.met == nth)
                    && running.rule.times.is_none_or(|times| running.happened < times);
                if drawn.is_none() && lucky && due {
                    running.happened += 1;
                    drawn = Some(Drawn { fault: settled(&running.rule.fault, rng), plan, rule });
                }
            }
        }
        (sent, drawn)
    }

    /// Gives a fault back that found nothing to change.
    pub(crate) fn give_back(&mut self, drawn: &Drawn) {
        if let Some(running) = self.plans.get_mut(drawn.plan).and_then(|plan| plan.rules.get_mut(drawn.rule)) {
            running.happened = running.happened.saturating_sub(1);
        }
    }

    /// Whether pages are to be remembered.
    pub(crate) fn repeats(&self) -> bool {
        let mut rules = self.plans.iter().flat_map(|plan| &plan.rules);
        rules.any(|running| matches!(running.rule.fault, Fault::RepeatedPage | Fault::RepeatedItems))
    }

    pub(crate) fn page(&self, key: &str) -> Option<Value> {
        self.pages.get(key).cloned()
    }

    pub(crate) fn remember_page(&mut self, key: String, page: Value) {
        self.pages.insert(key, page);
    }
}

impl Rule {
    fn is_met_by(&self, caller: &str, call: &SentCall, asked: &Call) -> bool {
        let says = |name: &str, value: &str| {
            let given = asked.raw.get(name).and_then(Value::as_str);
            given.is_some_and(|given| given == value || given.rsplit(['/', ':']).next() == Some(value))
        };
        self.members.iter().all(|(name, value)| says(name, value))
            && self.account.as_ref().is_none_or(|account| *account == asked.account)
            && self.region.as_ref().is_none_or(|region| *region == asked.region)
            && self.caller.as_ref().is_none_or(|wanted| wanted == caller)
            && self.service.is_none_or(|service| service == call.service)
            && self.operation.as_ref().is_none_or(|operation| *operation == call.operation)
            && self.subject.as_ref().is_none_or(|subject| *subject == call.subject)
            && self.call.is_none_or(|number| number == call.number)
            && self.first_call.is_none_or(|number| number <= call.number)
            && self.from.is_none_or(|from| call.at >= from)
            && self.until.is_none_or(|until| call.at < until)
    }
}

/// A fault with its chance drawn.
fn settled(fault: &Fault, rng: &mut fastrand::Rng) -> Fault {
    match fault {
        Fault::StaleRead(least, most) if least < most => {
            let millis = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            Fault::stale(Duration::from_millis(rng.u64(millis(least)..=millis(most))))
        }
        other => other.clone(),
    }
}
