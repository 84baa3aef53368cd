//! Whoever dies, at whatever call: a release ends as it would have ended, with one result a job and one deployment a step.

use simulator::faults::{Fault, FaultPlan, Moment};

use crate::play::{Cast, Disturbance, play, undisturbed};
use crate::points::{Extent, Tally};
use crate::tales::Tale;

/// How many calls of each tale are tried in `cargo test`.
const USUAL: usize = 1;

fn whoever_dies(tale: Tale) {
    let extent = Extent::told("COALMINE_KILLS", USUAL);
    let seed = tale as u64;
    let (mut casts, mut moments) = (vec![Cast::One, Cast::Two], vec![Moment::BeforeTheAct, Moment::AfterTheAct]);
    if extent == Extent::Sample(USUAL) {
        // The tales take turns.
        casts.remove(tale as usize % 2);
        moments.remove(tale as usize / 2 % 2);
    }
    let mut tally = Tally::default();
    for cast in casts {
        let whole = undisturbed(tale, cast);
        for (worker, calls) in &whole.calls {
            for call in extent.of(calls.iter(), seed) {
                for moment in moments.iter().copied() {
                    let plan = FaultPlan::at(worker, call.number, Fault::Kill(moment));
                    let what = format!("{tale:?}, {cast:?}, {worker} killed {moment} {call}");
                    tally.same_end(&whole, play(tale, cast, &Disturbance::of(plan)), &what);
                }
            }
        }
    }
    tally.close(&format!("deaths in {tale:?}"));
}

macro_rules! deaths {
    ($($name:ident: $tale:ident,)*) => {
        $(
            #[test]
            fn $name() {
                whoever_dies(Tale::$tale);
            }
        )*

        #[test]
        fn every_tale_has_its_deaths() {
            assert_eq!([$(Tale::$tale),*], Tale::ALL);
        }
    };
}

deaths! {
    a_good_release_ends_the_same_whoever_dies: Good,
    queue_workers_end_the_same_whoever_dies: QueueWorkers,
    a_surge_ends_the_same_whoever_dies: Surge,
    a_service_of_one_task_ends_the_same_whoever_dies: OneTask,
    a_first_deployment_ends_the_same_whoever_dies: FirstDeployment,
    a_sick_first_deployment_ends_the_same_whoever_dies: SickFirstDeployment,
    a_release_whose_tag_moves_ends_the_same_whoever_dies: MovedTag,
    a_turnover_under_autoscaling_ends_the_same_whoever_dies: Autoscaled,
    a_release_that_waits_for_an_alarm_ends_the_same_whoever_dies: RedBefore,
    a_release_that_waits_for_a_busy_service_ends_the_same_whoever_dies: Busy,
    a_rejected_release_goes_back_whoever_dies: Rejected,
    a_release_that_is_abandoned_while_it_is_held_goes_back_whoever_dies: AbandonedWhileHeld,
    a_canary_under_a_red_alarm_goes_back_while_it_is_held_whoever_dies: RedWhileHeld,
    a_canary_that_crashes_is_undone_whoever_dies: CanaryCrashes,
    a_turnover_that_crashes_is_undone_whoever_dies: TurnoverCrashes,
    a_turnover_that_is_never_healthy_is_undone_whoever_dies: TurnoverNeverHealthy,
    a_turnover_under_a_red_alarm_is_undone_whoever_dies: RedInTheBake,
    a_turnover_whose_image_vanishes_is_undone_whoever_dies: ImageVanishes,
    a_turnover_that_ecs_rolls_back_ends_the_same_whoever_dies: BreakerRollsBack,
    a_turnover_that_is_superseded_ends_the_same_whoever_dies: Superseded,
    a_stage_that_is_retried_ends_the_same_whoever_dies: Retried,
    a_turnover_of_an_execution_that_stops_ends_the_same_whoever_dies: StoppedToWait,
    a_turnover_that_is_abandoned_ends_the_same_whoever_dies: Abandoned,
}
