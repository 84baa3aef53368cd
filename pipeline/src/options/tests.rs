use super::*;
use proptest::prelude::*;

fn full(text: &str) -> Result<Options, Vec<String>> {
    Options::parse(text, FULL_KEYS).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn problems(text: &str) -> Vec<String> {
    full(text).unwrap_err()
}

#[test]
fn reads_every_key() {
    let text = "mode=deploy, image.app=shop/app:v7,image.log-router = fluent/fluent-bit:3\n, file=deploy/images.json, \
                surge=false, already_red=require-clear, deadline=2h, wait=0, ignore_unknown=true, \
                allow=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + \
                sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, \
                allow=sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
    let expected = Options {
        mode: Mode::Deploy,
        images: BTreeMap::from([
            ("app".to_owned(), ImageReference::parse("shop/app:v7").unwrap()),
            ("log-router".to_owned(), ImageReference::parse("fluent/fluent-bit:3").unwrap()),
        ]),
        file: Some("deploy/images.json".to_owned()),
        surge: Some(false),
        already_red: AlreadyRed::RequireClear,
        deadline: Some(Duration::from_secs(7_200)),
        wait: Duration::ZERO,
        ignore_unknown: true,
        allow: ["a", "b", "c"].map(|digit| Digest::from_hex(&digit.repeat(64)).unwrap()).into(),
        canaries: BTreeMap::new(),
        partial: false,
    };
    assert_eq!(full(text), Ok(expected));
}

#[test]
fn an_absent_key_has_its_default() {
    assert_eq!(full("mode=deploy"), Ok(Options::default()));
    assert_eq!(duration::show(Options::default().wait), "15m");
}

#[test]
fn the_defaults_in_the_definitions_are_the_defaults() {
    for key in FULL_KEYS.iter().filter(|key| key.default.is_some()) {
        let text = format!("{}={}", key.name, key.default.unwrap());
        assert_eq!(full(&text), Ok(Options::default()), "{text}");
    }
}

#[test]
fn reports_every_problem() {
    let keys = "mode, image.<container>, file, surge, already_red, deadline, wait, ignore_unknown, allow";
    assert_eq!(
        problems("surge=yes, colour=red, wait=1m, wait=2m, plan, deadline="),
        [
            r#"Options.surge: found "yes", expected true or false"#.to_owned(),
            format!(r#"Options: found the key "colour", expected a key out of {keys}"#),
            "Options.wait: found the key a second time, expected each key once".to_owned(),
            format!(r#"Options: found "plan", expected key=value with a key out of {keys}"#),
            "Options.deadline: found an empty value, expected a duration from 1s to 23h such as 90m".to_owned(),
        ]
    );
}

#[test]
fn only_the_canary_makes_plans() {
    assert_eq!(Options::parse("mode=plan", CANARY_KEYS).map(|options| options.mode), Ok(Mode::Plan));
    let expected =
        r#"Options.mode: found "plan", expected deploy: a plan is made by Coalmine-Canary, before the first approval"#;
    assert_eq!(problems("mode=plan"), [expected]);
    let problems = Options::parse("mode=look", CANARY_KEYS).unwrap_err();
    assert_eq!(problems[0].to_string(), r#"Options.mode: found "look", expected deploy or plan"#);
}

#[test]
fn only_full_knows_surge() {
    let problems = Options::parse("surge=true", CANARY_KEYS).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(!problems[0].expected.contains("surge"));
}

#[test]
fn a_rollback_knows_canaries_and_partial() {
    let text = "canary.app=app-canary, canary.search=none, partial=true, surge=false, deadline=5m";
    let expected = Options {
        canaries: BTreeMap::from([("app".to_owned(), Some("app-canary".to_owned())), ("search".to_owned(), None)]),
        partial: true,
        surge: Some(false),
        deadline: Some(Duration::from_secs(300)),
        ..Options::default()
    };
    assert_eq!(Options::parse(text, ROLLBACK_KEYS), Ok(expected));
    for wrong in
        ["canary.=x", "canary.app=app", "canary.app=a b", "canary.app=x, canary.app=y", "mode=deploy", "wait=5m"]
    {
        assert!(Options::parse(wrong, ROLLBACK_KEYS).is_err(), "{wrong}");
    }
}

#[test]
fn refuses_bad_values() {
    for text in [
        "",
        ",",
        "mode=deploy,",
        "image.=nginx",
        "image.my app=nginx",
        "image.app=Nginx",
        "image.app=nginx, image.app=nginx",
        "file=/etc/passwd",
        "file=../images.json",
        "file=a//b",
        "file=a\\b",
        "file=./a",
        "surge=TRUE",
        "deadline=0",
        "deadline=24h",
        "wait=25h",
        "wait=15",
        "already_red=yes",
        "allow=",
        "allow=latest",
        "allow=sha256:aa",
        "allow=sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa+",
        "MODE=deploy",
        "=x",
    ] {
        assert!(full(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn never_panics_and_names_a_key(text in "([a-z_.]{0,9}=?[a-z0-9/:@ ]{0,9},?){0,6}|.*") {
        for problem in Options::parse(&text, FULL_KEYS).err().into_iter().flatten() {
            let key = problem.property.strip_prefix("Options.");
            let known = key.is_none_or(|key| FULL_KEYS.iter().any(|known| known.matches(key).is_some()));
            prop_assert!(problem.property.starts_with("Options") && known, "{}", problem);
        }
    }
}
