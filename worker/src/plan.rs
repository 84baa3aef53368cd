//! Looking ahead: what a release would do, for the person who is asked before it. Reads, and touches nothing.

use std::collections::{BTreeMap, BTreeSet};

use coalmine_door::{AwsError, Kind};
use coalmine_pipeline::action_type::FULL;
use coalmine_pipeline::{ImageReference, variables};

use crate::aws::pipelines::Definition;
use crate::deploy::action::Action;
use crate::deploy::decision::Terms;
use crate::deploy::earlier::digests;
use crate::deploy::outlook::{self, Beside, Outlook, Portrait};
use crate::deploy::preflight::Facts;
use crate::deploy::task_definition::TaskDefinition;
use crate::observe::{Asker, Gathered};
use crate::report::Ending;
use crate::turn::Turn;

/// How an action ends that only plans: with the plan as its summary; else what is wrong, everything at once.
///
/// What will pass, such as an alarm that is red now, is in the plan: people may still approve, and the canary checks
/// again.
///
/// # Errors
/// When a call fails.
pub(crate) async fn of_turn(turn: &Turn<'_>, gathered: &Gathered) -> Result<Result<Ending, Vec<String>>, AwsError> {
    let asker = Asker::of(turn);
    let facts = gathered.facts(asker, None);
    let context = &turn.job.context;
    let turnover = match turn.tools.codepipeline.definition(&context.pipeline).await {
        Ok(Some(definition)) => turnover(&definition, asker),
        Ok(None) => Err(format!("pipeline {} is gone", context.pipeline)),
        // The plan is worth having without it.
        Err(problem) if problem.kind == Kind::Denied => Err(problem.brief()),
        Err(problem) => return Err(problem),
    };
    let outlook = look_ahead(asker, &facts, turnover).await?;
    if !outlook.problems.is_empty() {
        return Ok(Err(outlook.problems.into_iter().chain(outlook.not_now).collect()));
    }
    let summary = outlook.summary(turn.tools.clock.now().timestamp());
    let runs = asker.own.map(|own| own.revision.arn_beside(&own.arn)).unwrap_or_default();
    let images = digests(&facts.asked);
    let images: Vec<String> = images.iter().map(|(container, digest)| format!("{container}={digest}")).collect();
    let variables = [
        (variables::RELEASE_ID.name, context.execution.clone()),
        // Nothing was deployed: it runs what it ran.
        (variables::TASK_DEFINITION.name, runs.clone()),
        (variables::PREVIOUS_TASK_DEFINITION.name, runs),
        (variables::IMAGE_DIGESTS.name, images.join(",")),
        (variables::SUMMARY.name, summary.clone()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
    Ok(Ok(Ending::Succeeded { summary, id: None, variables }))
}

/// Reads what an outlook needs beside the preflight's facts, and looks ahead.
///
/// # Errors
/// When a call fails.
pub(crate) async fn look_ahead(
    asker: Asker<'_>,
    facts: &Facts<'_>,
    turnover: Result<Terms, String>,
) -> Result<Outlook, AwsError> {
    let tools = asker.tools;
    let mut runs = [None, None];
    for (service, runs) in [asker.own, asker.partner].into_iter().zip(&mut runs) {
        if let Some(service) = service {
            *runs = tools.ecs.task_definition(&service.revision.to_string()).await?;
        }
    }
    let [canary_runs, full_runs] = runs;
    let asked: BTreeSet<&str> = facts.asked.iter().map(|asked| asked.container.as_str()).collect();
    let now = full_runs.iter().flat_map(TaskDefinition::images).filter(|(name, _)| asked.contains(name.as_str()));
    let references: BTreeSet<String> =
        facts.asked.iter().map(|asked| asked.reference.to_string()).chain(now.map(|(_, image)| image)).collect();
    let mut portraits: BTreeMap<String, Portrait> = BTreeMap::new();
    for reference in references {
        // What cannot be read or is gone has no portrait; whether it can be deployed the preflight says.
        let Ok(parsed) = ImageReference::parse(&reference) else { continue };
        match tools.registries.portrait(&parsed).await {
            Ok(Some(portrait)) => drop(portraits.insert(reference, portrait)),
            Ok(None) => {}
            // What runs may come from a registry that this role may not read.
            Err(problem) if problem.kind == Kind::Denied => {}
            Err(problem) => return Err(problem),
        }
    }
    let tasks =
        asker.own.zip(asker.partner).and_then(|(own, partner)| asker.action.terms(own.desired, partner).desired);
    let beside = Beside { canary_runs, full_runs, portraits, canary_tasks: tasks.unwrap_or(1), turnover };
    Ok(outlook::look_ahead(facts, &beside, tools.clock.now().timestamp()))
}

/// How a pipeline turns the full service of a canary over: by the action of it that does.
pub(crate) fn turnover(definition: &Definition, asker: Asker<'_>) -> Result<Terms, String> {
    let of_full = definition.actions.iter().filter(|action| action.provider == FULL.provider);
    let mut problem = format!("pipeline {} has no {} for it", definition.name, FULL.provider);
    for declared in of_full {
        match Action::parse(&FULL, &definition.resolved(&declared.configuration)) {
            Ok(Some(full)) if full.service == asker.action.partner && full.partner == asker.action.service => {
                let service = asker.own.ok_or_else(|| "there is no canary".to_owned())?;
                return Ok(full.terms(0, service));
            }
            Ok(_) => {}
            Err(problems) => {
                problem = format!("the configuration of {}/{}: {problems}", declared.stage, declared.name);
            }
        }
    }
    Err(problem)
}
