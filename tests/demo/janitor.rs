//! The last act: the janitor cleans the registry that the releases have left behind.

use std::time::Duration;

use aws_types::SdkConfig;
use coalmine_door::store::Location;
use coalmine_janitor::cli::{EXIT_OK, EXIT_PLANNED};
use coalmine_janitor::policy::Policy;
use coalmine_janitor::progress::Progress;
use coalmine_janitor::run::Run;
use serde_json::json;
use simulator::ecr::ImageSpec;
use simulator::{Simulator, World};

use crate::stage::Application;
use crate::view::View;

/// The access key that the janitor signs with.
pub(crate) const KEY: &str = "AKIAJANITOR";

/// Releases of last year, and how many days ago they were pushed.
const OLD: [(&str, u64); 4] = [("2025-03", 300), ("2025-06", 210), ("2025-08", 150), ("2025-10", 90)];
/// The one of them that a schedule still runs.
const REPORT: &str = "2025-06";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The policy: the defaults but for what so few images need.
const POLICY: &str = r#"[defaults]
keep_newest = 2
[[rules]]
repositories = ["app", "background", "search"]
[guards]
max_percent = 80
"#;

/// Puts the history into the world: old releases, and a nightly report that runs one of them.
pub(crate) fn furnish(world: &mut World, applications: &[Application]) {
    // The janitor's role is registered as a pull-time exclusion, as README.md says.
    world.ecr.batch_get_counts_as_pull = false;
    for app in applications {
        for (tag, days) in OLD {
            world.ecr.push(ImageSpec::new(&app.name, tag, world.now - DAY * u32::try_from(days).unwrap_or(0)));
        }
    }
    let image = format!("{}:{REPORT}", world.ecr.uri("app"));
    let report =
        json!({"family": "report", "containerDefinitions": [{"name": "report", "image": image, "memory": 64}]});
    if let Ok(definition) = world.add_task_definition_at(&report, world.now - DAY * 200) {
        let cluster = world.arn("ecs", &format!("cluster/{}", crate::stage::CLUSTER));
        world.scheduler.add_task("default", "nightly-report", &cluster, &definition, world.now);
    }
}

/// Plans, waits a day, and sweeps.
pub(crate) async fn clean(simulator: &Simulator, door: &SdkConfig, view: &View) -> Result<(), String> {
    view.title("What the releases left in the registry: what the janitor keeps and why, and what goes");
    view.note("Beside the releases above there are four of last year in each repository; a nightly report runs one.");
    let policy = Policy::parse(POLICY).map_err(|problems| problems.to_string())?;
    let first = command(door, &policy, "plan").await?;
    view.text(&first.1);
    expect("plan", first.0, EXIT_OK)?;
    view.note("The simulated clock is moved on by a day: two scans 20 hours apart have to agree before anything goes.");
    simulator.clock().move_on(DAY);
    let second = command(door, &policy, "plan").await?;
    expect("second plan", second.0, EXIT_PLANNED)?;
    for image in ["app:v2", "app:2025-06", "app:2025-03"] {
        view.text(command(door, &policy, image).await?.1.trim_end());
    }
    let swept = command(door, &policy, "sweep").await?;
    view.text(&swept.1);
    expect("sweep", swept.0, EXIT_OK)?;
    let left = simulator.with_world(|world| {
        let tags = |name: &str| world.ecr.tags(name).into_iter().map(|(tag, _)| tag).collect::<Vec<_>>().join(" ");
        ["app", "background", "search"].map(|name| format!("{name}: {}", tags(name))).join("; ")
    });
    view.note(&format!("Left in the registry: {left}"));
    let wanted = "app: 2025-06 v1 v2 v3; background: v1 v2; search: v1 v2 v3";
    if left == wanted { Ok(()) } else { Err(format!("the sweep was to leave {wanted}")) }
}

/// A command of the janitor's: `plan`, `sweep`, or an image to tell about. Its exit code and what it prints.
async fn command(door: &SdkConfig, policy: &Policy, command: &str) -> Result<(u8, String), String> {
    let state = Location::S3 { bucket: "ledger".into(), prefix: "janitor".into() };
    let run = Run::begin(door, policy, &state, policy.run.budget, Progress::new(false)).await;
    let run = run.map_err(|problem| problem.to_string())?;
    let mut out = Vec::new();
    let code = match command {
        "plan" => run.plan(&mut out, false, None).await,
        "sweep" => run.sweep(&mut out, false, None, false, &|_| true).await,
        image => run.why(&mut out, false, image).await,
    };
    let code = code.map_err(|problem| problem.to_string())?;
    Ok((code, String::from_utf8_lossy(&out).into_owned()))
}

fn expect(what: &str, code: u8, wanted: u8) -> Result<(), String> {
    if code == wanted { Ok(()) } else { Err(format!("the janitor's {what} ended with {code}, expected {wanted}")) }
}
