//! Services of all sizes, with the percents that a careful caller computes, and desired counts that change mid-way.

use super::*;

/// The percents that let exactly a tenth, or one, be missing or too many.
fn careful(desired: i32, surge: bool) -> (i32, i32) {
    let batch = (desired / 10).max(1);
    if surge {
        (100, (100 * (desired + batch) + desired - 1) / desired)
    } else {
        (100 * (desired - batch) / desired, 100)
    }
}

/// Rolls `desired` tasks, a batch of a tenth or one; the most that the turnover had missing, and the most there were.
async fn roll(desired: i32, surge: bool, change: Option<i32>) -> (u32, usize) {
    let (minimum, maximum) = careful(desired, surge);
    let further = percents(minimum, maximum);
    let stage = Stage::new(u64::try_from(desired).unwrap(), checked("good"), desired, further);
    let worst = std::sync::Arc::new(std::sync::Mutex::new((0, 0)));
    let seen = worst.clone();
    stage.simulator.with_world(|world| {
        world.watch(move |world| {
            let view = world.ecs.view("main", "app").unwrap();
            let shortfall = view.shortfall;
            let missing = i64::from(view.desired) - i64::try_from(view.healthy()).unwrap();
            let told = i64::from(shortfall.turnover + shortfall.other) - i64::from(shortfall.surplus);
            assert_eq!(missing, told, "{shortfall:?}");
            let mut seen = seen.lock().unwrap();
            *seen = (seen.0.max(shortfall.turnover), seen.1.max(view.occupying()));
        });
    });
    let arn = stage.deploy(&checked("next")).await;
    if let Some(change) = change {
        stage.wait(60).await;
        stage.simulator.with_world(|world| {
            world.set_desired_count("main", "app", change).unwrap();
            world.interrupt_spot("main", "app", 1);
            let (minimum, maximum) = careful(change, surge);
            world.set_percents("main", "app", minimum, maximum).unwrap();
        });
    }
    stage.until(&arn, "SUCCESSFUL").await;
    assert_eq!(stage.view().new_and_old(), (usize::try_from(change.unwrap_or(desired)).unwrap(), 0));
    *worst.lock().unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_size_rolls_in_place_and_in_surge_with_exactly_its_batch() {
    for desired in [2, 3, 9, 10, 19, 100] {
        let batch = (desired / 10).max(1);
        let size = usize::try_from(desired).unwrap();
        assert_eq!(roll(desired, false, None).await, (u32::try_from(batch).unwrap(), size), "{desired} in place");
        let (missing, most) = roll(desired, true, None).await;
        assert_eq!((missing, most), (0, size + usize::try_from(batch).unwrap()), "{desired} in surge");
    }
    assert_eq!(roll(1, true, None).await, (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_desired_count_that_changes_mid_way_is_followed() {
    for (desired, change) in [(10, 14), (10, 7), (20, 21), (40, 20), (3, 4)] {
        roll(desired, false, Some(change)).await;
        roll(desired, true, Some(change)).await;
    }
}
