//! `coalmine-worker diff` and `coalmine-worker verify`: what a release would do, and whether it could. Nothing is touched.

use std::collections::BTreeMap;
use std::io::Write;

use coalmine_pipeline::action_type::{CANARY, FULL};
use coalmine_pipeline::{ActionType, ContainerImage, Mode, Options};
use serde::Serialize;

use crate::aws::codepipeline::Artifact;
use crate::aws::executions::Execution;
use crate::aws::pipelines::{Declared, Definition};
use crate::aws::s3;
use crate::cli::{EXIT_NOT_DEPLOYABLE, EXIT_OK};
use crate::commands::common::LedgerArgument;
use crate::commands::desk::{Desk, OutputArgument, write_json};
use crate::commands::trouble::Trouble;
use crate::commands::whatif_show;
use crate::deploy::action::Action;
use crate::deploy::nearest::unknown;
use crate::deploy::outlook::Outlook;
use crate::images::{in_artifact, with_options};
use crate::observe::{Asker, Gathered};
use crate::plan;

/// The execution in whose name a task definition would be registered, where there is none yet.
const NO_EXECUTION: &str = "none yet";

/// What is asked.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "\
Of a pipeline, with the newest source artifact, an execution's, or images that are given:
  coalmine-worker diff --pipeline shop
  coalmine-worker diff --pipeline shop --release 0b2f1c3d-4e5f-6071-8293-a4b5c6d7e8f9
  coalmine-worker diff --pipeline shop --image shop=123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop:8c1f2ab
Of two services:
  coalmine-worker verify --cluster main --service shop-canary --full-service shop --image shop=…

The checks are those of Coalmine-Canary; what a flag says holds instead of what the pipeline says.

Exit codes: 0 it can be deployed now; 11 it cannot, all reasons are said; 2 what is asked makes no sense or is not there;
3 AWS or the ledger cannot be read.

Needs: codepipeline:GetPipeline, codepipeline:ListPipelines, codepipeline:ListActionExecutions, s3:GetObject on the
artifact, and to read as the worker does: ecs, ecr, cloudwatch:DescribeAlarms, the ledger.")]
pub struct Args {
    /// The pipeline whose Coalmine-Canary actions are looked at
    #[arg(long, env = "COALMINE_PIPELINE", value_name = "NAME")]
    pub pipeline: Option<String>,
    /// The one Coalmine-Canary action of it, where it has several
    #[arg(long, env = "COALMINE_ACTION", value_name = "NAME", requires = "pipeline")]
    pub action: Option<String>,
    /// The pipeline execution whose artifact is taken, instead of the newest
    #[arg(long, env = "COALMINE_RELEASE", value_name = "ID", requires = "pipeline", conflicts_with = "images")]
    pub release: Option<String>,
    /// An image, by container; may be given several times. Then no artifact is read
    #[arg(long = "image", env = "COALMINE_IMAGE", value_name = "CONTAINER=IMAGE", value_delimiter = ',')]
    pub images: Vec<String>,
    /// The ECS cluster
    #[arg(long, env = "COALMINE_CLUSTER", value_name = "NAME", required_unless_present = "pipeline")]
    pub cluster: Option<String>,
    /// The canary service
    #[arg(long, env = "COALMINE_SERVICE", value_name = "NAME", required_unless_present = "pipeline")]
    pub service: Option<String>,
    /// The full service
    #[arg(long, env = "COALMINE_FULL_SERVICE", value_name = "NAME", required_unless_present = "pipeline")]
    pub full_service: Option<String>,
    /// The property Capacity: how many tasks the canary has
    #[arg(long, env = "COALMINE_CAPACITY", value_name = "COUNT|SHARE")]
    pub capacity: Option<String>,
    /// The property Batch of the turnover, where no pipeline says it
    #[arg(long, env = "COALMINE_BATCH", value_name = "SHARE", conflicts_with = "pipeline")]
    pub batch: Option<String>,
    /// The property Alarms
    #[arg(long, env = "COALMINE_ALARMS", value_name = "NAMES")]
    pub alarms: Option<String>,
    /// The property `TemplateFamily`
    #[arg(long, env = "COALMINE_TEMPLATE_FAMILY", value_name = "FAMILY")]
    pub template_family: Option<String>,
    /// The property Options
    #[arg(long, env = "COALMINE_OPTIONS", value_name = "KEY=VALUE, …")]
    pub options: Option<String>,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgument,
    #[command(flatten)]
    pub(crate) output: OutputArgument,
}

/// One canary action and what it would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Which: `shop: Release/Canary`, or the services.
    pub about: String,
    /// What it would do.
    #[serde(flatten)]
    pub outlook: Outlook,
}

/// One canary action that is looked at.
struct Subject {
    about: String,
    configuration: BTreeMap<String, String>,
    definition: Option<Definition>,
    /// The input artifact, where one is to be read.
    artifact: Option<Artifact>,
}

/// Looks ahead; `whole` shows what would change, else only whether it could. The exit code.
///
/// # Errors
/// When AWS or the ledger cannot be read, or what is asked for is not there.
pub async fn run(desk: &Desk, args: &Args, whole: bool, out: &mut impl Write) -> Result<u8, Trouble> {
    let mut answers = Vec::new();
    for subject in subjects(desk, args).await? {
        answers.push(Answer { outlook: look_ahead(desk, args, &subject).await?, about: subject.about });
    }
    let now = desk.now().timestamp();
    if args.output.json {
        write_json(out, &answers)?;
    } else {
        for answer in &answers {
            whatif_show::answer(out, answer, whole, now)?;
        }
    }
    let deployable = answers.iter().all(|answer| answer.outlook.deployable);
    Ok(if deployable { EXIT_OK } else { EXIT_NOT_DEPLOYABLE })
}

/// The canary actions that are meant.
async fn subjects(desk: &Desk, args: &Args) -> Result<Vec<Subject>, Trouble> {
    let Some(pipeline) = &args.pipeline else {
        let configuration = overridden(args, BTreeMap::from([("Pool".to_owned(), "default".to_owned())]));
        let name = |property: &str| configuration.get(property).cloned().unwrap_or_default();
        let about = format!("{}/{} before {}", name("Cluster"), name("Service"), name("FullService"));
        return Ok(vec![Subject { about, configuration, definition: None, artifact: None }]);
    };
    let read = desk.calls.pipeline(pipeline).await;
    let Some(definition) = read.map_err(Trouble::while_(format!("reading pipeline {pipeline}")))? else {
        let names = desk.calls.pipelines().await.unwrap_or_default();
        return Err(Trouble::Unknown(unknown("pipeline", pipeline, names.iter().map(String::as_str))));
    };
    let canaries: Vec<&Declared> = definition.actions.iter().filter(|action| deploys_a_canary(action)).collect();
    let meant: Vec<&Declared> = canaries
        .iter()
        .copied()
        .filter(|action| args.action.as_ref().is_none_or(|name| action.name == *name))
        .collect();
    if meant.is_empty() {
        let names = canaries.iter().map(|action| action.name.as_str());
        let asked = args.action.as_deref().unwrap_or("of any name");
        return Err(Trouble::Unknown(format!("pipeline {pipeline}: {}", unknown(CANARY.provider, asked, names))));
    }
    let mut subjects = Vec::new();
    for declared in meant {
        let configuration = overridden(args, definition.resolved(&declared.configuration));
        let artifact = match (&args.images[..], declared.inputs.first()) {
            ([], Some(name)) => Some(artifact(desk, args, &definition, name).await?),
            _ => None,
        };
        subjects.push(Subject {
            about: format!("{pipeline}: {}/{}", declared.stage, declared.name),
            configuration,
            definition: Some(definition.clone()),
            artifact,
        });
    }
    Ok(subjects)
}

/// Whether an action is a canary that deploys: one that plans looks at the same.
fn deploys_a_canary(action: &Declared) -> bool {
    let options = action.configuration.get("Options").map(|text| Options::parse(text, CANARY.options));
    let plans = matches!(options, Some(Ok(Options { mode: Mode::Plan, .. })));
    action.provider == CANARY.provider && !plans
}

/// A configuration with what the flags say instead.
fn overridden(args: &Args, mut configuration: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let flags = [
        ("Cluster", &args.cluster),
        ("Service", &args.service),
        ("FullService", &args.full_service),
        ("Capacity", &args.capacity),
        ("Alarms", &args.alarms),
        ("TemplateFamily", &args.template_family),
        ("Options", &args.options),
    ];
    for (property, value) in flags {
        if let Some(value) = value {
            configuration.insert(property.to_owned(), value.clone());
        }
    }
    if !args.images.is_empty() {
        let options = configuration.remove("Options").unwrap_or_default();
        let kept = options.split(',').map(str::trim).filter(|pair| !pair.is_empty() && !pair.starts_with("image."));
        let given = args.images.iter().map(|image| format!("image.{}", image.trim()));
        let all: Vec<String> = kept.map(str::to_owned).chain(given).collect();
        configuration.insert("Options".to_owned(), all.join(", "));
    }
    configuration
}

/// Where an artifact is: an execution's; else the newest object of the S3 source that gives it; else the newest that any
/// action gave.
async fn artifact(desk: &Desk, args: &Args, definition: &Definition, name: &str) -> Result<Artifact, Trouble> {
    let place = |(name, bucket, key): &(String, String, String)| Artifact {
        name: name.clone(),
        bucket: bucket.clone(),
        key: key.clone(),
    };
    let pipeline = &definition.name;
    let giver = definition.actions.iter().find(|action| action.outputs.iter().any(|output| output == name));
    if let (None, Some(source)) = (&args.release, giver.filter(|giver| giver.provider == "S3")) {
        let configuration = definition.resolved(&source.configuration);
        if let (Some(bucket), Some(key)) = (configuration.get("S3Bucket"), configuration.get("S3ObjectKey")) {
            return Ok(Artifact { name: name.to_owned(), bucket: bucket.clone(), key: key.clone() });
        }
    }
    let runs = desk.calls.actions(pipeline, args.release.as_deref()).await;
    let runs = runs.map_err(Trouble::while_(format!("looking for artifact {name} of {pipeline}")))?;
    let found = runs.iter().flat_map(|run| &run.artifacts).find(|(artifact, ..)| artifact == name);
    found.map(place).ok_or_else(|| {
        let what = args.release.as_ref().map_or_else(|| "no execution".to_owned(), |id| format!("execution {id} not"));
        Trouble::Unknown(format!(
            "{what} of pipeline {pipeline} has the artifact {name}: give the images with --image, or another --release"
        ))
    })
}

async fn look_ahead(desk: &Desk, args: &Args, subject: &Subject) -> Result<Outlook, Trouble> {
    let action = parsed(&CANARY, &subject.configuration).map_err(|problem| {
        Trouble::Unknown(format!("{}: the configuration cannot be used:\n{problem}", subject.about))
    })?;
    let tools = &desk.tools;
    let looking = || Trouble::while_(format!("looking at {}/{}", action.cluster, action.service));
    let names = [action.service.clone(), action.partner.clone()];
    let services = match tools.ecs.services(&action.cluster, &names).await {
        Ok(services) => services,
        Err(problem) if problem.is("ClusterNotFoundException") => {
            let clusters = desk.calls.clusters().await.unwrap_or_default();
            let names = clusters.iter().map(String::as_str);
            return Err(Trouble::Unknown(unknown("cluster", &action.cluster, names)));
        }
        Err(problem) => return Err(looking()(problem)),
    };
    let alarms = match action.alarms.is_empty() {
        true => Vec::new(),
        false => desk.calls.alarms.describe(&action.alarms).await.map_err(Trouble::while_("describing alarms"))?,
    };
    let bytes = match &subject.artifact {
        None => None,
        Some(artifact) => {
            let what = format!("reading artifact {} at s3://{}/{}", artifact.name, artifact.bucket, artifact.key);
            match s3::read_as_ourselves(&tools.door, artifact).await {
                Ok(bytes) => Some((artifact.name.clone(), bytes)),
                Err(s3::ReadError::Aws(problem)) => return Err(Trouble::Aws { what, problem }),
                Err(problem) => return Err(Trouble::Unknown(format!("{what}: {problem}"))),
            }
        }
    };
    let asker = Asker {
        tools,
        action: &action,
        execution: args.release.as_deref().unwrap_or(NO_EXECUTION),
        own: services.iter().find(|service| service.name == action.service),
        partner: services.iter().find(|service| service.name == action.partner),
        alarms: &alarms,
        started: desk.now().timestamp(),
    };
    let mode = subject.definition.as_ref().map(|definition| definition.mode.clone()).unwrap_or_default();
    let options = &action.options;
    let release = async |containers: &[String]| {
        let named = match &bytes {
            None => Ok(Vec::new()),
            Some((name, bytes)) => in_artifact(bytes, name, options, containers),
        };
        Ok(named.and_then(|images: Vec<ContainerImage>| with_options(images, options)))
    };
    let gathered = Gathered::of(asker, Execution { mode, rolls_back: false }, release).await.map_err(looking())?;
    let turnover = match &subject.definition {
        Some(definition) => plan::turnover(definition, asker),
        None => by_flags(args, &action).and_then(|full| {
            let service = asker.own.ok_or_else(|| "there is no canary".to_owned())?;
            Ok(full.terms(0, service))
        }),
    };
    plan::look_ahead(asker, &gathered.facts(asker, None), turnover).await.map_err(looking())
}

/// The turnover that no pipeline describes.
fn by_flags(args: &Args, canary: &Action) -> Result<Action, String> {
    let mut configuration: BTreeMap<String, String> = [
        ("Pool", "default"),
        ("Cluster", &canary.cluster),
        ("Service", &canary.partner),
        ("CanaryService", &canary.service),
    ]
    .map(|(property, value)| (property.to_owned(), value.to_owned()))
    .into();
    if let Some(batch) = &args.batch {
        configuration.insert("Batch".to_owned(), batch.clone());
    }
    parsed(&FULL, &configuration)
}

fn parsed(action_type: &ActionType, configuration: &BTreeMap<String, String>) -> Result<Action, String> {
    if let Some((property, _)) = configuration.iter().find(|(_, value)| value.contains("#{")) {
        return Err(format!(
            "{property}: it names a variable that only an execution resolves: give its value with the flag of that name"
        ));
    }
    match Action::parse(action_type, configuration) {
        Ok(Some(action)) => Ok(action),
        Ok(None) => Err(format!("{} is no action of this worker", action_type.provider)),
        Err(problems) => Err(problems.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_flag_says_holds_instead_of_what_the_pipeline_says() {
        let declared = [("Service", "shop-canary"), ("Options", "wait=5m, image.shop=old:1"), ("Capacity", "1")];
        let declared = declared.map(|(property, value)| (property.to_owned(), value.to_owned())).into();
        let args = Args {
            capacity: Some("10%".to_owned()),
            images: vec!["shop=new:2".to_owned(), "log=log:3".to_owned()],
            ..Args::default()
        };
        let configuration = overridden(&args, declared);
        assert_eq!(configuration["Capacity"], "10%");
        assert_eq!(configuration["Options"], "wait=5m, image.shop=new:2, image.log=log:3");
        assert_eq!(configuration["Service"], "shop-canary");
    }

    #[test]
    fn a_variable_that_only_an_execution_resolves_is_named() {
        let configuration = BTreeMap::from([("Alarms".to_owned(), "#{source.Alarms}".to_owned())]);
        assert!(parsed(&CANARY, &configuration).unwrap_err().starts_with("Alarms: it names a variable"));
    }
}
