//! The check of a turn before anything is touched: wait, refuse, or go on with what was found.

use coalmine_door::AwsError;
use coalmine_pipeline::Mode;
use coalmine_pipeline::limits::cut;

use crate::act;
use crate::deploy::action::Action;
use crate::deploy::decision::Role;
use crate::deploy::preflight::{self, Check};
use crate::deploy::progress::{Cause, CauseKind, Former, Phase};
use crate::deploy::restore;
use crate::observe::{Asker, Gathered};
use crate::plan;
use crate::turn::{Pass, Turn, configuration};

impl Turn<'_> {
    pub(crate) async fn check(&mut self, busy_since: Option<i64>) -> Result<Pass, AwsError> {
        if self.gathered.as_ref().is_none_or(|gathered| gathered.is_stale(self.tools.clock.now())) {
            self.gathered = Some(Gathered::gather(self).await?);
        }
        let now = self.tools.clock.now().timestamp();
        let Some(gathered) = &self.gathered else { return Ok(Pass::Again) };
        if self.action.options.mode == Mode::Plan {
            let planned = plan::of_turn(self, gathered).await?;
            return Ok(Pass::End(planned.unwrap_or_else(|problems| configuration(refusal(&self.action, &problems)))));
        }
        match preflight::check(&gathered.facts(Asker::of(self), busy_since), now) {
            // What was gathered before the wait may be old: everything is checked once more.
            Check::Refuse(_) | Check::Ready(_) if self.waited => {
                (self.waited, self.gathered) = (false, None);
                self.view.outdate(self.tools);
                Ok(Pass::Again)
            }
            Check::Refuse(problems) => match self.await_watch(busy_since, false).await {
                Some(wait) => Ok(wait),
                None => Ok(self.turn_down(refusal(&self.action, &problems))),
            },
            Check::Wait { reason, busy } => {
                self.waited = true;
                let since = busy.then(|| busy_since.unwrap_or(now));
                self.progress.phase = Phase::Check { busy_since: since };
                Ok(Pass::Wait(reason))
            }
            Check::Ready(plan) => {
                if let Some(ending) = self.hindrance().await? {
                    return Ok(Pass::End(ending));
                }
                if let Some(wait) = self.await_watch(busy_since, true).await {
                    return Ok(wait);
                }
                let revision = act::register(self.tools, &plan.copy).await?;
                self.tell(&format!(
                    "{} is ready to be deployed as {revision}",
                    crate::deploy::release::describe(&plan.images)
                ));
                self.progress.former = Some(Former { at: self.since, ..plan.former });
                self.progress.revision = Some(revision);
                self.progress.phase = Phase::Deploy;
                self.tools.releases.keep(&self.job.context.action_execution, &plan.images);
                self.view.images = Some(plan.images);
                self.record_begin().await;
                self.view.ignore_red(&self.action, &self.progress);
                Ok(Pass::Again)
            }
        }
    }

    /// Ends an action that touched nothing. A turnover that is refused gives its canary back, too: nobody will turn it
    /// over any more, because a retry of the stage begins with the canary.
    fn turn_down(&mut self, text: String) -> Pass {
        let execution = &self.job.context.execution;
        let canary = self.gathered.as_ref().and_then(|gathered| gathered.canary.as_ref());
        if !canary.is_some_and(|canary| restore::is_ours(&canary.definition, execution)) {
            return Pass::End(configuration(text));
        }
        let cause = Cause { kind: CauseKind::Refused, text, witness: None };
        self.progress.undo(self.action.role, cause, self.tools.clock.now().timestamp());
        Pass::Again
    }
}

fn refusal(action: &Action, problems: &[String]) -> String {
    let what = match action.role {
        Role::Canary => "canary",
        Role::Full => "full service",
    };
    let list: String =
        problems.iter().map(|problem| format!("\n- {}", cut(problem, 1_000).replace('\n', "\n  "))).collect();
    format!("Nothing was deployed to {what} {}/{}:{list}", action.cluster, action.service)
}
