//! Whatever goes wrong with a call, at whatever call of a sweep: what cannot be read deletes nothing, nothing that is kept
//! is lost, and once nothing goes wrong any more the registry ends as if nothing had.
//!
//! `COALMINE_FAULTS` says at how many calls each fault is tried: a number, or `all`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use coalmine_janitor::cli::{EXIT_INCOMPLETE, EXIT_OK};
use simulator::faults::{Fault, FaultPlan, Freeze, Moment, Rule, SentCall};
use simulator::{ErrorReply, Service, Skew};

use crate::extent::sample;
use crate::furnished::{self, POLICY};
use crate::grants::{BUCKET, MEMORY};
use crate::yard::{DAY, EAGER, JANITOR_KEY, Yard};

const VARIABLE: &str = "COALMINE_FAULTS";

/// Calls at which each fault is tried by default.
const USUAL: usize = 2;

/// How long a janitor stands still: longer than any look is good for.
const FROZEN: Duration = Duration::from_secs(90);

/// Days on which a janitor sweeps before the registry has to be as it would have been.
const DAYS: usize = 3;

/// Every image of every repository.
type Images = BTreeMap<String, Vec<String>>;

/// What a fault in the scan may lead to; in the sweep it is the same for all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// Nothing is deleted: the call is never answered.
    DeletesNothing,
    /// Anything but a loss: the call is repeated, or its answer is understood.
    LosesNothing,
}

/// A sweep of the furnished account without any fault.
struct Undisturbed {
    memory: Bytes,
    before: Images,
    end: Images,
    calls: Vec<SentCall>,
    /// The calls of the scan, by their places.
    scan: Range<usize>,
}

/// Yesterday a janitor has planned; today one is to sweep.
async fn scene(memory: Option<&Bytes>) -> Yard {
    let yard = Yard::new(80, POLICY);
    furnished::furnish(&yard);
    match memory {
        None => drop(yard.plan().await),
        Some(memory) => drop(yard.world(|world| world.s3.put(BUCKET, MEMORY, memory.clone(), world.now))),
    }
    yard.pass(1).await;
    yard
}

async fn undisturbed(short_pages: bool) -> Undisturbed {
    let yard = scene(None).await;
    let memory = yard.world(|world| world.s3.get(BUCKET, MEMORY).expect("a memory").body.clone());
    let yard = scene(Some(&memory)).await;
    shorten(&yard, short_pages);
    let before = yard.all();
    yard.sweep().await;
    let calls = yard.simulator.calls_of(JANITOR_KEY);
    // The scan ends with what the janitor remembers of it.
    let remembers = calls.iter().position(|call| call.operation == "PutObject").expect("a memory that is written");
    assert_eq!(furnished::left(&yard), furnished::KEPT);
    Undisturbed { memory, before, end: yard.all(), calls, scan: 0..remembers + 1 }
}

fn shorten(yard: &Yard, short_pages: bool) {
    if short_pages {
        yard.simulator.inject(FaultPlan::seeded(1).rule(Rule::new(Fault::ShortPage(1)).caller(JANITOR_KEY)));
    }
}

/// Tries a fault at the calls that it can happen to.
async fn each_call(name: &str, claim: Claim, short_pages: bool, fault: impl Fn(&SentCall) -> Option<Rule>) {
    let whole = undisturbed(short_pages).await;
    let possible: Vec<usize> = (0..whole.calls.len()).filter(|place| fault(&whole.calls[*place]).is_some()).collect();
    let (mut in_scan, mut wrong, mut days) = (0, Vec::new(), BTreeMap::<usize, usize>::new());
    let points = sample(name, VARIABLE, USUAL, possible.len());
    for point in &points {
        let place = possible[*point];
        let call = &whole.calls[place];
        let Some(rule) = fault(call) else { continue };
        let yard = scene(Some(&whole.memory)).await;
        yard.simulator.inject(FaultPlan::seeded(2).rule(rule.caller(JANITOR_KEY)));
        shorten(&yard, short_pages);
        let is_scan = whole.scan.contains(&place);
        in_scan += usize::from(is_scan);
        let told = told(&yard).await;
        // A notice alone, which is left out.
        let is_notice = call.operation == "GetLifecyclePolicy";
        if claim == Claim::DeletesNothing && is_scan && !is_notice && yard.all() != whole.before {
            wrong.push(format!("{name} at {call}: in the scan, and something was deleted; it said {told}"));
        }
        match converges(&yard, &whole).await {
            Ok(day) => *days.entry(day).or_default() += 1,
            Err(why) => wrong.push(format!("{name} at {call}: {why}; at first it said {told}")),
        }
    }
    let all = possible.len();
    println!(
        "{name}: at {} of {all} calls, {in_scan} of them in the scan; ended as undisturbed after days {days:?}",
        points.len()
    );
    assert!(!points.is_empty(), "{name}: it can happen to no call");
    assert_eq!(wrong, Vec::<String>::new());
}

/// What a sweep said that may go wrong, or end in a death.
async fn told(yard: &Yard) -> String {
    match yard.simulator.while_alive(JANITOR_KEY, yard.try_sweep()).await {
        Ok(Ok(ended)) => format!("{}: {:?}", ended.code, ended.lines.first().map(|head| &head["missing"])),
        Ok(Err(problem)) => problem.to_string(),
        Err(death) => format!("it died at {}", death.call),
    }
}

/// After how many further days the registry is as undisturbed. Nothing that stays there may be missing here at any time.
async fn converges(yard: &Yard, whole: &Undisturbed) -> Result<usize, String> {
    yard.simulator.clear_faults();
    for day in 0..=DAYS {
        let now = yard.all();
        if let Some(lost) = lost(&now, &whole.end) {
            return Err(format!("{lost} is lost"));
        }
        if now == whole.end {
            return Ok(day);
        }
        if day > 0 {
            yard.pass(1).await;
        }
        yard.sweep().await;
    }
    Err(format!("after {DAYS} days there is still something to delete"))
}

fn lost(now: &Images, end: &Images) -> Option<String> {
    end.iter().find_map(|(repository, digests)| {
        let here = now.get(repository).map_or(&[][..], |digests| digests);
        let lost = digests.iter().find(|digest| !here.contains(digest))?;
        Some(format!("{repository}@{lost}"))
    })
}

/// A fault at one attempt of a call, which the next one may mend.
fn once(fault: Fault) -> impl Fn(&SentCall) -> Option<Rule> {
    move |call| Some(Rule::new(fault.clone()).call(call.number))
}

/// Places are read side by side, so that a call may be sent so much earlier in another run.
const SWAPPED: u64 = 4;

/// A fault at every attempt of a call, and of the same call later in the run.
fn lasting(fault: Fault) -> impl Fn(&SentCall) -> Option<Rule> {
    move |call| {
        let from = call.number.saturating_sub(SWAPPED);
        let rule = Rule::new(fault.clone()).from_call(from).service(call.service).operation(&call.operation);
        Some(rule.subject(&call.subject))
    }
}

/// A fault at one call of some operations.
fn of(fault: Fault, wanted: impl Fn(&SentCall) -> bool) -> impl Fn(&SentCall) -> Option<Rule> {
    move |call| wanted(call).then(|| Rule::new(fault.clone()).call(call.number))
}

fn is_read(call: &SentCall) -> bool {
    call.service != Service::S3
        && !["BatchDeleteImage", "GetCallerIdentity", "AssumeRole"].contains(&call.operation.as_str())
}

fn is_list(call: &SentCall) -> bool {
    let lists = ["DescribeRepositories", "DescribeImages"];
    call.service != Service::S3 && (call.operation.starts_with("List") || lists.contains(&call.operation.as_str()))
}

/// Answers in which single items can fail.
fn has_failures(call: &SentCall) -> bool {
    let operations = [
        "DescribeServices",
        "DescribeTasks",
        "DescribeServiceDeployments",
        "DescribeServiceRevisions",
        "DescribeDaemonDeployments",
        "DescribeDaemonRevisions",
        "BatchGetImage",
        "BatchDeleteImage",
        "BatchGetProjects",
    ];
    operations.contains(&call.operation.as_str())
}

/// The members of replies that the janitor makes something of.
const MEMBERS: [(&str, &str); 9] = [
    ("DescribeImages", "imageDetails[].imageStatus"),
    ("DescribeServices", "services[].status"),
    ("DescribeServiceDeployments", "serviceDeployments[].status"),
    ("ListServiceDeployments", "serviceDeployments[].status"),
    ("DescribeTaskDefinition", "taskDefinition.status"),
    ("DescribeTasks", "tasks[].lastStatus"),
    ("DescribeDaemon", "daemon.status"),
    ("ListFunctions", "Functions[].PackageType"),
    ("GetSchedule", "State"),
];

macro_rules! faults {
    ($($name:ident: $what:literal, $claim:ident, $short:literal, $fault:expr;)+) => {
        $(#[tokio::test(start_paused = true)]
        async fn $name() {
            each_call($what, Claim::$claim, $short, $fault).await;
        })+
    };
}

faults! {
    a_call_that_is_throttled_for_long: "throttled, lasting", DeletesNothing, false, lasting(Fault::Throttle);
    a_call_that_is_throttled_once: "throttled, once", LosesNothing, false, once(Fault::Throttle);
    a_service_that_fails_for_long: "500 before the act, lasting", DeletesNothing, false,
        lasting(Fault::ServerError(Moment::BeforeTheAct));
    a_service_that_fails_after_it_acted: "500 after the act, once", LosesNothing, false,
        once(Fault::ServerError(Moment::AfterTheAct));
    a_service_that_fails_for_long_after_it_acted: "500 after the act, lasting", DeletesNothing, false,
        lasting(Fault::ServerError(Moment::AfterTheAct));
    a_connection_that_breaks_for_long: "reset before the act, lasting", DeletesNothing, false,
        lasting(Fault::Reset(Moment::BeforeTheAct));
    a_connection_that_breaks_after_the_act: "reset after the act, once", LosesNothing, false,
        once(Fault::Reset(Moment::AfterTheAct));
    a_time_out_for_long: "time-out before the act, lasting", DeletesNothing, false,
        lasting(Fault::TimeOut(Moment::BeforeTheAct));
    a_time_out_after_the_act: "time-out after the act, once", LosesNothing, false,
        once(Fault::TimeOut(Moment::AfterTheAct));
    a_permission_that_is_missing: "access denied, lasting", DeletesNothing, false, lasting(Fault::AccessDenied);
    a_refusal_that_nobody_knows: "an unknown refusal, lasting", DeletesNothing, false,
        lasting(Fault::Refuse(ErrorReply::new("SomethingNewException", "Something new is not as it should be.")));
    a_read_that_lags: "read as of 30 s ago", LosesNothing, false, of(Fault::stale(Duration::from_secs(30)), is_read);
    a_page_that_is_short: "page of 1", LosesNothing, false, of(Fault::ShortPage(1), is_list);
    a_page_that_is_empty: "empty page", LosesNothing, false, of(Fault::EmptyPage, is_list);
    a_page_that_comes_twice: "repeated page", LosesNothing, true, of(Fault::RepeatedPage, is_list);
    items_that_come_twice: "repeated items", LosesNothing, true, of(Fault::RepeatedItems, is_list);
    an_item_that_fails_in_a_good_answer: "failures[] OTHER", LosesNothing, false,
        of(Fault::Failures("OTHER".into()), has_failures);
    an_item_that_is_missing_from_a_good_answer: "failures[] MISSING", LosesNothing, false,
        of(Fault::Failures("MISSING".into()), has_failures);
    a_value_that_nobody_knows: "unknown value", LosesNothing, false, |call: &SentCall| {
        let (_, member) = MEMBERS.iter().find(|(operation, _)| *operation == call.operation)?;
        Some(Rule::new(Fault::UnknownValue((*member).to_owned())).call(call.number))
    };
    an_answer_that_is_late: "5 s late", LosesNothing, false, once(Fault::Delay(Duration::from_secs(5)));
    a_janitor_that_stands_still_before_a_call: "frozen for 90 s before sending", LosesNothing, false,
        once(Fault::Freeze(Freeze::BeforeSending, FROZEN));
    a_janitor_that_stands_still_in_a_call: "frozen for 90 s while sending", LosesNothing, false,
        once(Fault::Freeze(Freeze::WhileSending, FROZEN));
    a_janitor_that_stands_still_after_a_call: "frozen for 90 s after sending", LosesNothing, false,
        once(Fault::Freeze(Freeze::AfterSending, FROZEN));
    a_janitor_that_dies_before_a_call: "killed before the act", LosesNothing, false,
        once(Fault::Kill(Moment::BeforeTheAct));
    a_janitor_that_dies_after_a_call: "killed after the act", LosesNothing, false,
        once(Fault::Kill(Moment::AfterTheAct));
}

/// AWS refuses signatures that are more than five minutes off, and the SDK then dates them by AWS's clock. The janitor
/// itself judges by the machine's, and bears ten minutes.
#[tokio::test(start_paused = true)]
async fn clocks_that_are_off() {
    let whole = undisturbed(false).await;
    let (minutes, more, days) = (Duration::from_secs(4 * 60), Duration::from_secs(11 * 60), DAY * 40);
    for (skew, sweeps) in [
        (Skew::Ahead(minutes), true),
        (Skew::Behind(minutes), true),
        (Skew::Ahead(more), false),
        (Skew::Behind(more), false),
        (Skew::Ahead(days), false),
        (Skew::Behind(days), false),
    ] {
        let mut yard = scene(Some(&whole.memory)).await;
        yard.simulator.check_dates();
        yard.skew = skew;
        let told = told(&yard).await;
        assert_eq!(yard.all() == whole.end, sweeps, "{skew:?}: {told}");
        assert_eq!(yard.all() == whole.before, !sweeps, "{skew:?}: {told}");
        assert_eq!(told.contains("correct this machine's clock"), !sweeps, "{skew:?}: {told}");
        yard.skew = Skew::None;
        assert_eq!(converges(&yard, &whole).await, Ok(usize::from(!sweeps)), "{skew:?}");
    }
}

/// Both scans would find young images old, and revisions of last week none that could run soon.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_in_every_scan_deletes_nothing_and_is_not_remembered() {
    let mut yard = Yard::new(81, EAGER);
    yard.push("app", "young", 3);
    yard.push("app", "newest", 1);
    let before = yard.all();
    yard.skew = Skew::Ahead(DAY * 60);
    for _ in 0..2 {
        let problem = yard.try_sweep().await.expect_err("a clock that is off").to_string();
        let ours = yard.simulator.clock().now() + DAY * 60;
        for date in [ours, ours - DAY * 60] {
            let date = DateTime::<Utc>::from(date).format("%Y-%m-%d %H:%M").to_string();
            assert!(problem.contains(&date), "{date}: {problem}");
        }
        assert_eq!(yard.all(), before);
        yard.pass(1).await;
    }
    yard.skew = Skew::None;
    let swept = yard.sweep().await;
    assert_eq!((swept.code, yard.all()), (EXIT_OK, before));
}

#[tokio::test(start_paused = true)]
async fn without_the_date_of_aws_nothing_is_deleted_and_nothing_remembered() {
    let whole = undisturbed(false).await;
    let yard = scene(Some(&whole.memory)).await;
    yard.simulator.hide_dates();
    let planned = yard.plan().await;
    let swept = yard.sweep().await;
    for ended in [planned, swept] {
        assert_eq!(ended.code, EXIT_INCOMPLETE);
        assert!(ended.head()["missing"].to_string().contains("no date"), "{}", ended.head());
    }
    assert_eq!(yard.all(), whole.before);
    assert_eq!(yard.world(|world| world.s3.get(BUCKET, MEMORY).expect("a memory").body.clone()), whole.memory);
}
