use super::*;
use crate::deploy::decision::Role;
use crate::deploy::fixtures::{alarm, rollout, service};
use crate::deploy::preflight::Asked;
use crate::deploy::release::Resolved;
use crate::deploy::rollback::refused::Refused;
use crate::deploy::view::Alarm;
use coalmine_pipeline::{Digest, Options, Share};
use proptest::prelude::*;
use serde_json::json;

const NEW: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const HOST: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const DAY: i64 = 86_400;
const NOW: i64 = 100 * DAY;

fn definition(revision: &str, tag: &str, cpu: &str) -> TaskDefinition {
    TaskDefinition {
        revision: revision.parse().unwrap(),
        body: json!({
            "cpu": cpu, "runtimePlatform": {"cpuArchitecture": "ARM64"},
            "containerDefinitions": [{"name": "app", "image": format!("{HOST}/app:{tag}"), "stopTimeout": 60}]
        }),
        tags: BTreeMap::new(),
    }
}

fn terms(batch: u16) -> Terms {
    Terms {
        role: Role::Full,
        batch: Share::from_tenths(batch),
        surge: None,
        desired: None,
        bake: Duration::ZERO,
        deadline: Duration::from_secs(3_600),
        patient: false,
    }
}

/// A release of `v2` where `v1` runs, and what is looked at beside it.
struct World {
    options: Options,
    canary: Service,
    full: Service,
    base: TaskDefinition,
    alarms: Vec<Alarm>,
    names: Vec<String>,
    template: Option<&'static str>,
    archived: bool,
    refused: Vec<Refused>,
    beside: Beside,
}

fn world() -> World {
    let portrait = |digest: &str, pushed, movable| Portrait {
        digest: digest.into(),
        pushed: Some(pushed),
        bytes: Some(123_400_000),
        architectures: vec!["amd64".into(), "arm64".into()],
        movable,
    };
    World {
        options: Options::default(),
        canary: service("app-canary", 1, "app-canary:1"),
        full: service("app", 100, "app:1"),
        base: definition("app-canary:1", "v1", "256"),
        alarms: vec![alarm("5xx", "OK")],
        names: vec!["5xx".into()],
        template: None,
        archived: false,
        refused: Vec::new(),
        beside: Beside {
            canary_runs: Some(definition("app-canary:1", "v1", "256")),
            full_runs: Some(definition("app:1", "v1", "256")),
            portraits: [
                (format!("{HOST}/app:v1"), portrait("sha256:aaaaaaaaaaaaaaaa", NOW - 3 * DAY, false)),
                (format!("{HOST}/app:v2"), portrait(NEW, NOW - 300, false)),
            ]
            .into(),
            canary_tasks: 1,
            turnover: Ok(terms(100)),
        },
    }
}

impl World {
    fn outlook(&self) -> Outlook {
        let resolved = Resolved {
            digest: Digest::parse(NEW).unwrap(),
            children: Default::default(),
            architectures: None,
            immutable: true,
            archived: self.archived,
        };
        let reference = ImageReference::parse(&format!("{HOST}/app:v2")).unwrap();
        let facts = Facts {
            refused: self.refused.clone(),
            returned: None,
            role: Role::Canary,
            execution: "e-1",
            options: &self.options,
            mode: "SUPERSEDED",
            rolls_back: false,
            earlier: None,
            percents: None,
            before: None,
            in_progress: None,
            lender: None,
            home: None,
            template: self.template,
            alarm_names: &self.names,
            service: ("app-canary", Some(self.canary.clone())),
            partner: ("app", Some(self.full.clone())),
            base: Some(self.base.clone()),
            asked: vec![Asked { container: "app".into(), reference, answer: Ok(resolved) }],
            no_images: None,
            alarms: self.alarms.clone(),
            canary: None,
            never_deployed: false,
            busy_since: None,
            started: NOW,
            deadline: Duration::from_secs(3_600),
        };
        look_ahead(&facts, &self.beside, NOW)
    }
}

#[test]
fn a_plain_release_is_deployable_and_says_what_it_brings() {
    let outlook = world().outlook();
    assert!(outlook.deployable, "{outlook:?}");
    assert_eq!(
        outlook.summary(NOW),
        "Plan. app: v1 (aaaaaaaaaaaa, 3d old, 123 MB, amd64+arm64) → v2 (bbbbbbbbbbbb, 5m old, 123 MB, amd64+arm64). \
         main/app-canary: 1 task, at once, new ones first. \
         main/app: 100 tasks, 10 at a time (10 batches), old ones stop first. \
         Task definitions: the images alone change. 1 alarm watched."
    );
}

#[test]
fn what_stands_against_it_comes_first_and_all_at_once() {
    let mut world = world();
    world.alarms = vec![alarm("5xx", "ALARM")];
    world.canary.rollouts = vec![rollout("PRIMARY", "IN_PROGRESS", "app-canary:9", 0)];
    let passing = world.outlook();
    assert!(!passing.deployable && passing.problems.is_empty());
    assert_eq!(passing.not_now.len(), 2, "{:?}", passing.not_now);
    assert!(passing.summary(NOW).starts_with(
        "Plan. NOT NOW: a deployment of app-canary:1 to main/app-canary is in progress; alarm 5xx is in ALARM"
    ));
    world.archived = true;
    world.names.push("gone".into());
    let broken = world.outlook();
    assert_eq!(broken.problems.len(), 2, "{:?}", broken.problems);
    assert!(broken.summary(NOW).starts_with("Plan. CANNOT BE DEPLOYED: "));
    world.options.already_red = AlreadyRed::Ignore;
    assert_eq!(world.outlook().not_now.len(), 1, "an alarm that is to be ignored stands against nothing");
}

#[test]
fn a_digest_that_was_rolled_back_before_is_told_until_it_is_allowed() {
    let mut world = world();
    let (release, by, why) = ("e-7".to_owned(), "ann".to_owned(), "errors doubled".to_owned());
    world.refused = vec![Refused { digest: NEW.into(), release, at: NOW - DAY, by, why }];
    let outlook = world.outlook();
    assert!(!outlook.deployable);
    let said = outlook.summary(NOW);
    assert!(said.starts_with("Plan. CANNOT BE DEPLOYED: container app: image "), "{said}");
    for part in ["was rolled back on 1970-04-10", "by ann (errors doubled), release e-7", &format!("set allow={NEW}")] {
        assert!(said.contains(part), "{part}: {said}");
    }
    world.options.allow = [Digest::parse(NEW).unwrap()].into();
    assert!(world.outlook().deployable, "somebody knows what they do");
}

#[test]
fn with_a_template_both_services_get_what_differs_in_it_and_each_difference_is_told_once() {
    let mut world = world();
    world.template = Some("app-template");
    world.base = definition("app-template:4", "v1", "512");
    let outlook = world.outlook();
    assert_eq!(outlook.differences["main/app"].len(), 1);
    assert!(outlook.summary(NOW).contains("Task definitions: cpu 256 → 512."), "{}", outlook.summary(NOW));
    world.beside.full_runs = Some(definition("app:1", "v1", "512"));
    let said = world.outlook().summary(NOW);
    assert!(said.contains("Task definitions: cpu 256 → 512 (main/app-canary)."), "{said}");
}

#[test]
fn images_that_are_older_the_same_or_can_move_are_warned_of() {
    let mut world = world();
    let reference = format!("{HOST}/app:v2");
    world.beside.portraits.get_mut(&reference).unwrap().pushed = Some(NOW - 10 * DAY);
    world.beside.portraits.get_mut(&reference).unwrap().movable = true;
    assert_eq!(
        world.outlook().warnings,
        [
            "container app: the image is 7d older than the one that runs",
            "container app: its tag can be moved, so the canary pins what it names then; now that is bbbbbbbbbbbb",
        ]
    );
    world.beside.portraits.get_mut(&format!("{HOST}/app:v1")).unwrap().digest = NEW.into();
    assert!(world.outlook().warnings[0].ends_with("runs this image already"));
    world.beside.turnover = Err("pipeline app has no Coalmine-Full for it".into());
    let last = world.outlook().warnings.pop().unwrap();
    assert_eq!(last, "how main/app would be turned over is not known: pipeline app has no Coalmine-Full for it");
}

#[test]
fn batches_are_said_as_the_turnover_will_make_them() {
    for (desired, batch, rebalancing, said) in [
        (100, 100, false, "main/app: 100 tasks, 10 at a time (10 batches), old ones stop first"),
        (25, 100, true, "main/app: 25 tasks, 2 at a time (13 batches), new ones start first"),
        (1, 100, false, "main/app: 1 task, 1 at a time (1 batch), new ones start first"),
        (0, 100, false, "main/app: no task is to run, so none is replaced"),
    ] {
        let mut full = service("app", desired, "app:1");
        full.rebalancing = rebalancing;
        assert_eq!(full_batches(&full, &terms(batch)), said);
    }
}

proptest! {
    #[test]
    fn a_summary_fits_whatever_it_has_to_say(
        texts in proptest::collection::vec("\\PC{0,400}", 0..12), desired in 0_u32..6_000, batch in 1_u16..1_000
    ) {
        let mut world = world();
        world.full.desired = desired;
        world.beside.turnover = Ok(terms(batch));
        let mut outlook = world.outlook();
        let (problems, warnings) = texts.split_at(texts.len() / 2);
        outlook.problems = problems.to_vec();
        outlook.warnings = warnings.to_vec();
        let summary = outlook.summary(NOW);
        prop_assert!(summary.chars().count() <= SUMMARY_CHARS_MAX);
        prop_assert!(!summary.contains(char::is_control));
        if problems.iter().any(|problem| !problem.is_empty()) {
            prop_assert!(summary.starts_with("Plan. CANNOT BE DEPLOYED: "));
        }
    }
}
