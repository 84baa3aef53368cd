//! When deletions begin: never later than fifteen seconds after the last look, whatever goes wrong with them.

use std::time::{Duration, SystemTime};

use coalmine_janitor::cli::{EXIT_OK, EXIT_REFUSED};
use simulator::faults::{Fault, FaultPlan, Freeze, Moment, Rule};

use crate::yard::{EAGER, JANITOR_KEY, Yard};

/// What README.md promises.
const DELETE_FOR: Duration = Duration::from_secs(15);

/// When the last list of images before the deletions was asked for, and when each deletion was sent, arrived or not.
fn sent(yard: &Yard) -> (SystemTime, Vec<SystemTime>) {
    let calls = yard.simulator.calls_of(JANITOR_KEY);
    let first = calls.iter().position(|call| call.operation == "BatchDeleteImage").expect("a deletion");
    let look = calls[..first].iter().rev().find(|call| call.operation == "DescribeImages").expect("a look");
    let deletions = calls.iter().filter(|call| call.operation == "BatchDeleteImage").map(|call| call.at);
    (look.at, deletions.collect())
}

/// The SDK tries three times by itself, and would not ask whether there is still time.
#[tokio::test(start_paused = true)]
async fn no_deletion_is_sent_later_than_its_deadline_however_often_it_fails() {
    let long = Duration::from_secs(90);
    for (seed, fault, arrives) in [
        (310, Fault::TimeOut(Moment::BeforeTheAct), false),
        (311, Fault::Reset(Moment::BeforeTheAct), false),
        (312, Fault::ServerError(Moment::BeforeTheAct), false),
        (313, Fault::Throttle, false),
        (314, Fault::Freeze(Freeze::BeforeSending, long), false),
        (315, Fault::Freeze(Freeze::AfterSending, long), true),
    ] {
        let yard = Yard::new(seed, EAGER);
        yard.push("app", "v1", 400);
        yard.push("app", "v2", 1);
        yard.plan().await;
        yard.pass(1).await;
        let rule = Rule::new(fault.clone()).caller(JANITOR_KEY).operation("BatchDeleteImage");
        yard.simulator.inject(FaultPlan::seeded(seed).rule(rule));
        let swept = yard.sweep().await;
        let (look, deletions) = sent(&yard);
        for at in &deletions {
            let late = at.duration_since(look).unwrap_or_default();
            assert!(late <= DELETE_FOR, "{fault}: one of {} was sent {late:?} after the look", deletions.len());
        }
        assert_eq!((swept.code, yard.tags("app").len()), (EXIT_REFUSED, if arrives { 1 } else { 2 }), "{fault}");
        yard.simulator.clear_faults();
        assert_eq!((yard.sweep().await.code, yard.tags("app")), (EXIT_OK, vec!["v2".to_owned()]), "{fault}");
    }
}
