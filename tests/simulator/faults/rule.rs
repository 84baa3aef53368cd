//! What goes wrong, and for which calls.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::call::Service;
use crate::error::ErrorReply;

/// How long a caller waits in vain before the connection itself gives up, where its own time-out is longer.
pub(crate) const TIME_OUT: Duration = Duration::from_secs(60);

/// Before or after the service did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It does not happen.
    BeforeTheAct,
    /// It happens, and the caller does not learn of it.
    AfterTheAct,
}

/// Where in a call the caller's process stops for a while. Its timers stop with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freeze {
    /// Right before it sends. When it wakes, its timers go off first; what is still wanted then is sent.
    BeforeSending,
    /// While it sends. When it wakes, the request goes out first, however late, and then its timers go off.
    WhileSending,
    /// Right after it sent: the service acts at once, the reply is read when the caller wakes.
    AfterSending,
}

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// `ThrottlingException`, HTTP 400; at S3 `SlowDown`, HTTP 503. Nothing is done.
    Throttle,
    /// The service's own failure: HTTP 500 (CloudWatch Logs: 503), by the name that the service gives it.
    ServerError(Moment),
    /// The connection breaks.
    Reset(Moment),
    /// The reply never comes: the caller's own time-out goes off, or after 60 s the connection's.
    TimeOut(Moment),
    /// `AccessDeniedException`, HTTP 400; at S3 `AccessDenied`, HTTP 403. Nothing is done.
    AccessDenied,
    /// `RegisterTaskDefinition` only: `ClientException`, "Too many concurrent attempts …". Nothing is done.
    Crowded,
    /// Any other refusal. Nothing is done.
    Refuse(ErrorReply),
    /// Reads (Describe…, List…, Get…, `BatchGet`…) of all services but S3 answer as of some time ago, drawn evenly
    /// between the two bounds and at most back to when the plan was injected.
    StaleRead(Duration, Duration),
    /// Lists answer at most so many items and a token. At least 1.
    ShortPage(u32),
    /// Lists answer no items and a token, with which the page that was asked for can be asked for again.
    EmptyPage,
    /// The second and later pages of a list: the page before comes once more, with its old token. Nothing else.
    RepeatedPage,
    /// The second and later pages of a list: the items of the page before stand in this one again, in front.
    RepeatedItems,
    /// The last item of an answer stands in `failures[]` instead, with this reason: ECS `Describe…`, ECR
    /// `BatchGetImage`. `RunTask` starts nothing and answers one failure; ECR `BatchDeleteImage` does not delete the last
    /// image that it was asked to; CodeBuild `BatchGetProjects` does not find the last project.
    Failures(String),
    /// A member of the reply, `service.status` or `serviceDeployments[].status`, has the value `SOMETHING_NEW`.
    UnknownValue(String),
    /// The answer takes this much longer to come.
    Delay(Duration),
    /// The caller dies here: from then on none of its calls is answered or arrives, and none of its timers goes off.
    Kill(Moment),
    /// The caller stops for so long, with its timers.
    Freeze(Freeze, Duration),
}

impl Fault {
    /// Reads as of exactly `lag` ago.
    #[must_use]
    pub fn stale(lag: Duration) -> Self {
        Self::StaleRead(lag, lag)
    }

    /// Reads as of anything up to `lag` ago: eventual consistency. Later reads may be older than earlier ones.
    #[must_use]
    pub fn eventual_consistency(lag: Duration) -> Self {
        Self::StaleRead(Duration::ZERO, lag)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeTheAct => "before the act",
            Self::AfterTheAct => "after the act",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throttle => f.write_str("throttled"),
            Self::ServerError(moment) => write!(f, "500 {moment}"),
            Self::Reset(moment) => write!(f, "reset {moment}"),
            Self::TimeOut(moment) => write!(f, "time-out {moment}"),
            Self::AccessDenied => f.write_str("access denied"),
            Self::Crowded => f.write_str("too many concurrent attempts"),
            Self::Refuse(error) => write!(f, "refused with {}", error.code),
            Self::StaleRead(least, most) if least == most => write!(f, "read as of {} s ago", most.as_secs_f64()),
            Self::StaleRead(_, most) => write!(f, "read as of up to {} s ago", most.as_secs_f64()),
            Self::ShortPage(items) => write!(f, "page of {items}"),
            Self::EmptyPage => f.write_str("empty page"),
            Self::RepeatedPage => f.write_str("the page before once more"),
            Self::RepeatedItems => f.write_str("items of the page before once more"),
            Self::Failures(reason) => write!(f, "failures[] {reason}"),
            Self::UnknownValue(member) => write!(f, "unknown value of {member}"),
            Self::Delay(length) => write!(f, "{} s late", length.as_secs_f64()),
            Self::Kill(moment) => write!(f, "killed {moment}"),
            Self::Freeze(Freeze::BeforeSending, length) => {
                write!(f, "frozen for {} s before sending", length.as_secs_f64())
            }
            Self::Freeze(Freeze::WhileSending, length) => {
                write!(f, "frozen for {} s while sending", length.as_secs_f64())
            }
            Self::Freeze(Freeze::AfterSending, length) => {
                write!(f, "frozen for {} s after sending", length.as_secs_f64())
            }
        }
    }
}

/// A fault and the calls that it happens to: those that meet everything that was asked for. Without more it happens to
/// every call that it can happen to (a short page needs a list).
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) fault: Fault,
    pub(super) caller: Option<String>,
    pub(super) service: Option<Service>,
    pub(super) operation: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) members: Vec<(String, String)>,
    pub(super) call: Option<u64>,
    pub(super) first_call: Option<u64>,
    pub(super) nth: Option<u64>,
    pub(super) times: Option<u64>,
    pub(super) chance: Option<f64>,
    pub(super) from: Option<SystemTime>,
    pub(super) until: Option<SystemTime>,
}

impl Rule {
    /// A fault that happens to every call that it can happen to.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            caller: None,
            service: None,
            operation: None,
            subject: None,
            account: None,
            region: None,
            members: Vec::new(),
            call: None,
            first_call: None,
            nth: None,
            times: None,
            chance: None,
            from: None,
            until: None,
        }
    }

    /// Only calls of this access key. In process it is the one that the door was made for, also where a call is signed
    /// with a job's artifact credentials.
    #[must_use]
    pub fn caller(mut self, access_key: impl Into<String>) -> Self {
        self.caller = Some(access_key.into());
        self
    }

    /// Only calls of this service.
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.service = Some(service);
        self
    }

    /// Only this operation.
    #[must_use]
    pub fn operation(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Only calls whose subject, as the call log has it, is this.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Only calls to this account.
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Only calls to this region.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Only calls in whose request a member, `cluster`, has this value or, where it is an ARN, ends with it.
    #[must_use]
    pub fn member(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.members.push((name.into(), value.into()));
        self
    }

    /// Only the caller's `number`th call of all that it sends, counted from 1 (each attempt of the SDK is one).
    #[must_use]
    pub fn call(mut self, number: u64) -> Self {
        self.call = Some(number);
        self
    }

    /// Only the caller's `number`th call and later ones. With an operation and [`Rule::times`] it is a call that keeps
    /// failing, however often the SDK tries it again.
    #[must_use]
    pub fn from_call(mut self, number: u64) -> Self {
        self.first_call = Some(number);
        self
    }

    /// Only the `number`th of the calls that meet the rest (but for chance), counted from 1.
    #[must_use]
    pub fn nth(mut self, number: u64) -> Self {
        self.nth = Some(number);
        self
    }

    /// At most so many times.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// With this probability, 0 to 1, by the plan's seed.
    #[must_use]
    pub fn chance(mut self, probability: f64) -> Self {
        self.chance = Some(probability);
        self
    }

    /// Only calls sent at this date or later.
    #[must_use]
    pub fn from(mut self, date: SystemTime) -> Self {
        self.from = Some(date);
        self
    }

    /// Only calls sent before this date.
    #[must_use]
    pub fn until(mut self, date: SystemTime) -> Self {
        self.until = Some(date);
        self
    }
}
