use super::*;

fn wrong(text: &str) -> Vec<String> {
    Policy::parse(text).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn the_shown_policy_has_the_defaults_of_an_empty_one() {
    let (shown, empty) = (Policy::parse(DEFAULT).unwrap(), Policy::parse("").unwrap());
    assert_eq!(shown.hash(), empty.hash());
    assert_eq!(shown.run, empty.run);
    assert_eq!(shown.guards, Guards { max_percent: 20, max_images: 500, quarantine: TimeDelta::hours(20) });
    assert!(shown.rules.is_empty() && shown.rule("shop/app").is_none());
    assert_eq!(shown.off, [Source::Ledger]);
}

#[test]
fn the_comments_of_the_shown_policy_are_a_policy_too() {
    let shown: Vec<&str> = DEFAULT.lines().skip_while(|line| !line.starts_with('[')).collect();
    let is_toml =
        |line: &str| line.starts_with("[[") || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let uncommented = shown.iter().map(|line| line.strip_prefix("# ").filter(|rest| is_toml(rest)).unwrap_or(line));
    let policy = Policy::parse(&uncommented.collect::<Vec<_>>().join("\n")).unwrap();
    let rule = policy.rule("shop/app").unwrap();
    assert_eq!((rule.name.as_str(), rule.min_age, rule.keep_newest), ("shop", TimeDelta::days(60), 20));
    assert!(rule.protects("latest") && !rule.protects("v1"));
    assert!(policy.rule("shop/base").is_none());
    assert!(policy.shares("base/java", "210987654321") && !policy.shares("shop/app", "210987654321"));
    assert_eq!((policy.readers.len(), policy.keep_lists.len(), policy.off.len()), (1, 1, 0));
    assert_eq!(policy.homes(&Home { account: "123456789012".into(), region: "eu-west-1".into() }).len(), 3);
}

#[test]
fn all_problems_come_at_once_with_line_and_column() {
    let text = r#"
[defaults]
min_age = "12h"
keep_newest = 0
protect_tags_matching = ["v[0-9"]
colour = "blue"

[[rules]]
repositories = ["shop/*"]
min_age = "-5d"

[[rules]]
repositories = ["shop/a*", "base/["]
min_age = "99999999999999999999d"

[[rules]]
names = ["x"]

[guards]
max_percent = "20"
quarantine = 20

[[readers]]
account = "1234"
regions = ["eu-west-1", "eu-west-1"]

[sourcse]
ecs = false
"#;
    let expected = [
        r#"line 3, column 11: defaults.min_age: found "12h", expected a duration from 1d to 3650d"#,
        "line 4, column 15: defaults.keep_newest: found 0, expected a whole number from 1 to 100000",
        r#"line 5, column 26: found "v[0-9", which is no regular expression: unclosed character class"#,
        "line 6, column 1: defaults.colour is unknown, known here: min_age, keep_newest, protect_tags, protect_tags_matching",
        r#"line 10, column 11: rules.min_age: found "-5d", expected a duration such as 30d, 36h or 1d12h"#,
        r#"line 12, column 1: the rules "shop/*" and "shop/a*, base/[" overlap: both name "shop/a"; use `except`"#,
        r#"line 13, column 28: found "base/[", which is no glob: unclosed character class; missing ']'"#,
        r#"line 14, column 11: rules.min_age: found "99999999999999999999d", expected a duration from 1d to 3650d"#,
        "line 16, column 1: rules.repositories is missing",
        "line 17, column 1: rules.names is unknown, known here: repositories, except, name, protect_tags, \
         protect_tags_matching, min_age, keep_newest",
        r#"line 20, column 15: guards.max_percent: found "20", expected a whole number from 1 to 100"#,
        "line 21, column 14: guards.quarantine: found 20, expected a text in quotes",
        r#"line 24, column 11: readers.account: found "1234", expected twelve digits"#,
        "line 25, column 25: account 1234 is read in eu-west-1 already",
        "line 27, column 2: sourcse is unknown, known here: defaults, rules, guards, references, sources, readers, \
         keep_lists, shared, run",
    ];
    assert_eq!(wrong(text), expected);
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    let problems = wrong("a = = 1\nb = [1, 2\n");
    assert!(problems.len() >= 2 && problems[0].starts_with("line 1, column "), "{problems:?}");
    assert_eq!(wrong("a = 1\na = 2").len(), 1);
}

#[test]
fn rules_overlap_exactly_where_a_repository_belongs_to_both() {
    for (first, second, both) in [
        (r#"["shop/*"]"#, r#"["base/*"]"#, None),
        (r#"["shop/*"]"#, r#"["shop/*/*"]"#, None),
        (r#"["shop/**"]"#, r#"["shop/*/x"]"#, Some("shop//x")),
        (r#"["*"]"#, r#"["app"]"#, Some("app")),
        (r#"["{a,b}pp"]"#, r#"["[b-d]pp"]"#, Some("bpp")),
        (r#"["?pp", "x"]"#, r#"["x"]"#, Some("x")),
        ("[\"shop/*\"]\nexcept = [\"shop/base\"]", r#"["shop/base"]"#, None),
        (
            "[\"shop/*\"]\nexcept = [\"shop/b*\"]",
            "[\"shop/?a*\"]\nexcept = [\"shop/aa\", \"shop/ca*\"]",
            Some("shop/da"),
        ),
    ] {
        let text = format!("[[rules]]\nrepositories = {first}\n[[rules]]\nrepositories = {second}");
        let found = Policy::parse(&text).err().map(|problems| problems.to_string());
        match (both, found) {
            (None, found) => assert_eq!(found, None, "{first} {second}"),
            (Some(both), found) => {
                let found = found.unwrap_or_else(|| panic!("{first} and {second} overlap"));
                assert!(found.contains(&format!("both name {both:?}")), "{found}");
            }
        }
    }
}

#[test]
fn a_pattern_that_can_name_no_repository_is_a_problem() {
    let found = wrong("[[rules]]\nrepositories = [\"shop/*\", \"Shop/*\"]");
    assert_eq!(
        found,
        [r#"line 2, column 27: found "Shop/*", expected a glob of repository names, which are in lower case"#]
    );
}

#[test]
fn protected_tags_are_globs_and_expressions() {
    let text = "[defaults]\nprotect_tags = [\"prod-*\"]\nprotect_tags_matching = [\"^v[0-9]+$\"]\n\
        [[rules]]\nrepositories = [\"a*\"]\n[[rules]]\nrepositories = [\"b*\"]\nprotect_tags = []";
    let policy = Policy::parse(text).unwrap();
    let protects = |repository: &str, tag: &str| policy.rule(repository).unwrap().protects(tag);
    assert!(
        protects("aa", "prod-7") && protects("aa", "v7") && !protects("aa", "v7-rc") && !protects("aa", "my-prod-7")
    );
    assert!(!protects("bb", "prod-7") && protects("bb", "v7"));
}

#[test]
fn the_hash_tells_policies_apart_by_what_they_say() {
    let hash = |text: &str| Policy::parse(text).unwrap().hash().to_owned();
    assert_eq!(hash("[defaults]\nmin_age = \"30d\" # a month"), hash(""));
    assert_eq!(hash("[run]\nbudget = \"5m\""), hash(""));
    for text in ["[defaults]\nmin_age = \"31d\"\n[[rules]]\nrepositories = [\"a*\"]", "[guards]\nmax_percent = 19"] {
        assert_ne!(hash(text), hash(""), "{text}");
    }
}

#[test]
fn a_look_is_told_apart_by_what_it_looks_at_and_not_by_ages() {
    let home = coalmine_pipeline::Home { account: "123456789012".into(), region: "eu-west-1".into() };
    let looks = |text: &str| Policy::parse(text).unwrap().looks(&home);
    let plain = looks("");
    let reader = |regions: &str| format!("[[readers]]\naccount = \"123456789012\"\nregions = [{regions}]\n");
    for same in [
        "# a comment",
        "[defaults]\nmin_age = \"60d\"\n[[rules]]\nrepositories = [\"app\"]",
        "[guards]\nmax_percent = 3\nquarantine = \"2d\"",
        "[run]\nrate_percent = 10",
        &reader("\"eu-west-1\""),
    ] {
        assert_eq!(looks(same), plain, "{same}");
    }
    let mut all = vec![
        plain,
        looks("[sources]\nlambda = false"),
        looks("[sources]\nledger = \"s3://bucket/a\""),
        looks("[sources]\nledger = \"s3://bucket/b\""),
        looks("[references]\nkeep_revisions = 11"),
        looks("[[keep_lists]]\nfile = \"keep.txt\""),
        looks(&reader("\"eu-west-2\"")),
        looks(&reader("\"eu-west-2\", \"eu-west-3\"")),
    ];
    assert_eq!(all[7], looks(&reader("\"eu-west-3\", \"eu-west-2\"")));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 8);
}
