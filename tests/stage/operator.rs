//! An operator rolls services back, by the command or by a pipeline.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::time::SystemTime;

use coalmine_worker::cli::Cli;
use coalmine_worker::commands::common::Screen;
use coalmine_worker::commands::rollback::{Order, roll_back};
use coalmine_worker::commands::trouble::Trouble;
use coalmine_worker::ledger::history::{Entry, Ran};
use coalmine_worker::tell::Telling;
use serde_json::json;

use super::application::{Application, CLUSTER};
use super::story::{Story, ledger, put_source, zipped};

/// The access key of the operator; it names him in the call log.
pub(crate) const OPERATOR_KEY: &str = "AKIAOPERATOR";

/// What came of a command.
#[derive(Clone, Debug)]
pub(crate) struct Rolled {
    /// The exit code.
    pub(crate) code: u8,
    /// Data.
    pub(crate) out: String,
    /// Words.
    pub(crate) words: String,
}

/// An order to roll services back, without asking.
pub(crate) fn order(services: &[&str]) -> Order {
    Order {
        services: services.iter().map(|name| (*name).to_owned()).collect(),
        group: None,
        cluster: Some(CLUSTER.to_owned()),
        to: coalmine_pipeline::Back::LAST,
        canaries: BTreeMap::new(),
        surge: None,
        dry_run: false,
        yes: true,
        stop_pipelines: false,
        partial: false,
        json: false,
        by: "ann".to_owned(),
        why: "errors doubled".to_owned(),
        ledger: ledger(),
        telling: Telling::default(),
    }
}

impl Story {
    /// What an operator's command line is answered: exit code and text; or why it has no answer.
    pub(crate) async fn ask(&self, line: &[&str]) -> Result<(u8, String), Trouble> {
        let door = self.simulator.sdk_config(OPERATOR_KEY);
        let ledger = ledger().to_string();
        let line = [&["coalmine-worker"], line, &["--ledger", &ledger]].concat();
        let mut out = Vec::new();
        let code = Cli::ask(&door, &line, &mut out).await?;
        Ok((code, String::from_utf8(out).expect("text")))
    }

    /// The operator's command, with nobody at a terminal.
    pub(crate) async fn roll_back(&self, order: Order) -> Rolled {
        self.roll_back_until(order, OPERATOR_KEY, pending()).await
    }

    /// The same by somebody else, until Ctrl-C.
    pub(crate) async fn roll_back_until(&self, order: Order, key: &str, stop: impl Future<Output = ()>) -> Rolled {
        let door = self.simulator.sdk_config(key);
        let (mut out, mut words, mut ask) = (Vec::new(), Vec::new(), |_: &str| false);
        let mut screen = Screen { out: &mut out, words: &mut words, is_terminal: false, ask: &mut ask };
        let code = roll_back(&door, order, &mut screen, stop).await;
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Rolled { code, out: text(out), words: text(words) }
    }

    /// Notes in the ledger that a release ended well just now on all services, as the actions that brought it would have.
    pub(crate) fn on_record(&self, apps: &[Application], tag: &str) {
        let now = self.now().duration_since(SystemTime::UNIX_EPOCH).expect("a date").as_secs();
        let began = i64::try_from(now).expect("a date");
        for app in apps {
            for (service, canary) in [(app.canary_name(), None), (app.name.clone(), Some(app.canary_name()))] {
                let revision = self.runs(&service).parse().expect("a revision");
                let mut ran = Ran::new(tag, &app.pipeline, (began, began), revision);
                ran.digests = [(app.name.clone(), self.digest(app, tag))].into();
                ran.canary = canary;
                let entry = Entry { cluster: CLUSTER.to_owned(), service, began, release: tag.to_owned() };
                let (key, body) = (format!("coalmine/{}", entry.key()), serde_json::to_vec(&ran).expect("JSON"));
                self.world(|world| world.s3.put("ledger", &key, body.into(), world.now));
            }
        }
    }

    /// Applications that ran `v1`, `v2` and `v3`, one after the other, with the ledger's knowledge.
    pub(crate) async fn at_the_third_release(&self, apps: &[Application]) {
        self.on_record(apps, "v1");
        for tag in ["v2", "v3"] {
            self.somebody_deploys_to_all(apps, tag).await;
            self.on_record(apps, tag);
        }
    }

    /// A pipeline that rolls services back: Source → Rollback.
    pub(crate) fn rollback_pipeline(&self, app: &Application, services: &str, further: &[(&str, &str)]) {
        let mut configuration = json!({"Pool": "default", "Cluster": CLUSTER, "Services": services});
        for (name, value) in further {
            configuration[*name] = json!(value);
        }
        let source = app.by_pipeline("rollback");
        let pipeline = json!({"pipeline": {
            "name": "rollback",
            "pipelineType": "V2",
            "executionMode": "SUPERSEDED",
            "roleArn": "arn:aws:iam::123456789012:role/pipeline",
            "artifactStore": {"type": "S3", "location": "artifacts"},
            "stages": [
                {"name": "Source", "actions": [{
                    "name": "Source",
                    "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
                    "runOrder": 1,
                    "configuration": {
                        "S3Bucket": "releases",
                        "S3ObjectKey": "rollback/imagedefinitions.zip",
                        "PollForSourceChanges": "false",
                    },
                    "outputArtifacts": [{"name": "button"}],
                }]},
                {"name": "Release", "actions": [{
                    "name": "Rollback", "runOrder": 1, "namespace": "rollback",
                    "actionTypeId": {"category": "Deploy", "owner": "Custom", "provider": "Coalmine-Rollback", "version": "1"},
                    "configuration": configuration,
                }]},
            ],
        }});
        self.world(|world| {
            put_source(world, &source, zipped(&[("button", b"")]));
            world.create_pipeline_from_json(&pipeline.to_string()).expect("a pipeline");
        });
    }

    /// Somebody presses the button; the execution's id.
    pub(crate) fn press(&self) -> String {
        self.world(|world| world.start_pipeline("rollback", &Default::default())).expect("an execution")
    }
}
