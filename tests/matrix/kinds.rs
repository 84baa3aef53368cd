//! What can go wrong with a call: every kind, for everything that is played.

use std::time::Duration;

use simulator::faults::{Fault, Freeze, Moment, Rule, SentCall};
use simulator::{ErrorReply, Service};

use crate::play::{Cast, LAG};
use crate::tales::Tale;

/// How many attempts the SDK makes before it gives a call up.
const ATTEMPTS: u64 = 3;

/// How long a worker is frozen: longer than its peers take to call it dead, with their looks every ten seconds.
const FREEZE: Duration = Duration::from_secs(80);

/// How it may end with a fault in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// As without.
    Same,
    /// As without, but for deployments in between: what somebody else deployed was overtaken by a frozen call, and came back.
    CameBack,
    /// As without, or given up, and so said.
    Honest,
}

/// One kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// What goes wrong, for people.
    pub(crate) name: &'static str,
    /// Who works.
    pub(crate) cast: Cast,
    /// How it may end.
    pub(crate) claim: Claim,
    /// The fault at a call, if it can happen to that.
    pub(crate) rule: fn(&SentCall) -> Option<Rule>,
}

impl Kind {
    /// How a tale may end with it.
    pub(crate) fn claim_of(&self, tale: Tale) -> Claim {
        let freezes = self.name.starts_with("frozen");
        if freezes && tale == Tale::Superseded { Claim::CameBack } else { self.claim }
    }

    /// What tells one kind's sample from another's.
    pub(crate) fn seed(&self) -> u64 {
        self.name.bytes().map(u64::from).sum()
    }
}

/// The reads that S3 is not: they may lag behind a write.
pub(crate) fn may_lag(call: &SentCall) -> bool {
    call.service != Service::S3
        && ["Describe", "List", "Get", "BatchGet"].iter().any(|read| call.operation.starts_with(read))
}

/// The lists that a worker reads.
const LISTS: [&str; 5] =
    ["ListTasks", "ListTaskDefinitions", "ListServiceDeployments", "ListActionExecutions", "DescribeAlarms"];

/// The answers in which single items can fail.
const BATCHES: [&str; 5] =
    ["DescribeServices", "DescribeTasks", "DescribeServiceDeployments", "DescribeServiceRevisions", "BatchGetImage"];

/// The members of replies that a worker makes something of.
const MEMBERS: [(&str, &str); 11] = [
    ("AcknowledgeJob", "status"),
    ("GetPipelineExecution", "pipelineExecution.executionMode"),
    ("ListActionExecutions", "actionExecutionDetails[].status"),
    ("DescribeServices", "services[].status"),
    ("DescribeServiceDeployments", "serviceDeployments[].status"),
    ("ListServiceDeployments", "serviceDeployments[].status"),
    ("DescribeTaskDefinition", "taskDefinition.status"),
    ("DescribeTasks", "tasks[].lastStatus"),
    ("UpdateService", "service.status"),
    ("DescribeImages", "imageDetails[].imageStatus"),
    ("DescribeAlarms", "MetricAlarms[].StateValue"),
];

/// A fault at one call, which the SDK's next attempt may mend.
fn once(fault: Fault, call: &SentCall) -> Option<Rule> {
    Some(Rule::new(fault).call(call.number))
}

/// A fault at one call and at every further attempt of it, so that the program learns of it.
fn lasting(fault: Fault, call: &SentCall) -> Option<Rule> {
    let rule = Rule::new(fault).from_call(call.number).operation(&call.operation).subject(&call.subject);
    Some(rule.times(ATTEMPTS))
}

/// A fault at one call of an operation that it can happen to.
fn of_operations(fault: Fault, operations: &[&str], call: &SentCall) -> Option<Rule> {
    let possible = call.service != Service::S3 && operations.contains(&call.operation.as_str());
    possible.then(|| Rule::new(fault).call(call.number))
}

fn unknown_value(call: &SentCall) -> Option<Rule> {
    let (_, member) = MEMBERS.iter().find(|(operation, _)| *operation == call.operation)?;
    Some(Rule::new(Fault::UnknownValue((*member).to_owned())).call(call.number))
}

fn unknown_refusal(call: &SentCall) -> Option<Rule> {
    let refusal = ErrorReply::new("SomethingNewException", "Something new is not as it should be.");
    once(Fault::Refuse(refusal), call)
}

/// Every kind.
pub(crate) const ALL: [Kind; 23] = [
    Kind { name: "throttled", cast: Cast::One, claim: Claim::Same, rule: |call| lasting(Fault::Throttle, call) },
    Kind {
        name: "500 before the act",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| lasting(Fault::ServerError(Moment::BeforeTheAct), call),
    },
    Kind {
        name: "500 after the act",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| lasting(Fault::ServerError(Moment::AfterTheAct), call),
    },
    Kind {
        name: "500 after the act, once",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| once(Fault::ServerError(Moment::AfterTheAct), call),
    },
    Kind {
        name: "reset before the act",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| lasting(Fault::Reset(Moment::BeforeTheAct), call),
    },
    Kind {
        name: "reset after the act",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| lasting(Fault::Reset(Moment::AfterTheAct), call),
    },
    Kind {
        name: "reset after the act, once",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| once(Fault::Reset(Moment::AfterTheAct), call),
    },
    Kind {
        name: "time-out before the act",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| lasting(Fault::TimeOut(Moment::BeforeTheAct), call),
    },
    Kind {
        name: "time-out after the act",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| lasting(Fault::TimeOut(Moment::AfterTheAct), call),
    },
    Kind {
        name: "time-out after the act, once",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| once(Fault::TimeOut(Moment::AfterTheAct), call),
    },
    Kind { name: "access denied", cast: Cast::One, claim: Claim::Honest, rule: |call| once(Fault::AccessDenied, call) },
    Kind {
        name: "too many concurrent attempts",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| of_operations(Fault::Crowded, &["RegisterTaskDefinition"], call),
    },
    Kind {
        name: "read as of 30 s ago",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| may_lag(call).then(|| Rule::new(Fault::stale(LAG)).call(call.number)),
    },
    Kind {
        name: "repeated page",
        cast: Cast::OneOnShortPages,
        claim: Claim::Same,
        rule: |call| of_operations(Fault::RepeatedPage, &LISTS, call),
    },
    Kind {
        name: "repeated items",
        cast: Cast::OneOnShortPages,
        claim: Claim::Same,
        rule: |call| of_operations(Fault::RepeatedItems, &LISTS, call),
    },
    Kind {
        name: "failures[] OTHER",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| of_operations(Fault::Failures("OTHER".to_owned()), &BATCHES[..4], call),
    },
    Kind {
        name: "failures[] MISSING",
        cast: Cast::One,
        claim: Claim::Honest,
        rule: |call| of_operations(Fault::Failures("MISSING".to_owned()), &BATCHES, call),
    },
    Kind { name: "unknown value", cast: Cast::One, claim: Claim::Honest, rule: unknown_value },
    Kind { name: "an unknown refusal", cast: Cast::One, claim: Claim::Honest, rule: unknown_refusal },
    Kind {
        name: "5 s late",
        cast: Cast::One,
        claim: Claim::Same,
        rule: |call| once(Fault::Delay(Duration::from_secs(5)), call),
    },
    Kind {
        name: "frozen before sending",
        cast: Cast::Two,
        claim: Claim::Same,
        rule: |call| once(Fault::Freeze(Freeze::BeforeSending, FREEZE), call),
    },
    Kind {
        name: "frozen while sending",
        cast: Cast::Two,
        claim: Claim::Same,
        rule: |call| once(Fault::Freeze(Freeze::WhileSending, FREEZE), call),
    },
    Kind {
        name: "frozen after sending",
        cast: Cast::Two,
        claim: Claim::Same,
        rule: |call| once(Fault::Freeze(Freeze::AfterSending, FREEZE), call),
    },
];
