//! The person who approves: you, or one who approves whatever waits.

use std::io::{BufRead, Write};
use std::time::Duration;

use aws_sdk_codepipeline::types::ApprovalStatus;
use simulator::Simulator;

use crate::view::View;

/// How long the automatic approver looks at what it is shown, in simulated time.
const LOOKS_FOR: Duration = Duration::from_secs(10);

/// Answers the approvals of the pipelines.
pub(crate) struct Approver {
    simulator: Simulator,
    /// Whether you are asked.
    pub(crate) asks: bool,
    /// The pipeline whose canary is not liked.
    dislikes: Option<String>,
}

/// An approval that waits.
struct Waiting {
    stage: String,
    action: String,
    text: String,
    since: std::time::SystemTime,
}

impl Approver {
    /// One that asks, or one that approves.
    pub(crate) fn new(simulator: &Simulator, asks: bool) -> Self {
        Self { simulator: simulator.clone(), asks, dislikes: None }
    }

    /// The same, who rejects what waits behind the canary of a pipeline.
    pub(crate) fn who_dislikes(&self, pipeline: &str) -> Self {
        Self { simulator: self.simulator.clone(), asks: self.asks, dislikes: Some(pipeline.to_owned()) }
    }

    /// Answers what waits in a pipeline.
    pub(crate) async fn look(&self, pipeline: &str, view: &View) {
        let waiting: Vec<Waiting> = self.simulator.with_world(|world| {
            world
                .codepipeline
                .open_approvals(pipeline)
                .into_iter()
                .map(|run| Waiting {
                    stage: run.stage.clone(),
                    action: run.name.clone(),
                    text: run.resolved.get("CustomData").cloned().unwrap_or_default(),
                    since: run.started,
                })
                .collect()
        });
        let now = self.simulator.clock().now();
        for approval in waiting {
            let looked = now.duration_since(approval.since).unwrap_or_default();
            if !self.asks && looked < LOOKS_FOR {
                continue;
            }
            view.note(&format!("{pipeline}: the approver of stage {} sees: {}", approval.stage, approval.text));
            let likes = approval.stage != "Release" || self.dislikes.as_deref() != Some(pipeline);
            let approves = if self.asks { ask().await } else { likes };
            let status = if approves { ApprovalStatus::Approved } else { ApprovalStatus::Rejected };
            let who = if self.asks { "you" } else { "the demo's approver" };
            let summary = format!("{status} by {who}");
            let answered = self.simulator.with_world(|world| {
                world.answer_approval(pipeline, &approval.stage, &approval.action, status, &summary)
            });
            if answered.is_ok() {
                view.note(&format!("{pipeline}: {summary}"));
            }
        }
    }
}

/// Asks on the terminal. Time goes on meanwhile, as it does for a real approver.
async fn ask() -> bool {
    let answer = tokio::task::spawn_blocking(|| {
        print!("Approve? [Y/n] ");
        let _ = std::io::stdout().flush();
        let mut line = String::new();
        let _ = std::io::stdin().lock().read_line(&mut line);
        line
    });
    !answer.await.unwrap_or_default().trim().to_lowercase().starts_with('n')
}
