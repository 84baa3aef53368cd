//! What an operator sees of a rollback: tables for people, JSON for machines, a bar per service on a terminal.

use std::collections::BTreeSet;

use coalmine_door::store::Location;
use comfy_table::{CellAlignment, Table};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::default_ledger;
use crate::commands::common::Screen;
use crate::commands::rollback::Order;
use crate::commands::rollback::carriers::Carrier;
use crate::commands::table::{row, short, table};
use crate::deploy::message::printable;
use crate::deploy::rollback::course::Course;
use crate::deploy::rollback::words::{End, State, unchanged};
use crate::rollback::fleet::Fleet;
use crate::rollback::plan::{Plan, Planned};

/// The version of the JSON documents.
const SCHEMA: u32 = 1;
/// Characters of a digest that people compare.
const DIGEST_CHARS: usize = 19;

/// Shows what would change, and what cannot be done and why.
pub(super) fn plan(screen: &mut Screen<'_>, order: &Order, plan: &Plan) {
    let goes_on = !plan.planned.is_empty() && (plan.problems.is_empty() || order.partial);
    if plan.unrecorded {
        screen.say(&unrecorded(&order.ledger, &default_ledger()));
    }
    if order.json {
        // What is done says it again, with its outcome.
        if order.dry_run || !goes_on {
            let services: Vec<Value> = plan.planned.iter().map(planned).collect();
            screen.show(
                &json!({"schema": SCHEMA, "services": services, "problems": problems(&plan.problems)}).to_string(),
            );
        } else if !order.yes {
            // Whoever is asked sees what for.
            screen.say(&of_plan(plan).trim_fmt());
        }
    } else if !plan.planned.is_empty() {
        screen.show(&of_plan(plan).trim_fmt());
    }
    if !plan.problems.is_empty() {
        let count = plan.problems.iter().map(|(service, _)| service).collect::<BTreeSet<_>>().len();
        screen.say(&format!("{count} cannot be rolled back:"));
        for (service, problem) in &plan.problems {
            screen.say(&format!("- {service}: {}", printable(problem)));
        }
    }
}

/// What is said where the ledger knows none of the services: it may be another one than the workers'.
fn unrecorded(ledger: &Location, by_default: &Location) -> String {
    let missing = if ledger == by_default { " Is --ledger (COALMINE_LEDGER) missing?" } else { "" };
    format!("The ledger {ledger} tells nothing of these services: what ECS remembers of 90 days is used.{missing}")
}

fn problems(problems: &[(String, String)]) -> Vec<Value> {
    problems.iter().map(|(service, problem)| json!({"service": service, "problem": problem})).collect()
}

fn of_plan(plan: &Plan) -> Table {
    let mut shown = table(&["Service", "From", "To", "Tasks", "Batch"]);
    if let Some(tasks) = shown.column_mut(3) {
        tasks.set_cell_alignment(CellAlignment::Right);
    }
    for planned in &plan.planned {
        let Planned { course, service, pair, copy } = planned;
        let name = match (&course.canary_of, pair) {
            (Some(full), Some(says)) => format!("{}\n  canary of {full}, {says}", course.service),
            _ => course.service.clone(),
        };
        let from = place(course.from.to_string(), course.left.as_ref(), course.left_digests.values().next());
        let digest = course.images.first().map(|image| image.digest.to_string());
        let to = match copy {
            Some(_) => place(format!("a copy of {}", course.to), course.release.as_ref(), digest.as_ref()),
            None => place(course.to.to_string(), course.release.as_ref(), digest.as_ref()),
        };
        let batch = match (copy.is_some() || course.leaves(), course.batch(service)) {
            (false, _) if service.is_rolling() => "on its way".to_owned(),
            (false, _) => "there already".to_owned(),
            (true, batch) if batch >= service.desired => "all at once".to_owned(),
            (true, batch) => format!("{batch} at a time"),
        };
        row(&mut shown, [name, from, to, service.desired.to_string(), batch]);
    }
    shown
}

/// `shop:7` and below it what is known of it.
fn place(revision: String, release: Option<&(String, String)>, digest: Option<&String>) -> String {
    let mut known: Vec<String> = Vec::new();
    if let Some((release, _)) = release {
        known.push(short(release).to_owned());
    }
    if let Some(digest) = digest {
        known.push(digest.chars().take(DIGEST_CHARS).collect());
    }
    if known.is_empty() { revision } else { format!("{revision}\n  {}", known.join(", ")) }
}

fn planned(planned: &Planned) -> Value {
    let mut value = course(&planned.course);
    value["tasks"] = json!(planned.service.desired);
    value["batch"] = json!(planned.course.batch(&planned.service));
    value["copies"] = json!(planned.copy.is_some());
    value
}

fn course(course: &Course) -> Value {
    let digests: serde_json::Map<String, Value> =
        course.images.iter().map(|image| (image.container.clone(), json!(image.digest.to_string()))).collect();
    let id = |release: &Option<(String, String)>| release.as_ref().map(|(release, _)| release.clone());
    json!({
        "cluster": course.cluster,
        "service": course.service,
        "canaryOf": course.canary_of,
        "from": {"revision": course.from.to_string(), "release": id(&course.left), "digests": course.left_digests},
        "to": {"revision": course.to.to_string(), "release": id(&course.release), "digests": digests},
    })
}

/// Shows where every service stands, which executions still carry what was left, and what was left out from the beginning.
pub(super) fn outcome(
    screen: &mut Screen<'_>,
    order: &Order,
    fleet: &Fleet,
    carriers: Option<&[Carrier]>,
    left_out: &[(String, String)],
) {
    let ends = fleet.ends();
    if order.json {
        let services = ends.iter().map(|end| {
            let mut value = course(end.course);
            value["state"] = json!(end.state.word());
            value["reason"] = json!(end.said());
            value["counted"] = json!(end.tasks);
            value["changed"] = json!(end.changed);
            value
        });
        let carrying = |carrier: &Carrier| json!({"pipeline": carrier.pipeline, "execution": carrier.execution, "stopping": carrier.stopping});
        let document = json!({
            "schema": SCHEMA,
            "services": services.collect::<Vec<_>>(),
            "problems": problems(left_out),
            "executions": carriers.map(|carriers| carriers.iter().map(carrying).collect::<Vec<_>>()),
        });
        screen.show(&document.to_string());
    } else {
        let mut shown = table(&["Service", "State", ""]);
        for end in &ends {
            let state = end.state.word().to_owned();
            row(&mut shown, [end.course.service.clone(), state, printable(&end.said())]);
        }
        screen.show(&shown.trim_fmt());
    }
    if let Some(there) = unchanged(&ends, "--to ", &order.to) {
        screen.say(&format!("{there}."));
    }
    if !left_out.is_empty() {
        let names: BTreeSet<&str> = left_out.iter().map(|(service, _)| service.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        screen.say(&format!("Left out, for the reasons above: {}.", names.join(", ")));
    }
    for carrier in carriers.unwrap_or_default() {
        let Carrier { pipeline, execution, stopping } = carrier;
        screen.say(&if *stopping {
            format!("execution {execution} of {pipeline} carried it, and is being stopped")
        } else {
            format!("execution {execution} of {pipeline} still carries it: --stop-pipelines stops it; its checks refuse the digest")
        });
    }
}

/// Says that nobody looked for executions which still carry what was left: a service that was told leaves nothing any more for
/// the same command.
pub(super) fn carriers_not_looked_for(screen: &mut Screen<'_>, order: &Order) {
    let stopped = if order.stop_pipelines { ", and none was stopped" } else { "" };
    screen.say(&format!(
        "Pipeline executions that still carry what was left were not looked for{stopped}: their checks refuse its digests; what is to end at once is stopped in CodePipeline."
    ));
}

/// How far each service is: a bar on a terminal, a line for each change elsewhere.
#[derive(Debug)]
pub(super) struct Bars {
    bars: Option<(MultiProgress, Vec<ProgressBar>)>,
    said: Vec<State>,
}

impl Bars {
    pub(super) fn new(fleet: &Fleet, is_terminal: bool) -> Self {
        Self::of(&fleet.ends(), is_terminal)
    }

    fn of(ends: &[End<'_>], is_terminal: bool) -> Self {
        let bars = is_terminal.then(|| {
            let all = MultiProgress::new();
            let width = ends.iter().map(|end| end.course.service.len()).max().unwrap_or_default();
            let template = format!("{{prefix:{width}}} {{bar:20}} {{pos}}/{{len}} {{wide_msg}}");
            let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = |end: &End<'_>| {
                all.add(ProgressBar::new(0)).with_style(style.clone()).with_prefix(end.course.service.clone())
            };
            let each = ends.iter().map(bar).collect();
            (all, each)
        });
        Self { bars, said: ends.iter().map(|end| end.state).collect() }
    }

    /// Shows how far it is; the lines for those who see no bars.
    pub(super) fn look(&mut self, fleet: &Fleet) -> Vec<String> {
        self.show(&fleet.ends(), &fleet.tasks())
    }

    /// The same from where each service stands, and how many of its tasks run the target of how many.
    fn show(&mut self, ends: &[End<'_>], tasks: &[(u32, u32)]) -> Vec<String> {
        let mut lines = Vec::new();
        for (place, (end, (there, wanted))) in ends.iter().zip(tasks).enumerate() {
            if let Some(bar) = self.bars.as_ref().and_then(|(_, bars)| bars.get(place)) {
                bar.set_length(u64::from(*wanted));
                bar.set_position(u64::from(*there));
                bar.set_message(printable(end.reason));
            } else if let Some(said) = self.said.get_mut(place)
                && *said != end.state
            {
                lines.push(format!("{}: {}: {}", end.course.label(), end.state.word(), printable(end.reason)));
                *said = end.state;
            }
        }
        lines
    }

    pub(super) fn end(&self) {
        if let Some((all, _)) = &self.bars {
            let _ = all.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::fixtures::course;

    #[test]
    fn each_service_has_its_bar_on_a_terminal_and_elsewhere_a_line_for_each_change() {
        let courses = ["app-canary", "app"].map(course);
        let ends =
            |state, reason| courses.each_ref().map(|course| End { course, state, reason, tasks: 0, changed: true });
        let going = ends(State::Going, "4 of 10 tasks");
        let mut bars = Bars::of(&ends(State::Untouched, ""), true);
        assert_eq!(bars.show(&going, &[(1, 1), (4, 10)]), [""; 0], "a bar is looked at");
        let each = bars.bars.as_ref().map(|(_, each)| each.as_slice()).unwrap_or_default();
        let seen = each.iter().map(|bar| {
            let wanted = bar.length().unwrap_or_default();
            format!("{} {}/{wanted} {}", bar.prefix(), bar.position(), bar.message())
        });
        let seen: Vec<String> = seen.collect();
        assert_eq!(seen, ["app-canary 1/1 4 of 10 tasks", "app 4/10 4 of 10 tasks"]);

        let mut lines = Bars::of(&ends(State::Untouched, ""), false);
        assert_eq!(
            lines.show(&going, &[(1, 1), (4, 10)]),
            ["main/app-canary: going back: 4 of 10 tasks", "main/app: going back: 4 of 10 tasks"]
        );
        assert_eq!(lines.show(&going, &[(1, 1), (7, 10)]), [""; 0], "nothing has changed but the tasks");
    }

    #[test]
    fn whoever_forgot_to_name_the_ledger_is_told_so() {
        let [given, other]: [Location; 2] =
            ["s3://ledger/coalmine", "dir:/home/ann/coalmine"].map(|at| at.parse().unwrap());
        let said =
            "The ledger s3://ledger/coalmine tells nothing of these services: what ECS remembers of 90 days is used.";
        assert_eq!(unrecorded(&given, &other), said);
        assert!(unrecorded(&other, &other).ends_with(" is used. Is --ledger (COALMINE_LEDGER) missing?"));
    }
}
