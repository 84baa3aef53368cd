//! Callers that stop for a while.

use super::*;
use aws_smithy_async::rt::sleep::AsyncSleep;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_process_frozen_inside_a_call_may_still_send_it_late() {
    // The limit of 8 s is long over when it wakes, but a reply that waits in its socket is read first.
    let too_late = || Err("own time-out".to_owned());
    for (freeze, early, late, expected) in [
        (Freeze::BeforeSending, 1, 1, too_late()),
        (Freeze::WhileSending, 1, 3, too_late()),
        (Freeze::AfterSending, 3, 3, Ok(())),
    ] {
        let simulator = account();
        simulator.inject(FaultPlan::freeze(CALLER, 1, freeze, MINUTE));
        let client = once(&simulator);
        let call = tokio::spawn(async move { scale(&client, 3).await });
        simulator.clock().wait(MINUTE - Duration::from_secs(1)).await;
        assert_eq!((desired(&simulator), call.is_finished()), (early, false), "{freeze:?}");
        let (outcome, took) = seconds(&simulator, call).await;
        assert_eq!((outcome.unwrap(), took), (expected, 1), "{freeze:?}");
        simulator.clock().wait(MINUTE).await;
        assert_eq!(desired(&simulator), late, "{freeze:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_limits_the_frozen_call_is_made_and_answered_when_its_process_wakes() {
    for freeze in [Freeze::BeforeSending, Freeze::WhileSending, Freeze::AfterSending] {
        let simulator = account();
        simulator.inject(FaultPlan::freeze(CALLER, 1, freeze, MINUTE));
        let client = Client::new(&simulator.sdk_config(CALLER));
        let (outcome, took) = seconds(&simulator, scale(&client, 3)).await;
        assert_eq!((outcome, took), (Ok(()), 60));
        assert_eq!(simulator.calls_of(CALLER).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn all_else_of_a_frozen_process_stands_still_and_others_go_on() {
    let simulator = account();
    simulator.inject(FaultPlan::freeze(CALLER, 2, Freeze::WhileSending, MINUTE));
    let door = simulator.sdk_config(CALLER);
    let (one, two) = (Client::new(&door), Client::new(&door));
    let sleep = door.sleep_impl().unwrap();
    let begin = simulator.clock().now();
    let since = |simulator: &Simulator| simulator.clock().now().duration_since(begin).unwrap().as_secs();
    let answered = async {
        scale(&one, 2).await.unwrap();
        since(&simulator)
    };
    let frozen = async {
        scale(&two, 3).await.unwrap();
        since(&simulator)
    };
    let timer = async {
        sleep.sleep(Duration::from_secs(10)).await;
        since(&simulator)
    };
    let other = async {
        scale(&Client::new(&simulator.sdk_config("AKIAOTHER")), 4).await.unwrap();
        since(&simulator)
    };
    assert_eq!(tokio::join!(answered, frozen, timer, other), (60, 60, 60, 0));
    assert_eq!(desired(&simulator), 3);
}
