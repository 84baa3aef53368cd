//! What a story claims at its end.

use std::collections::BTreeMap;
use std::time::SystemTime;

use aws_sdk_codepipeline::types::JobStatus;
use coalmine_worker::ledger::releases::Release;
use simulator::codepipeline::JobResult;
use simulator::ecs::StopCause;

use super::application::{Application, CLUSTER};
use super::story::{Story, WORKER_KEY};

impl Story {
    /// Everything that ECS tells of a service and its tasks: equal portraits mean that nobody touched it.
    pub(crate) async fn portrait(&self, service: &str) -> String {
        let described = self.somebody().describe_services().cluster(CLUSTER).services(service).send().await;
        let described = described.expect("an answer");
        let tasks = self.world(|world| world.ecs.view(CLUSTER, service).expect("a service").tasks);
        format!("{:#?}\n{tasks:#?}", described.services())
    }

    /// Minimum and maximum percent of a service.
    pub(crate) fn percents(&self, service: &str) -> (i32, i32) {
        self.world(|world| world.ecs.view(CLUSTER, service).expect("a service").percents)
    }

    /// How many service deployments a service has had, all in all.
    pub(crate) async fn deployments(&self, service: &str) -> usize {
        let listed = self.somebody().list_service_deployments().cluster(CLUSTER).service(service).max_results(100);
        listed.send().await.expect("a list").service_deployments().len()
    }

    /// The id of a service's newest service deployment.
    pub(crate) async fn newest_deployment(&self, service: &str) -> String {
        let described = self.somebody().describe_services().cluster(CLUSTER).services(service).send().await;
        let described = described.expect("an answer");
        let current = described.services()[0].current_service_deployment().expect("a deployment");
        current.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Claims that one result was accepted of every job that was created, whatever else came and was refused.
    pub(crate) fn each_job_has_one_accepted_result(&self) {
        self.world(|world| {
            for job in world.codepipeline.jobs() {
                assert_eq!(job.results.len(), 1, "results of job {} of {} ({:?})", job.id, job.action, job.status);
            }
        });
    }

    /// Claims that every job that was created came to exactly one result, or was abandoned and came to none.
    pub(crate) fn each_job_has_one_result_or_was_abandoned(&self) {
        self.world(|world| {
            for job in world.codepipeline.jobs() {
                let expected = usize::from(job.abandoned.is_none());
                assert_eq!(
                    job.results.len(),
                    expected,
                    "results of job {} of {} ({:?})",
                    job.id,
                    job.action,
                    job.status
                );
            }
        });
    }

    /// `status` of a service's newest service deployment.
    pub(crate) fn deployment_status(&self, service: &str) -> String {
        self.world(|world| world.ecs.view(CLUSTER, service).expect("a service").deployment_status)
    }

    /// How many tasks of a service run.
    pub(crate) fn tasks(&self, service: &str) -> usize {
        self.world(|world| world.ecs.view(CLUSTER, service).expect("a service").occupying())
    }

    /// How many of a service's tasks stopped for this cause.
    pub(crate) fn stops(&self, service: &str, cause: StopCause) -> usize {
        self.world(|world| {
            let view = world.ecs.view(CLUSTER, service).expect("a service");
            view.tasks.iter().filter(|task| task.stopped.is_some_and(|(found, _)| found == cause)).count()
        })
    }

    /// The digest of one of an application's images.
    pub(crate) fn digest(&self, app: &Application, tag: &str) -> String {
        self.world(|world| world.ecr.digest(&app.name, tag)).expect("an image")
    }

    /// Claims that all running tasks of a service run one image of its application, as many as are wanted.
    pub(crate) fn runs_image(&self, app: &Application, service: &str, tag: &str) {
        let wanted = self.world(|world| world.ecs.view(CLUSTER, service).expect("a service").desired);
        assert_eq!(self.tasks(service), wanted as usize, "tasks of {service}");
        assert_eq!(self.digests(service), [self.digest(app, tag)], "{service} should run {tag}");
    }

    /// Claims that every job that was created came to exactly one result.
    pub(crate) fn each_job_has_one_result(&self) {
        self.world(|world| {
            for job in world.codepipeline.jobs() {
                assert_eq!(job.results.len(), 1, "results of job {} of {} ({:?})", job.id, job.action, job.status);
                assert_eq!(job.refused_results, 0, "refused results of job {} of {}", job.id, job.action);
            }
        });
    }

    /// How many results that end an action came for the jobs of one action of an execution.
    pub(crate) fn final_results(&self, execution: &str, action: &str) -> usize {
        self.world(|world| {
            let jobs =
                world.codepipeline.jobs().iter().filter(|job| job.execution == execution && job.action == action);
            jobs.flat_map(|job| &job.results).filter(|result| **result != JobResult::Continued).count()
        })
    }

    /// Whether no job waits for a worker or is being worked at.
    pub(crate) fn is_idle(&self) -> bool {
        self.world(|world| {
            let jobs = world.codepipeline.jobs().iter();
            jobs.filter(|job| matches!(job.status, JobStatus::Queued | JobStatus::Dispatched | JobStatus::InProgress))
                .count()
                == 0
        })
    }

    /// The worker's calls of one operation: when, and about what.
    pub(crate) fn calls(&self, operation: &str) -> Vec<(SystemTime, String)> {
        self.simulator.with_calls(|calls| {
            let records = calls.records.iter();
            records
                .filter(|call| call.access_key == WORKER_KEY && call.operation == operation)
                .map(|call| (call.at, call.subject.clone()))
                .collect()
        })
    }

    /// The keys of the ledger that begin so, without the ledger's own prefix.
    pub(crate) fn below(&self, prefix: &str) -> Vec<String> {
        self.world(|world| {
            let keys = world.s3.bucket("ledger").into_iter().flat_map(|bucket| bucket.keys());
            let keys = keys.filter_map(|key| key.strip_prefix("coalmine/").filter(|key| key.starts_with(prefix)));
            keys.map(str::to_owned).collect()
        })
    }

    /// The records of the canaries that wait for people, or are on their way back.
    pub(crate) fn waiting(&self) -> Vec<String> {
        self.below("held/main/")
    }

    /// Whether one of them is on its way back.
    pub(crate) fn waiting_to_go_back(&self) -> bool {
        let objects = self.waiting();
        objects.iter().any(|key| {
            let body =
                self.world(|world| world.s3.get("ledger", &format!("coalmine/{key}")).map(|found| found.body.to_vec()));
            body.is_some_and(|body| String::from_utf8_lossy(&body).contains("\"restoring\""))
        })
    }

    /// A release's record in the ledger.
    pub(crate) fn record(&self, release: &str) -> Release {
        let key = format!("coalmine/releases/{release}.json");
        let body = self.world(|world| world.s3.get("ledger", &key).map(|found| found.body.to_vec()));
        Release::parse(&body.expect("a record")).expect("a record that can be read")
    }

    /// How often a worker asked for the actions of an execution since a date.
    pub(crate) fn asked(&self, key: &str, since: SystemTime) -> usize {
        self.simulator.with_calls(|calls| {
            let asked = |call: &&simulator::CallRecord| call.operation == "ListActionExecutions" && call.at >= since;
            calls.records.iter().filter(|call| call.access_key == key).filter(asked).count()
        })
    }

    /// What the watch called since a date, by operation: everything but polling, and the worker's look after its own
    /// object and its peers. Each of its looks lists the ledger once, and renews its lease.
    pub(crate) fn watching(&self, since: SystemTime) -> BTreeMap<String, usize> {
        const OTHERS: [&str; 2] = ["PollForJobs", "ListObjectsV2"];
        let mut counts = BTreeMap::new();
        self.simulator.with_calls(|calls| {
            let calls = calls.records.iter().filter(|call| call.at >= since && call.access_key == WORKER_KEY);
            for call in calls.filter(|call| !OTHERS.contains(&call.operation.as_str())) {
                *counts.entry(call.operation.clone()).or_default() += 1;
            }
        });
        let looks = counts.get("PutObject").copied().unwrap_or_default();
        counts.insert("ListObjectsV2".to_owned(), looks);
        counts
    }

    /// The worker's calls that change something in ECS, after a date: `UpdateService app`, in their order.
    pub(crate) fn changes(&self, since: SystemTime) -> Vec<(SystemTime, String)> {
        const CHANGES: [&str; 3] = ["RegisterTaskDefinition", "UpdateService", "StopServiceDeployment"];
        self.simulator.with_calls(|calls| {
            let records = calls.records.iter().filter(|call| call.at > since && call.access_key == WORKER_KEY);
            records
                .filter(|call| CHANGES.contains(&call.operation.as_str()))
                .map(|call| (call.at, format!("{} {}", call.operation, call.subject).trim_end().to_owned()))
                .collect()
        })
    }
}

/// A text with the ids of tasks and images replaced by words of their own, so that it reads the same in every run.
pub(crate) fn without_ids(text: &str) -> String {
    let mut clean = String::new();
    let mut word = String::new();
    for letter in text.chars().chain(['\n']) {
        if letter.is_ascii_alphanumeric() {
            word.push(letter);
            continue;
        }
        let hex = word.chars().all(|digit| digit.is_ascii_hexdigit());
        match word.len() {
            32 if hex => clean.push_str("TASK"),
            64 if hex => clean.push_str("DIGEST"),
            _ => clean.push_str(&word),
        }
        word.clear();
        clean.push(letter);
    }
    clean.trim_end().to_owned()
}

/// A text whose ids, digests, dates and durations are noughts of the same width: a table keeps its shape.
pub(crate) fn redacted(text: &str) -> String {
    let is_id = |word: &str| {
        let hex = word.bytes().all(|letter| letter.is_ascii_hexdigit() || letter == b'-');
        word.len() >= 8 && hex && word.bytes().any(|letter| letter.is_ascii_digit())
    };
    // ECS's names of deployments.
    let is_name = |word: &str| {
        let plain = word.bytes().all(|letter| letter.is_ascii_alphanumeric());
        word.len() == 21 && plain && word.bytes().any(|letter| letter.is_ascii_digit())
    };
    let is_time = |word: &str| {
        word.starts_with(|letter: char| letter.is_ascii_digit())
            && word.ends_with(['d', 'h', 'm', 's'])
            && word.bytes().all(|letter| letter.is_ascii_digit() || b"dhms".contains(&letter))
    };
    let is_clock = |word: &str| {
        word.len() == 8
            && word.bytes().enumerate().all(|(place, letter)| match place {
                2 | 5 => letter == b':',
                _ => letter.is_ascii_digit(),
            })
    };
    let mut clean = String::new();
    for piece in text.split_inclusive(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-')) {
        let word = piece.trim_end_matches(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
        let (word, rest) = piece.split_at(word.len());
        let (is_id, is_name, is_time) = (is_id(word), is_name(word), is_time(word));
        clean.extend(word.chars().map(|letter| match letter {
            '-' => letter,
            _ if is_id || is_name || (is_time && letter.is_ascii_digit()) => '0',
            _ => letter,
        }));
        clean.push_str(rest);
    }
    // A time of day is three words.
    let words: Vec<String> =
        clean.split(' ').map(|word| if is_clock(word) { "00:00:00".to_owned() } else { word.to_owned() }).collect();
    words.join(" ")
}
