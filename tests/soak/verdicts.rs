//! Whether the executions of a life ended as they had to: deaths and faults change nothing of that.

use aws_sdk_codepipeline::types::{ActionExecutionStatus, ApprovalStatus, PipelineExecutionStatus};
use simulator::World;
use simulator::codepipeline::Execution;
use simulator::ecr::Behaviour;
use simulator::faults::Fault;

use crate::life::{Happening, Image, Life, Release};
use crate::people::People;
use crate::stage::Application;

/// After so many failures in a row the deployment circuit breaker of a small service opens.
const BREAKER_THRESHOLD: usize = 3;

/// A good release that nobody disturbed has succeeded, and an image that cannot run never was a success.
pub(crate) fn claim(world: &World, life: &Life, people: &People) -> Result<(), String> {
    for (id, place) in &people.executions {
        let release = &life.releases[*place];
        let app = &life.pipelines[release.pipeline];
        let Some(execution) = world.codepipeline.execution(&app.pipeline, id) else { continue };
        let succeeded = |run: &&simulator::codepipeline::ActionRun| {
            run.action_type.owner == "Custom" && run.status == ActionExecutionStatus::Succeeded
        };
        if cannot_run(&release.image)
            && let Some(run) = execution.actions.iter().find(succeeded)
        {
            let (name, tag) = (&run.name, &release.tag);
            return Err(format!("{name} of {} called {tag} a success, whose image cannot run", app.pipeline));
        }
        if execution.status == PipelineExecutionStatus::Failed
            && must_succeed(life, release, app)
            && let Some(why) = wrong_failure(execution)
        {
            return Err(format!("{} of {}, a good release, failed: {why}", release.tag, app.pipeline));
        }
    }
    Ok(())
}

fn cannot_run(image: &Image) -> bool {
    use Behaviour::{CannotBePulled, NeverHealthy, WrongArchitecture};
    match image {
        Image::Pushed(behaviour) => matches!(behaviour, NeverHealthy | CannotBePulled | WrongArchitecture),
        Image::OtherArchitecture | Image::Missing => true,
    }
}

/// Whether nothing but deaths and faults stands between a release and its success. What a release meets that others
/// left behind (another pipeline, an abandoned action, a red alarm) or that AWS does not give (a permission) may end it.
fn must_succeed(life: &Life, release: &Release, app: &Application) -> bool {
    let good = matches!(release.image, Image::Pushed(Behaviour::Good | Behaviour::SlowStart(_)));
    let approved = release.answers.iter().all(|answer| {
        let minutes = u64::from(app.patience.unwrap_or(u32::MAX));
        answer.says == Some(ApprovalStatus::Approved) && answer.after.as_secs() + 30 < minutes * 60
    });
    let alone = life.pipelines.iter().filter(|other| other.name == app.name).count() == 1;
    let stopped = life.releases.iter().any(|other| other.pipeline == release.pipeline && other.stop.is_some());
    let disturbed = life.happenings.iter().any(|(_, happening)| match happening {
        Happening::Deploys { .. } | Happening::StopsDeployment { .. } | Happening::RollsBack { .. } => true,
        Happening::Scales { .. }
        | Happening::Spot { .. }
        | Happening::NoCapacity { .. }
        | Happening::PullsFail { .. }
        | Happening::Sigterm { .. }
        | Happening::SetsClock { .. } => false,
    });
    // What AWS calls missing is believed, like a refused permission: the release is turned down.
    let refused = life.weather.iter().any(|weather| match &weather.fault {
        Fault::AccessDenied => true,
        Fault::Failures(reason) => reason == "MISSING",
        _ => false,
    });
    // So many pulls that fail in a row are a verdict of ECS's own.
    let broken = breaker_can_open(life, app, 1);
    let undisturbed = alone && !stopped && !disturbed && !refused && !broken;
    good && release.turns.is_none() && approved && undisturbed && app.deployed && app.alarms.is_empty()
}

/// Whether so many pulls are throttled that they alone may open a service's deployment circuit breaker so many times.
pub(crate) fn breaker_can_open(life: &Life, app: &Application, times: usize) -> bool {
    let failed = |happening: &Happening| if let Happening::PullsFail { count } = happening { *count } else { 0 };
    let pulls: usize = life.happenings.iter().map(|(_, happening)| failed(happening)).sum();
    app.deployment["deploymentCircuitBreaker"]["enable"] == true && pulls >= BREAKER_THRESHOLD * times
}

/// Why an execution failed, if not because its time was over: faults take time.
fn wrong_failure(execution: &Execution) -> Option<String> {
    let mut failed = execution.actions.iter().rev().filter(|run| run.status == ActionExecutionStatus::Failed);
    let why = failed.next()?.error.as_ref()?.message.clone();
    (!why.contains("not done within") && !why.contains("still after")).then_some(why)
}
