//! `coalmine-worker drift`: whether services run what Terraform describes. It reads, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::{fs, mem};

use aws_types::SdkConfig;

use crate::aws::ecs::{Ecs, SERVICES_PER_CALL};
use crate::cli::{EXIT_DIFFERS, EXIT_INCOMPLETE, EXIT_OK};
use crate::deploy::task_definition::TaskDefinition;
use crate::deploy::view::Service;
use crate::drift::imports::{self, Existing};
use crate::drift::judge::{self, Running, Template};
use crate::drift::report::Report;
use crate::drift::terraform::{self, Described, Target, TerraformError};
use coalmine_door::AwsError;

/// What is looked at, and how it is told.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "\
For example, in a Terraform configuration:
  terraform show -json | coalmine-worker drift --terraform -            what was applied
  terraform plan -out plan.bin
  terraform show -json plan.bin | coalmine-worker drift --terraform -   what would change
and without one:
  coalmine-worker drift --service main/app=app-template --service main/app-canary=app-template
Services that were deployed by other means, for Terraform 1.5 and newer:
  coalmine-worker drift --terraform plan.json --imports > imports.tf

Exit codes:
  0   nothing differs but images, which is what a release leaves behind
  2   the command line is wrong
  3   the surroundings are wrong: no AWS region, or a file that is none of Terraform's
  10  something differs that no release explains, or the plan changes services
  12  something could not be read; what is told is true, and not all of it
It calls ecs:DescribeServices and ecs:DescribeTaskDefinition, with your own credentials.")]
pub struct Arguments {
    /// What `terraform show -json` prints, of a plan or of the state; `-` reads it from stdin
    ///
    /// The services are those that its pipelines release to. Of a plan it is also told what would change in services and
    /// task definitions: images alone, what workers write, or the configuration.
    #[arg(long, env = "COALMINE_TERRAFORM", value_name = "FILE", required_unless_present = "services")]
    pub terraform: Option<PathBuf>,
    /// A service to look at, with the family of its template; may be given several times, in the variable with commas
    #[arg(long = "service", env = "COALMINE_SERVICES", value_name = "CLUSTER/SERVICE[=FAMILY]", value_delimiter = ',')]
    pub services: Vec<Target>,
    /// Print nothing but `import` blocks for what exists and Terraform does not have yet
    #[arg(long, env = "COALMINE_IMPORTS", conflicts_with = "json")]
    pub imports: bool,
    /// Print JSON, for machines
    #[arg(long, env = "COALMINE_JSON")]
    pub json: bool,
}

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// The file cannot be read.
    #[error("{0} cannot be read: {1}")]
    File(String, io::Error),
    /// The file is none of Terraform's.
    #[error("{0} cannot be used: {1}")]
    Terraform(String, TerraformError),
    /// Nobody takes the output.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Reads what the arguments name.
///
/// # Errors
/// When a file cannot be read, or is none of Terraform's.
pub fn read(arguments: &Arguments) -> Result<Described, DriftError> {
    let mut described = match &arguments.terraform {
        None => Described::default(),
        Some(path) => {
            let name = if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() };
            let text = if name == "stdin" {
                let mut text = String::new();
                io::stdin().read_to_string(&mut text).map(|_| text)
            } else {
                fs::read_to_string(path)
            };
            let text = text.map_err(|problem| DriftError::File(name.clone(), problem))?;
            terraform::read(&text).map_err(|problem| DriftError::Terraform(name, problem))?
        }
    };
    described.targets.extend(arguments.services.iter().cloned());
    Ok(described)
}

/// Looks at everything, and tells it; the exit code.
///
/// # Errors
/// When the output cannot be written.
pub async fn tell(
    door: &SdkConfig,
    described: Described,
    arguments: &Arguments,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<u8, DriftError> {
    let door = coalmine_door::limited(door);
    let report = Look::new(Ecs::behind(&door)).at(described).await;
    if arguments.json {
        writeln!(out, "{}", report.json())?;
    } else if arguments.imports {
        write!(out, "{}", imports::file(&report.imports))?;
    } else {
        report.write(out)?;
    }
    report.write_unread(err)?;
    Ok(match () {
        () if !report.unread.is_empty() => EXIT_INCOMPLETE,
        () if report.differs() => EXIT_DIFFERS,
        () => EXIT_OK,
    })
}

/// Looking at AWS. Each task definition is described once.
struct Look {
    ecs: Ecs,
    definitions: BTreeMap<String, Result<Option<TaskDefinition>, AwsError>>,
    unread: Vec<(String, String)>,
}

impl Look {
    fn new(ecs: Ecs) -> Self {
        Self { ecs, definitions: BTreeMap::new(), unread: Vec::new() }
    }

    async fn at(mut self, mut described: Described) -> Report {
        let created = mem::take(&mut described.created);
        let planned: Vec<_> =
            created.iter().filter_map(|resource| Some((resource, imports::names(resource)?))).collect();
        let named = described.targets.iter().map(|target| (target.cluster.clone(), target.service.clone()));
        let services = self.services(named.chain(planned.iter().map(|(_, names)| names.clone())).collect()).await;

        let mut report = Report { changes: described.changes, unknown: described.unknown, ..Report::default() };
        for target in &described.targets {
            let name = (target.cluster.clone(), target.service.clone());
            // What could not be read is said already.
            let Some(service) = services.get(&name) else { continue };
            let in_plan = planned.iter().any(|(_, names)| *names == name);
            let label = format!("{}/{}", target.cluster, target.service);
            let Some(service) = service else {
                report.services.push((label, judge::absent(in_plan)));
                continue;
            };
            let Some(running) = self.see(service, target.template.as_deref()).await else { continue };
            let managed = described.managed.contains(&name) || in_plan;
            if !managed && !running.runs.by_worker() {
                report.imports.extend(imports::guessed(&Existing { service, runs: &running.runs }));
            }
            report.services.push((label, judge::service(&running)));
        }
        for (resource, name) in &planned {
            if let Some(Some(service)) = services.get(name)
                && let Some(Running { runs, .. }) = self.see(service, None).await
            {
                report.imports.extend(imports::planned(resource, &created, &Existing { service, runs: &runs }));
            }
        }
        // The rule of two services is one.
        let mut met = BTreeSet::new();
        report.imports.retain(|import| met.insert(import.to.clone()));
        report.unread = self.unread;
        report
    }

    /// The services by cluster and name; `None` where there is none. Those that could not be read are not in it.
    async fn services(&mut self, names: BTreeSet<(String, String)>) -> BTreeMap<(String, String), Option<Service>> {
        let mut by_cluster: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (cluster, service) in names {
            by_cluster.entry(cluster).or_default().push(service);
        }
        let mut found = BTreeMap::new();
        for (cluster, names) in by_cluster {
            for some in names.chunks(SERVICES_PER_CALL) {
                match self.ecs.services(&cluster, some).await {
                    Ok(services) => {
                        let alive = |name: &String| {
                            services.iter().find(|service| service.name == *name && service.status == "ACTIVE").cloned()
                        };
                        found.extend(some.iter().map(|name| ((cluster.clone(), name.clone()), alive(name))));
                    }
                    // Nothing is in a cluster that is not there.
                    Err(error) if error.is("ClusterNotFoundException") => {
                        found.extend(some.iter().map(|name| ((cluster.clone(), name.clone()), None)));
                    }
                    Err(error) => {
                        self.unread.extend(some.iter().map(|name| (format!("{cluster}/{name}"), error.to_string())));
                    }
                }
            }
        }
        found
    }

    /// What there is to know of a service; `None` where a part of it could not be read.
    async fn see(&mut self, service: &Service, template: Option<&str>) -> Option<Running> {
        let template = match template {
            None => Template::None,
            Some(family) => match self.definition(family).await? {
                None => Template::Empty(family.to_owned()),
                Some(newest) => Template::Newest(newest),
            },
        };
        let revision = service.revision.to_string();
        let runs = self.definition(&revision).await?;
        if runs.is_none() {
            self.unread.push((revision, "ECS does not describe it any more".to_owned()));
        }
        Some(Running { runs: runs?, template })
    }

    /// A task definition, or a family's newest; the outer `None` where it could not be read.
    async fn definition(&mut self, name: &str) -> Option<Option<TaskDefinition>> {
        if !self.definitions.contains_key(name) {
            let described = self.ecs.task_definition(name).await;
            if let Err(error) = &described {
                self.unread.push((name.to_owned(), error.to_string()));
            }
            self.definitions.insert(name.to_owned(), described);
        }
        self.definitions.get(name)?.as_ref().ok().cloned()
    }
}
