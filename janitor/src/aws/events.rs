//! Amazon EventBridge: rules and schedules that run ECS tasks.

use coalmine_door::AwsError;

use super::Place;
use super::buckets::Bucket;
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
    /// When not every page can be read.
    pub async fn rule_targets(&self) -> Result<Vec<Trigger>, AwsError> {
        const TARGETS: &str = "events ListTargetsByRule";
        let mut found = Vec::new();
        for (bus, rule) in self.rules().await? {
            let pages = self.calls.pages(Bucket::Events, TARGETS, |token| async {
                let request = self.events.list_targets_by_rule().rule(&rule).event_bus_name(&bus);
                let output = request.set_next_token(token).send().await;
                let output = output.map_err(|error| AwsError::of(TARGETS, &error))?;
                Ok((output.targets.unwrap_or_default(), output.next_token))
            });
            let targets = match pages.await {
                Ok(targets) => targets,
                Err(error) if error.is("ResourceNotFoundException") => continue,
                Err(error) => return Err(error),
            };
            found.extend(targets.iter().filter_map(|target| {
                let named = target.ecs_parameters()?.task_definition_arn();
                let definition = definition_arn(named, target.arn(), &self.home);
                Some(Trigger { group: bus.clone(), name: rule.clone(), target: target.id().to_owned(), definition })
            }));
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
    /// When not every page can be read.
    pub async fn schedules(&self) -> Result<Vec<Trigger>, AwsError> {
        const LIST: &str = "scheduler ListSchedules";
        const GET: &str = "scheduler GetSchedule";
        let pages = self.calls.pages(Bucket::Events, LIST, |token| async {
            let output = self.scheduler.list_schedules().set_next_token(token).send().await;
            let output = output.map_err(|error| AwsError::of(LIST, &error))?;
            Ok((output.schedules, output.next_token))
        });
        let mut found = Vec::new();
        for summary in pages.await? {
            // An ECS target's ARN is a cluster's, or an operation's of ECS. What says nothing of its target is asked for.
            let is_ecs = summary.target().is_none_or(|target| target.arn().contains(":ecs:"));
            let (Some(name), true) = (summary.name(), is_ecs) else { continue };
            let group = summary.group_name().unwrap_or("default");
            let asked = self.calls.one(Bucket::Events, GET, || async {
                let request = self.scheduler.get_schedule().name(name).group_name(group);
                request.send().await.map_err(|error| AwsError::of(GET, &error))
            });
            let output = match asked.await {
                Ok(output) => output,
                Err(error) if error.is("ResourceNotFoundException") => continue,
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
                group: group.to_owned(),
                name: name.to_owned(),
                target: String::new(),
                definition: definition_arn(&named, target.arn(), &self.home),
            }));
        }
        Ok(found)
    }
}
