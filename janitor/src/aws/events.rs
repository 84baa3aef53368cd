//! Amazon EventBridge: rules and schedules that run ECS tasks.

use coalmine_door::AwsError;

use super::Place;
use super::buckets::Bucket;
use super::ecs::still_listed;
use crate::in_use::{Arn, definition_arn, named_definition};

/// Something that runs a task definition: where it stands (a bus, a group), its name, its target's id.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// The event bus, or the schedule group.
    pub group: String,
    /// The name of the rule or schedule.
    pub name: String,
    /// The target's id; empty for a schedule, which has one target.
    pub target: String,
    /// What it runs.
    pub definition: Arn,
}

impl Place {
    /// Every target of every rule that runs an ECS task.
    ///
    /// # Errors
    /// When not every page can be read, or one that is listed cannot be described.
    pub async fn rule_targets(&self) -> Result<Vec<Trigger>, AwsError> {
        const TARGETS: &str = "events ListTargetsByRule";
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (bus, rule) in self.rules().await? {
            let pages = self.calls.pages(Bucket::Events, TARGETS, |token| async {
                let request = self.events.list_targets_by_rule().rule(&rule).event_bus_name(&bus);
                let output = request.set_next_token(token).send().await;
                let output = output.map_err(|error| AwsError::of(TARGETS, &error))?;
                Ok((output.targets.unwrap_or_default(), output.next_token))
            });
            let targets = match pages.await {
                Ok(targets) => targets,
                Err(error) if error.is("ResourceNotFoundException") => {
                    missing.push(format!("{bus}/{rule}"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            found.extend(targets.iter().filter_map(|target| {
                let named = target.ecs_parameters()?.task_definition_arn();
                let definition = definition_arn(named, target.arn(), &self.home);
                Some(Trigger { group: bus.clone(), name: rule.clone(), target: target.id().to_owned(), definition })
            }));
        }
        // A rule that was deleted since it was listed is not listed any more.
        if !missing.is_empty() {
            let again: Vec<String> = self.rules().await?.iter().map(|(bus, rule)| format!("{bus}/{rule}")).collect();
            still_listed(TARGETS, &missing, &again)?;
        }
        Ok(found)
    }

    /// Bus and name of every rule.
    async fn rules(&self) -> Result<Vec<(String, String)>, AwsError> {
        const BUSES: &str = "events ListEventBuses";
        const RULES: &str = "events ListRules";
        let buses = self.calls.pages(Bucket::Events, BUSES, |token| async {
            let output = self.events.list_event_buses().set_next_token(token).send().await;
            let output = output.map_err(|error| AwsError::of(BUSES, &error))?;
            Ok((output.event_buses.unwrap_or_default(), output.next_token))
        });
        let mut found = Vec::new();
        for bus in buses.await?.into_iter().filter_map(|bus| bus.name) {
            let rules = self.calls.pages(Bucket::Events, RULES, |token| async {
                let output = self.events.list_rules().event_bus_name(&bus).set_next_token(token).send().await;
                let output = output.map_err(|error| AwsError::of(RULES, &error))?;
                Ok((output.rules.unwrap_or_default(), output.next_token))
            });
            found.extend(rules.await?.into_iter().filter_map(|rule| Some((bus.clone(), rule.name?))));
        }
        Ok(found)
    }

    /// Every schedule that runs an ECS task.
    ///
    /// # Errors
    /// When not every page can be read, or one that is listed cannot be described.
    pub async fn schedules(&self) -> Result<Vec<Trigger>, AwsError> {
        const GET: &str = "scheduler GetSchedule";
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (group, name) in &self.ecs_schedules().await? {
            let asked = self.calls.one(Bucket::Events, GET, || async {
                let request = self.scheduler.get_schedule().name(name).group_name(group);
                request.send().await.map_err(|error| AwsError::of(GET, &error))
            });
            let output = match asked.await {
                Ok(output) => output,
                Err(error) if error.is("ResourceNotFoundException") => {
                    missing.push(format!("{group}/{name}"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let unusable = |why: &str| AwsError::unusable(GET, format!("schedule {group}/{name}: {why}"));
            let target = output.target().ok_or_else(|| unusable("no target"))?;
            // A universal target calls an operation of ECS's API itself: all that it says stands in its input.
            let named = match target.ecs_parameters() {
                Some(parameters) => Some(parameters.task_definition_arn().to_owned()),
                None => named_definition(target.arn(), target.input()).map_err(|why| unusable(&why))?,
            };
            found.extend(named.map(|named| Trigger {
                group: group.clone(),
                name: name.clone(),
                target: String::new(),
                definition: definition_arn(&named, target.arn(), &self.home),
            }));
        }
        // A schedule that ran once and deleted itself is not listed any more.
        if !missing.is_empty() {
            let again = self.ecs_schedules().await?;
            let again: Vec<String> = again.iter().map(|(group, name)| format!("{group}/{name}")).collect();
            still_listed(GET, &missing, &again)?;
        }
        Ok(found)
    }

    /// Group and name of every schedule that may run an ECS task.
    async fn ecs_schedules(&self) -> Result<Vec<(String, String)>, AwsError> {
        const LIST: &str = "scheduler ListSchedules";
        let pages = self.calls.pages(Bucket::Events, LIST, |token| async {
            let output = self.scheduler.list_schedules().set_next_token(token).send().await;
            let output = output.map_err(|error| AwsError::of(LIST, &error))?;
            Ok((output.schedules, output.next_token))
        });
        // An ECS target's ARN is a cluster's, or an operation's of ECS. What says nothing of its target is asked for.
        let summaries = pages.await?.into_iter();
        let of_ecs = summaries.filter(|one| one.target().is_none_or(|target| target.arn().contains(":ecs:")));
        let named = of_ecs.filter_map(|one| Some((one.group_name.unwrap_or_else(|| "default".into()), one.name?)));
        Ok(named.collect())
    }
}
