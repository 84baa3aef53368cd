//! A rollback by an operator: shown, confirmed, done, verified.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_types::SdkConfig;
use coalmine_door::store::Location;
use coalmine_door::{AwsError, Kind};
use coalmine_pipeline::Back;
use futures_util::future::try_join_all;
use tokio::task::JoinSet;

use crate::aws::ecs::SERVICES_PER_CALL;
use crate::cli::{
    EXIT_INTERRUPTED, EXIT_NOT_BACK, EXIT_NOT_POSSIBLE, EXIT_NOTHING_WAITS, EXIT_OK, EXIT_SURROUNDINGS, EXIT_USAGE,
};
use crate::commands::common::Screen;
use crate::commands::desk::Desk;
use crate::commands::rollback::carriers::{self, Carrier};
use crate::commands::rollback::view::{self, Bars};
use crate::commands::trouble::Trouble;
use crate::deploy::decision::elapsed;
use crate::deploy::message::counted;
use crate::deploy::rollback::course::{Course, PATIENCE};
use crate::deploy::rollback::words::State;
use crate::ledger::history;
use crate::rollback::fleet::Fleet;
use crate::rollback::plan::{self, Plan, Request};
use crate::rollback::record::Author;
use crate::rollback::survey::Ledger;
use crate::tell::{Errands, Telling};
use crate::tools::Tools;

/// How long whoever presses Ctrl-C waits for the last look, which tells what the services were told.
const LAST_LOOK: Duration = Duration::from_secs(5);
/// How long the command stays at its end to tell others what it did. A bus or webhook that answers takes all of a fleet's
/// events in less; one that does not is waited for twice (5 s each).
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What an operator orders.
#[derive(Clone, Debug)]
pub struct Order {
    /// The full services' names; none where a group is meant.
    pub services: Vec<String>,
    /// A tag and its value, which all services of the group have.
    pub group: Option<(String, String)>,
    /// The cluster.
    pub cluster: Option<String>,
    /// How far back.
    pub to: Back,
    /// Canaries that were named.
    pub canaries: BTreeMap<String, Option<String>>,
    /// The option `surge`.
    pub surge: Option<bool>,
    /// Whether nothing is to be changed.
    pub dry_run: bool,
    /// Whether nobody is to be asked.
    pub yes: bool,
    /// Whether pipeline executions are to be stopped.
    pub stop_pipelines: bool,
    /// Whether to go on with a part of the services.
    pub partial: bool,
    /// Whether machines read the answer.
    pub json: bool,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// The ledger.
    pub ledger: Location,
    /// Who is told what happens to the releases that are left.
    pub telling: Telling,
}

/// Rolls back; the exit code. `stop` is Ctrl-C.
pub async fn roll_back(door: &SdkConfig, order: Order, screen: &mut Screen<'_>, stop: impl Future<Output = ()>) -> u8 {
    if door.region().is_none_or(|region| region.as_ref().is_empty()) {
        screen.say("no AWS region is configured: set AWS_REGION, or a region in the AWS profile");
        return EXIT_SURROUNDINGS;
    }
    if !order.dry_run && !order.yes && !screen.is_terminal {
        screen.say("nobody can be asked here, as this is no terminal: give --yes to roll back, or --dry-run to look. Nothing was done.");
        return EXIT_USAGE;
    }
    let (desk, errands) = Desk::new(door, &order.ledger).telling(&order.telling);
    let plan = match Box::pin(make(&desk, &order)).await {
        Ok(plan) => plan,
        Err(trouble) => {
            let denied = matches!(&trouble, Trouble::Aws { problem, .. } if problem.kind == Kind::Denied);
            let hint = if denied { " The README lists the permissions that rollback needs." } else { "" };
            screen.say(&format!("{trouble}. Nothing was done.{hint}"));
            return trouble.code();
        }
    };
    view::plan(screen, &order, &plan);
    let cannot = plan.planned.is_empty() || !(plan.problems.is_empty() || order.partial);
    if cannot || order.dry_run {
        if cannot && !plan.planned.is_empty() {
            screen.say("Nothing was done. --partial goes on with the services that can be rolled back.");
        } else if cannot {
            screen.say("Nothing was done.");
        }
        // What would be left out is no success of a dry run, either.
        return if plan.problems.is_empty() && !cannot { EXIT_OK } else { EXIT_NOT_POSSIBLE };
    }
    let services = counted(u32::try_from(plan.planned.len()).unwrap_or(u32::MAX), "service");
    if !order.yes && !(screen.ask)(&format!("Roll back {services}?")) {
        screen.say("Nothing was done.");
        return EXIT_NOTHING_WAITS;
    }
    let mut errands: JoinSet<()> = errands.into_iter().map(Errands::run).collect();
    let code = Box::pin(act(&desk, &order, plan, screen, stop)).await;
    desk.tools.teller.end();
    let told = desk.tools.clock.limit(LAST_WORDS, async { while errands.join_next().await.is_some() {} });
    if told.await.is_none() {
        screen.say("Not everybody could be told of it in time: some events, or calls of the webhook, are left out.");
    }
    code
}

async fn make(desk: &Desk, order: &Order) -> Result<Plan, Trouble> {
    let ordered = desk.tools.clock.now().timestamp();
    let cluster = match &order.cluster {
        Some(cluster) => cluster.clone(),
        None => cluster_of(desk, &order.services).await?,
    };
    let services = match &order.group {
        Some((tag, value)) => group(desk, &cluster, tag, value).await?,
        None => order.services.clone(),
    };
    let request = Request {
        cluster: cluster.clone(),
        services,
        to: order.to.clone(),
        canaries: order.canaries.clone(),
        surge: order.surge,
        home: None,
        ordered,
    };
    if let Some(strange) = order.canaries.keys().find(|name| !request.services.contains(name)) {
        return Err(Trouble::NotPossible(format!("--canary names {strange}, which is not among the services")));
    }
    let plan = async |names: &[String]| {
        let made = Box::pin(plan::make(&desk.tools, &request, names, Ledger::Wished)).await;
        made.map_err(Trouble::while_(format!("looking at the services of {cluster}")))
    };
    let made = plan(&[]).await?;
    // Only who mistypes a name pays for the list of all names.
    if made.problems.iter().any(|(_, problem)| problem.starts_with("ECS has no service")) {
        return plan(&desk.calls.services(&cluster).await.unwrap_or_default()).await;
    }
    Ok(made)
}

/// The one cluster in which the ledger knows the services.
async fn cluster_of(desk: &Desk, services: &[String]) -> Result<String, Trouble> {
    let entries = history::all(desk.store()).await.unwrap_or_default();
    let known = entries.iter().filter(|entry| services.is_empty() || services.contains(&entry.service));
    let mut clusters: Vec<&str> = known.map(|entry| entry.cluster.as_str()).collect();
    clusters.sort_unstable();
    clusters.dedup();
    match clusters.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Trouble::NotPossible("the ledger does not tell the cluster: give --cluster".to_owned())),
        several => {
            let several = several.join(", ");
            Err(Trouble::NotPossible(format!("the services are in several clusters ({several}): give --cluster")))
        }
    }
}

/// The services of a cluster that carry a tag; canaries that do go with their full services.
async fn group(desk: &Desk, cluster: &str, tag: &str, value: &str) -> Result<Vec<String>, Trouble> {
    let looking = || Trouble::while_(format!("looking for services of {cluster} with the tag {tag}={value}"));
    let names = desk.calls.services(cluster).await.map_err(looking())?;
    let asked = names.chunks(SERVICES_PER_CALL).map(|names| desk.tools.ecs.services_with_tags(cluster, names));
    let described = try_join_all(asked).await.map_err(looking())?.into_iter().flatten();
    let tagged = described.filter(|(_, tags)| tags.get(tag).is_some_and(|found| found == value));
    let found: Vec<String> = tagged.map(|(service, _)| service.name).collect();
    if found.is_empty() {
        return Err(Trouble::NotPossible(format!("no service of cluster {cluster} has the tag {tag}={value}")));
    }
    Ok(found)
}

async fn act(desk: &Desk, order: &Order, plan: Plan, screen: &mut Screen<'_>, stop: impl Future<Output = ()>) -> u8 {
    let tools = &desk.tools;
    let began = tools.clock.now().timestamp();
    let Plan { planned, problems: left_out, .. } = plan;
    let courses = match plan::settle(tools, planned).await {
        Ok(courses) => courses,
        Err(problem) => {
            screen.say(&format!("{problem}. No service was told anything."));
            return EXIT_SURROUNDINGS;
        }
    };
    let author = Author { by: order.by.clone(), why: order.why.clone(), action: None, began };
    let mut fleet = Fleet::new(courses.clone(), author, true);
    let mut bars = Bars::new(&fleet, screen.is_terminal);
    tokio::pin!(stop);
    let (mut carriers, mut looked_for_carriers) = (None, false);
    let mut interrupted = false;
    loop {
        let problem = tokio::select! {
            biased;
            () = &mut stop => { interrupted = true; None }
            done = round(tools, &mut fleet) => done.err(),
        };
        if interrupted {
            fleet.look_for_the_last_time(tools, LAST_LOOK).await;
        }
        for line in bars.look(&fleet) {
            screen.say(&line);
        }
        let overdue = elapsed(began, tools.clock.now().timestamp()) >= PATIENCE;
        let refused = problem.as_ref().is_some_and(|problem| !problem.is_passing());
        if let Some(problem) = problem {
            screen.say(&format!("{problem}{}", if refused { "" } else { "; looking again" }));
        }
        if interrupted || overdue || refused {
            break;
        }
        if !looked_for_carriers && !fleet.ends().iter().any(|end| end.state == State::Untouched) {
            (carriers, looked_for_carriers) = (find_carriers(desk, order, &courses, screen).await, true);
        }
        if fleet.is_over() {
            break;
        }
        tokio::select! {
            biased;
            () = &mut stop => { interrupted = true; break; }
            () = fleet.rest(tools) => {}
        }
    }
    bars.end();
    view::outcome(screen, order, &fleet, carriers.as_deref(), &left_out);
    if !looked_for_carriers && courses.iter().any(Course::leaves) {
        view::carriers_not_looked_for(screen, order);
    }
    if fleet.is_back() {
        return if left_out.is_empty() { EXIT_OK } else { EXIT_NOT_BACK };
    }
    screen.say("ECS goes on with what it was told. Run the same command again: it goes on from where things are.");
    if interrupted { EXIT_INTERRUPTED } else { EXIT_NOT_BACK }
}

/// The executions that still carry what was left, stopped, where that was ordered; `None` where they are not known.
async fn find_carriers(
    desk: &Desk,
    order: &Order,
    courses: &[Course],
    screen: &mut Screen<'_>,
) -> Option<Vec<Carrier>> {
    let mut found = match carriers::find(desk, courses).await {
        Ok(found) => found,
        Err(problem) => {
            screen.say(&format!("which pipeline executions still carry it is not known: {problem}"));
            return None;
        }
    };
    if order.stop_pipelines {
        for problem in carriers::stop(desk, &mut found, &format!("rolled back by {}", order.by)).await {
            screen.say(&format!("this execution could not be stopped: {problem}"));
        }
    }
    Some(found)
}

/// Looks, and does what is to be done before the next look.
async fn round(tools: &Tools, fleet: &mut Fleet) -> Result<(), AwsError> {
    fleet.observe(tools).await?;
    loop {
        let orders = fleet.orders(tools).await;
        if !fleet.act(tools, orders).await {
            return Ok(());
        }
    }
}
