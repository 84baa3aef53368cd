//! What the demo shows: a live view on a terminal, lines on a pipe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_codepipeline::types::{ActionExecutionStatus, PipelineExecutionStatus};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use simulator::codepipeline::ActionRun;
use simulator::{Simulator, World};

use crate::approver::Approver;
use crate::stage::{Application, CLUSTER};

/// How often the view is drawn, in real time.
const FRAME: Duration = Duration::from_millis(100);
/// How long a canary may take to go back, in simulated time.
const PATIENCE: Duration = Duration::from_secs(900);
/// On a pipe, a running action is told anew when it has come this much further.
const PERCENT_STEP: i32 = 25;

/// Shows pipelines and services.
pub(crate) struct View {
    simulator: Simulator,
    bars: Option<(MultiProgress, BTreeMap<String, ProgressBar>)>,
    told: Mutex<BTreeMap<String, String>>,
}

/// One pipeline at one moment.
struct Picture {
    /// Changes only when a line on a pipe is worth it.
    key: String,
    percent: u64,
    text: String,
}

impl View {
    /// A view of these applications' pipelines.
    pub(crate) fn new(simulator: &Simulator, applications: &[Application], live: bool) -> Self {
        let bars = live.then(|| {
            let all = MultiProgress::new();
            let style = ProgressStyle::with_template("{prefix:>11.bold} {bar:20.green/dim} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bars = applications
                .iter()
                .map(|app| {
                    let bar = all.add(ProgressBar::new(100).with_style(style.clone()).with_prefix(app.name.clone()));
                    (app.name.clone(), bar)
                })
                .collect();
            (all, bars)
        });
        Self { simulator: simulator.clone(), bars, told: Mutex::default() }
    }

    /// A heading.
    pub(crate) fn title(&self, text: &str) {
        self.print(&format!("\n== {text}\n"));
    }

    /// A remark, with its date.
    pub(crate) fn note(&self, text: &str) {
        let clock = self.clock();
        for (number, line) in text.lines().enumerate() {
            self.print(&if number == 0 { format!("{clock}  {line}") } else { format!("          {line}") });
        }
    }

    /// What a program has printed.
    pub(crate) fn text(&self, text: &str) {
        text.lines().for_each(|line| self.print(line));
    }

    fn print(&self, line: &str) {
        match &self.bars {
            Some((all, _)) => {
                let _ = all.println(line);
            }
            None => println!("{line}"),
        }
    }

    /// Simulated time since the start.
    fn clock(&self) -> String {
        let passed = self.simulator.clock().now().duration_since(self.simulator.settings().epoch).unwrap_or_default();
        let seconds = passed.as_secs();
        format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }

    /// Shows these executions until all have ended, with the approver beside.
    pub(crate) async fn follow(&self, executions: &[(&Application, String)], approver: &Approver) {
        loop {
            let mut ended = true;
            for (app, execution) in executions {
                approver.look(&app.name, self).await;
                let (picture, over) = self.simulator.with_world(|world| picture(world, app, execution));
                self.show(&app.name, &picture);
                ended &= over;
            }
            if ended {
                return;
            }
            wait(FRAME).await;
        }
    }

    /// Waits until the canary of a release that was rejected is back.
    pub(crate) async fn returned(&self, app: &Application) -> Result<(), String> {
        let canary = app.canary_name();
        let full = self.simulator.with_world(|world| digests(world, &app.name));
        let begin = self.simulator.clock().now();
        loop {
            let (now, waits) = self.simulator.with_world(|world| {
                let record = world.s3.get("ledger", &format!("coalmine/held/{CLUSTER}/{canary}.json"));
                (digests(world, &canary), record.is_some())
            });
            if now == full && !waits {
                self.note(&format!("{}: canary {CLUSTER}/{canary} runs what the full service runs again", app.name));
                return Ok(());
            }
            let waited = self.simulator.clock().now().duration_since(begin).unwrap_or_default();
            if waited > PATIENCE {
                return Err(format!("canary {canary} was not returned within {waited:?}"));
            }
            wait(FRAME).await;
        }
    }

    fn show(&self, pipeline: &str, picture: &Picture) {
        if let Some(bar) = self.bars.as_ref().and_then(|(_, bars)| bars.get(pipeline)) {
            bar.set_position(picture.percent);
            bar.set_message(picture.text.clone());
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.get(pipeline) != Some(&picture.key) {
            told.insert(pipeline.to_owned(), picture.key.clone());
            println!("{}  {pipeline:<11} {}", self.clock(), picture.text);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a picture is drawn in real time")]
async fn wait(duration: Duration) {
    tokio::time::sleep(duration).await;
}

fn picture(world: &World, app: &Application, execution: &str) -> (Picture, bool) {
    let Some(found) = world.codepipeline.execution(&app.name, execution) else {
        return (Picture { key: String::new(), percent: 0, text: "not started".into() }, false);
    };
    let over = found.status != PipelineExecutionStatus::InProgress;
    let done = found.actions.iter().filter(|run| run.status == ActionExecutionStatus::Succeeded).count();
    let Some(last) = found.actions.last() else {
        return (Picture { key: String::new(), percent: 0, text: found.status.to_string() }, over);
    };
    let percent = last.percent.unwrap_or(0);
    let step = percent / PERCENT_STEP * PERCENT_STEP;
    let place = format!("{}/{}", last.stage, last.name);
    let tasks = [(app.canary_name(), "canary"), (app.name.clone(), "full")]
        .map(|(service, what)| tasks(world, &service, what))
        .join(", ");
    let key = format!("{place} {:?} {step} {:?}", last.status, found.status);
    let mark = match last.status {
        ActionExecutionStatus::Succeeded => "✓",
        ActionExecutionStatus::Failed => "✗",
        _ => "…",
    };
    // Five actions; the running one counts by its percent.
    let all = u64::try_from(done * 20).unwrap_or(0) + if over { 0 } else { u64::try_from(percent / 5).unwrap_or(0) };
    (Picture { key, percent: all.min(100), text: format!("{place:<16} {mark} {} | {tasks}", said(last)) }, over)
}

/// The latest word of an action: its summary, at most a line's worth.
fn said(run: &ActionRun) -> String {
    let text = match (&run.status, &run.summary) {
        (ActionExecutionStatus::Failed, _) => "failed".to_owned(),
        (_, Some(summary)) => summary.clone(),
        (status, None) if *status == ActionExecutionStatus::InProgress => "in progress".to_owned(),
        (status, None) => status.to_string(),
    };
    coalmine_pipeline::limits::cut(text.lines().next().unwrap_or_default(), 80).into_owned()
}

/// The digests that a service's running tasks run, each once.
fn digests(world: &World, service: &str) -> BTreeSet<String> {
    let tasks = world.ecs.view(CLUSTER, service).map(|view| view.tasks).unwrap_or_default();
    let running = tasks.into_iter().filter(|task| task.stopped.is_none());
    running.flat_map(|task| task.digests).filter_map(|(_, digest)| digest).collect()
}

/// `full 3 new + 7 old`.
fn tasks(world: &World, service: &str, what: &str) -> String {
    match world.ecs.view(CLUSTER, service).map(|view| view.new_and_old()) {
        Some((new, 0)) => format!("{what} {new}"),
        Some((new, old)) => format!("{what} {new} new + {old} old"),
        None => String::new(),
    }
}
