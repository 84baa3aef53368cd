use std::collections::BTreeMap;

use super::*;
use crate::action_type::{self, ActionType, CANARY, FULL, ROLLBACK};
use crate::capacity::{Capacity, Share};
use crate::limits::FAILURE_MESSAGE_CHARS;
use crate::names::Home;
use crate::options::Options;
use proptest::prelude::*;

fn map(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A good configuration of both actions, changed by `changes`; the value `-` removes a property.
fn canary(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    changed(&[("Pool", "prod"), ("Cluster", "shop"), ("Service", "app-canary"), ("FullService", "app")], changes)
}

fn full(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    changed(&[("Pool", "prod"), ("Cluster", "shop"), ("Service", "app"), ("CanaryService", "app-canary")], changes)
}

fn changed(good: &[(&str, &str)], changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut values = map(good);
    values.extend(map(changes));
    values.retain(|_, value| value != "-");
    values
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

#[test]
fn a_canary_needs_four_properties() {
    let expected = CanaryConfig {
        pool: "prod".to_owned(),
        cluster: "shop".to_owned(),
        service: "app-canary".to_owned(),
        full_service: "app".to_owned(),
        capacity: Capacity::Count(1),
        bake: minutes(5),
        alarms: Vec::new(),
        template_family: None,
        options: Options::default(),
        home: None,
    };
    assert_eq!(expected.deadline(), minutes(65));
    assert_eq!(CanaryConfig::parse(&canary(&[])), Ok(expected));
}

#[test]
fn a_full_needs_four_properties() {
    let expected = FullConfig {
        pool: "prod".to_owned(),
        cluster: "shop".to_owned(),
        service: "app".to_owned(),
        canary_service: "app-canary".to_owned(),
        template_family: None,
        batch: Share::from_tenths(100).unwrap(),
        bake: minutes(2),
        alarms: Vec::new(),
        options: Options::default(),
        home: None,
    };
    assert_eq!(expected.deadline(), minutes(180));
    assert_eq!(FullConfig::parse(&full(&[])), Ok(expected));
}

#[test]
fn reads_every_property() {
    let config = CanaryConfig::parse(&canary(&[
        ("Cluster", "arn:aws:ecs:eu-west-1:123456789012:cluster/shop"),
        ("Service", "arn:aws:ecs:eu-west-1:123456789012:service/shop/app-canary"),
        ("Capacity", "10%"),
        ("BakeTime", " 1h30m "),
        ("Alarms", "app 5xx, app-latency"),
        ("TemplateFamily", "app-template"),
        ("Options", "already_red=ignore, deadline=3h"),
    ]))
    .unwrap();
    assert_eq!((config.cluster.as_str(), config.service.as_str()), ("shop", "app-canary"));
    assert_eq!(config.home, Some(Home { account: "123456789012".to_owned(), region: "eu-west-1".to_owned() }));
    assert_eq!(config.capacity, Capacity::Share(Share::from_tenths(100).unwrap()));
    assert_eq!((config.bake, config.deadline()), (minutes(90), minutes(180)));
    assert_eq!(config.alarms, ["app 5xx", "app-latency"]);
    assert_eq!(config.template_family.as_deref(), Some("app-template"));

    let config = FullConfig::parse(&full(&[("Batch", "2.5%"), ("Options", "surge=true")])).unwrap();
    assert_eq!(config.batch.to_string(), "2.5%");
    assert_eq!(config.options.surge, Some(true));
}

#[test]
fn reports_every_problem_at_once() {
    let problems = CanaryConfig::parse(&canary(&[
        ("Pool", "-"),
        ("Cluster", "my cluster"),
        ("FullService", "app-canary/1"),
        ("Capacity", "0"),
        ("BakeTime", "5"),
        ("Alarms", "red,, green"),
        ("TemplateFamily", "  "),
        ("Verify", "errors"),
        ("Options", "surge=true, wait=soon"),
        ("Colour", "red"),
    ]))
    .unwrap_err();
    let expected = "\
Pool: found nothing, expected 1 to 20 letters, digits, _ or -, the pool of the workers that should take the job
Cluster: found \"my cluster\", expected the name of an ECS cluster (1 to 255 letters, digits, _ or -) or its ARN
FullService: found \"app-canary/1\", expected the name of an ECS service (1 to 255 letters, digits, _ or -) or its ARN
Capacity: found \"0\", expected a number of tasks from 1 to 5000 or a share such as 10%
BakeTime: found \"5\", expected a duration such as 90s, 10m, 2h or 1h30m: 5 has no unit
Alarms: found a name that is empty, between or after commas, expected 1 to 100 names of CloudWatch alarms, separated by commas, each once
TemplateFamily: found an empty value, expected the family of a task definition (1 to 255 letters, digits, _ or -), without a revision
Verify: found \"errors\", expected nothing: this property is not available in this version
Options: found the key \"surge\", expected a key out of mode, image.<container>, file, already_red, deadline, wait, ignore_unknown, allow
Options.wait: found \"soon\", expected a duration such as 90s, 10m, 2h or 1h30m
Colour: found the property \"Colour\", expected one of Pool, Cluster, Service, FullService, Capacity, BakeTime, Alarms, TemplateFamily, Verify, Options";
    assert_eq!(problems.to_string(), expected);
}

/// What a configuration with these changes is refused with, or nothing.
fn said(changes: &[(&str, &str)]) -> String {
    FullConfig::parse(&full(changes)).err().map(|problems| problems.to_string()).unwrap_or_default()
}

#[test]
fn the_services_have_to_fit() {
    let service = |home: &str| format!("arn:aws:ecs:{home}:service/shop/app");
    assert_eq!(
        said(&[("CanaryService", "app")]),
        r#"CanaryService: found "app", which is Service too, expected two different services: a canary and a full one"#
    );
    assert_eq!(
        said(&[("Cluster", "other"), ("Service", &service("eu-west-1:123456789012"))]),
        r#"Service: found a service of the cluster "shop", expected a service of Cluster, which is "other""#
    );
    assert_eq!(
        said(&[
            ("Cluster", "arn:aws:ecs:eu-west-1:123456789012:cluster/shop"),
            ("Service", &service("us-east-1:123456789012"))
        ]),
        "Service: found a service of account 123456789012 in us-east-1, expected one home for all: another ARN names \
         account 123456789012 in eu-west-1"
    );
}

#[test]
fn alarms_are_named_once_and_can_be_read_in_one_call() {
    let many = |count: usize| (0..count).map(|n| format!("alarm-{n}")).collect::<Vec<_>>().join(",");
    assert_eq!(said(&[("Alarms", &many(100))]), "");
    assert!(said(&[("Alarms", &many(101))]).starts_with("Alarms: found 101 names, expected 1 to 100"));
    assert!(said(&[("Alarms", "red, red")]).starts_with(r#"Alarms: found "red" twice"#));
    assert!(said(&[("Alarms", "red,")]).starts_with("Alarms: found a name that is empty"));
    assert!(said(&[("Alarms", "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:red")]).contains("instead of its ARN"));
    assert!(said(&[("Alarms", &"a".repeat(256))]).contains("at most 255 characters"));
}

#[test]
fn a_bake_ends_before_the_deadline() {
    let hint = "expected less than the action's deadline of";
    assert_eq!(said(&[("BakeTime", "3h")]), format!("BakeTime: found 3h, {hint} 3h; set Options deadline="));
    assert_eq!(said(&[("BakeTime", "3h"), ("Options", "deadline=4h")]), "");
    assert!(CanaryConfig::parse(&canary(&[("BakeTime", "22h59m")])).is_ok());
    assert!(CanaryConfig::parse(&canary(&[("BakeTime", "23h")])).is_err());
}

#[test]
fn other_bad_values_are_refused() {
    for (name, value) in [
        ("Pool", "a-pool-that-is-too-long"),
        ("Pool", "my pool"),
        ("Service", "arn:aws:ecs:eu-west-1:123456789012:cluster/shop"),
        ("Batch", "10"),
        ("Batch", "0%"),
        ("TemplateFamily", "app:7"),
        ("Ramp", "10%, 50%"),
        ("Options", "mode=plan"),
        ("FullService", "app"),
        ("pool", "prod"),
    ] {
        assert!(!said(&[(name, value)]).is_empty(), "{name} {value}");
    }
}

#[test]
fn the_defaults_in_the_definitions_are_readable() {
    for (action, parse) in parsers() {
        let mut values = match action {
            action if *action == CANARY => canary(&[]),
            action if *action == ROLLBACK => rollback(&[]),
            _ => full(&[]),
        };
        let before = parse(&values);
        for property in action.properties {
            if let Some(default) = property.default {
                values.insert(property.name.to_owned(), default.to_owned());
            }
        }
        assert_eq!((before.clone(), parse(&values)), (Ok(()), before), "{action}");
    }
}

fn rollback(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    changed(&[("Pool", "prod"), ("Cluster", "shop"), ("Services", "app, search")], changes)
}

#[test]
fn a_rollback_needs_three_properties() {
    let expected = RollbackConfig {
        pool: "prod".to_owned(),
        cluster: "shop".to_owned(),
        services: vec!["app".to_owned(), "search".to_owned()],
        to: Back::LAST,
        options: Options::default(),
        home: None,
    };
    assert_eq!(expected.deadline(), minutes(60));
    assert_eq!(RollbackConfig::parse(&rollback(&[])), Ok(expected));
}

#[test]
fn a_rollback_goes_some_steps_back_or_to_a_release() {
    for (to, expected) in [
        ("last", Back::LAST),
        ("-1", Back::LAST),
        ("-12", Back::Steps(12.try_into().unwrap())),
        ("3f0c-11", Back::Release("3f0c-11".to_owned())),
    ] {
        assert_eq!(RollbackConfig::parse(&rollback(&[("To", to)])).unwrap().to, expected, "{to}");
        assert_eq!(expected.to_string().parse(), Ok(expected));
    }
    assert!("-".parse::<Back>().is_err());
    for wrong in ["-0", "--1", "-1x", "-99999999999", "a b", "app:7", "a/b"] {
        let problems = RollbackConfig::parse(&rollback(&[("To", wrong)])).unwrap_err();
        assert_eq!(problems.iter().map(|problem| problem.property.as_str()).collect::<Vec<_>>(), ["To"], "{wrong}");
    }
}

#[test]
fn everything_that_is_wrong_with_a_rollback_is_told_at_once() {
    let arn = "arn:aws:ecs:eu-west-1:123456789012:service/other/app";
    for (services, found) in [
        ("app,,search", "a name that is empty, between or after commas"),
        ("app,app", "\"app\" twice"),
        ("app, my app", "\"my app\""),
        (arn, "a service of the cluster \"other\""),
    ] {
        let values = rollback(&[("Services", services), ("To", "a b"), ("Options", "canary.x=y, colour=red")]);
        let problems = RollbackConfig::parse(&values).unwrap_err();
        let told: Vec<_> = problems.iter().map(|problem| problem.property.as_str()).collect();
        assert_eq!(told, ["Services", "To", "Options"], "{services}");
        assert_eq!(problems.iter().next().unwrap().found, found);
    }
    let many: Vec<String> = (0..31).map(|number| format!("app-{number}")).collect();
    assert!(RollbackConfig::parse(&rollback(&[("Services", &many.join(","))])).is_err());
    assert!(RollbackConfig::parse(&rollback(&[("Services", &many[..30].join(","))])).is_ok());
    let problems = RollbackConfig::parse(&rollback(&[("Options", "canary.shop=none")])).unwrap_err();
    assert_eq!(problems.iter().next().unwrap().property, "Options.canary.shop");
}

#[test]
fn every_missing_required_property_is_named() {
    for (action, parse) in parsers() {
        let problems = parse(&BTreeMap::new()).unwrap_err();
        let named: Vec<_> = problems.iter().map(|problem| problem.property.as_str()).collect();
        let required: Vec<_> = action.properties.iter().filter(|p| p.required).map(|p| p.name).collect();
        assert_eq!(named, required, "{action}");
    }
}

#[test]
fn many_problems_fit_one_message() {
    let values: BTreeMap<_, _> = (0..200).map(|n| (format!("Unknown{n}"), "x".to_owned())).collect();
    let text = CanaryConfig::parse(&values).unwrap_err().to_string();
    assert!(text.chars().count() <= FAILURE_MESSAGE_CHARS - 400);
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("… and ") && last.ends_with(" more"), "{last}");
}

type Parse = fn(&BTreeMap<String, String>) -> Result<(), Problems>;

fn parsers() -> [(&'static ActionType, Parse); 3] {
    [
        (&CANARY, |values| CanaryConfig::parse(values).map(|_| ())),
        (&FULL, |values| FullConfig::parse(values).map(|_| ())),
        (&ROLLBACK, |values| RollbackConfig::parse(values).map(|_| ())),
    ]
}

#[test]
fn every_implemented_action_has_a_parser() {
    let parsed: Vec<_> = parsers().map(|(action, _)| action).to_vec();
    assert_eq!(action_type::implemented().collect::<Vec<_>>(), parsed);
}

fn any_values() -> impl Strategy<Value = BTreeMap<String, String>> {
    let names: Vec<_> =
        [&CANARY, &FULL, &ROLLBACK].iter().flat_map(|action| action.properties).map(|p| p.name).collect();
    let name = prop_oneof![8 => proptest::sample::select(names).prop_map(str::to_owned), 1 => any::<String>()];
    let value = prop_oneof!["[a-z0-9%,.=:/ _-]{0,30}", "[0-9]{1,3}(m|h|s|%)?", "app(-canary)?", any::<String>()];
    proptest::collection::btree_map(name, value, 0..12)
}

proptest! {
    #[test]
    fn never_panics_and_every_problem_names_a_property(values in any_values()) {
        for (action, parse) in parsers() {
            let Err(problems) = parse(&values) else { continue };
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.to_string().chars().count() <= FAILURE_MESSAGE_CHARS);
            for problem in &problems {
                let name = problem.property.split('.').next().unwrap_or_default();
                let named = action.property(name).is_some() || values.contains_key(&problem.property);
                prop_assert!(named, "{}", problem);
            }
        }
    }
}
