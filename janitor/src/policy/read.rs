//! From the text of a policy to its values.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use sha2::{Digest as _, Sha256};
use toml::de::DeTable;

use super::patterns::{Repositories, Tags};
use super::problem::{Problem, Problems};
use super::reader::{Reader, Table, Text};
use super::{AGE_FLOOR, Guards, KeepList, Policy, Reader as Account, Recent, Rule, Run, Shared};
use crate::in_use::Source;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Beyond this a duration is a slip: no image of a running system is older.
const LONGEST: Duration = Duration::from_secs(3_650 * 24 * 60 * 60);

/// The switches of `[sources]`, what each switches, and how it stands by default.
const SWITCHES: [(&str, &[Source]); 6] = [
    ("ecs", &[Source::TaskDefinitions, Source::Services, Source::ServiceDeployments, Source::Tasks]),
    ("daemons", &[Source::Daemons]),
    ("lambda", &[Source::Lambda]),
    ("codebuild", &[Source::CodeBuild]),
    ("rules", &[Source::Rules]),
    ("schedules", &[Source::Schedules]),
];

/// What rules share unless they say otherwise.
struct Defaults {
    min_age: Duration,
    keep_newest: u32,
    globs: Vec<Text>,
    expressions: Vec<Text>,
}

pub(super) fn parse(text: &str) -> Result<Policy, Problems> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let at = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
        let problem = |error: toml::de::Error| Problem::at(text, at(&error), error.message().to_owned());
        return Err(Problems(errors.into_iter().map(problem).collect()));
    }
    let reader = Reader::new(text);
    let root = reader.root(root.get_ref());
    let rules = rules(&reader, &root);
    let guards = guards(&root.table("guards"));
    let recent = recent(&root.table("references"));
    let (off, ledger) = sources(&root.table("sources"));
    let readers = readers(&reader, &root);
    let keep_lists = keep_lists(&root);
    let shared = shared(&reader, &root);
    let run = run(&root.table("run"));
    root.finish();
    reader.finish()?;
    let mut policy = Policy {
        rules: rules.into_iter().map(|(rule, _)| rule).collect(),
        guards,
        recent,
        off,
        ledger,
        readers,
        keep_lists,
        shared,
        run,
        hash: String::new(),
    };
    policy.hash = hash(&policy);
    Ok(policy)
}

fn rules(reader: &Reader<'_>, root: &Table<'_, '_>) -> Vec<(Rule, std::ops::Range<usize>)> {
    let table = root.table("defaults");
    let defaults = Defaults {
        min_age: table.duration("min_age", AGE_FLOOR..=LONGEST).unwrap_or(30 * DAY),
        keep_newest: table.number("keep_newest", 10, 1..=100_000),
        globs: table.texts("protect_tags").unwrap_or_default(),
        expressions: table.texts("protect_tags_matching").unwrap_or_default(),
    };
    // The defaults' patterns are checked even if no rule uses them.
    Tags::new(reader, &defaults.globs, &defaults.expressions);
    table.finish();
    let mut rules: Vec<(Rule, std::ops::Range<usize>)> = Vec::new();
    for table in root.tables("rules") {
        let span = table.span().clone();
        let rule = rule(reader, &table, &defaults);
        for (other, _) in &rules {
            if let Some(overlap) = rule.names.overlap(&other.names) {
                let message =
                    format!("the rules {:?} and {:?} overlap: {overlap}; use `except`", other.name, rule.name);
                reader.problem(&span, message);
            }
        }
        table.finish();
        rules.push((rule, span));
    }
    rules
}

fn rule(reader: &Reader<'_>, table: &Table<'_, '_>, defaults: &Defaults) -> Rule {
    let patterns = table.some_texts("repositories");
    let except = table.texts("except").unwrap_or_default();
    let name = table.text("name").map_or_else(|| joined(&patterns), |name| name.text);
    let own = (table.texts("protect_tags"), table.texts("protect_tags_matching"));
    let quiet = Reader::new("");
    let protected = match &own {
        // Complained of once, with the defaults.
        (None, None) => Tags::new(&quiet, &defaults.globs, &defaults.expressions),
        (globs, expressions) => {
            let globs = globs.as_ref().unwrap_or(&defaults.globs);
            Tags::new(reader, globs, expressions.as_ref().unwrap_or(&defaults.expressions))
        }
    };
    Rule {
        name,
        min_age: delta(table.duration("min_age", AGE_FLOOR..=LONGEST).unwrap_or(defaults.min_age)),
        keep_newest: table.number("keep_newest", defaults.keep_newest, 1..=100_000),
        patterns: patterns.iter().chain(&except).map(|text| text.text.clone()).collect(),
        names: Repositories::new(reader, &patterns, &except),
        protected,
    }
}

fn guards(table: &Table<'_, '_>) -> Guards {
    Guards {
        max_percent: table.number("max_percent", 20, 1..=100),
        max_images: table.number("max_images", 500, 1..=100_000),
        quarantine: delta(table.duration("quarantine", MINUTE..=LONGEST).unwrap_or(Duration::from_secs(20 * 3_600))),
    }
}

fn recent(table: &Table<'_, '_>) -> Recent {
    Recent {
        keep_revisions: table.number("keep_revisions", 10, 1..=1_000_000),
        window: delta(table.duration("window", DAY..=LONGEST).unwrap_or(90 * DAY)),
        all_active: table.boolean("all_active", false),
        deployments: table.number("deployments", 3, 1..=100),
        keep_releases: table.number("keep_releases", 10, 1..=50),
        release_window: delta(table.duration("release_window", DAY..=LONGEST).unwrap_or(90 * DAY)),
    }
}

fn sources(table: &Table<'_, '_>) -> (Vec<Source>, Option<String>) {
    let off = SWITCHES.iter().filter(|(key, _)| !table.boolean(key, true)).flat_map(|(_, sources)| *sources).copied();
    let mut off: Vec<Source> = off.collect();
    let ledger = table.text("ledger").map(|text| text.text);
    if ledger.is_none() {
        off.push(Source::Ledger);
    }
    (off, ledger)
}

fn readers(reader: &Reader<'_>, root: &Table<'_, '_>) -> Vec<Account> {
    let mut seen = BTreeSet::new();
    let mut readers = Vec::new();
    for table in root.tables("readers") {
        let account = table.required("account");
        if let Some(account) = &account
            && !(account.text.len() == 12 && account.text.bytes().all(|b| b.is_ascii_digit()))
        {
            reader.problem(&account.span, format!("readers.account: found {:?}, expected twelve digits", account.text));
        }
        let account = account.map(|account| account.text).unwrap_or_default();
        let regions = table.some_texts("regions");
        for region in &regions {
            if !seen.insert((account.clone(), region.text.clone())) {
                let message = format!("account {account} is read in {} already", region.text);
                reader.problem(&region.span, message);
            }
        }
        readers.push(Account {
            account,
            regions: regions.into_iter().map(|region| region.text).collect(),
            role: table.text("role").map(|role| role.text),
            external_id: table.text("external_id").map(|id| id.text),
        });
        table.finish();
    }
    readers
}

fn keep_lists(root: &Table<'_, '_>) -> Vec<KeepList> {
    let read = |table: Table<'_, '_>| {
        let list = KeepList {
            file: table.required("file").map(|file| file.text).unwrap_or_default(),
            max_age: table.duration("max_age", MINUTE..=LONGEST).map(delta),
        };
        table.finish();
        list
    };
    root.tables("keep_lists").into_iter().map(read).collect()
}

fn shared(reader: &Reader<'_>, root: &Table<'_, '_>) -> Vec<Shared> {
    let read = |table: Table<'_, '_>| {
        let patterns = table.some_texts("repositories");
        let shared = Shared {
            with: table.some_texts("with").into_iter().map(|text| text.text).collect(),
            patterns: patterns.iter().map(|text| text.text.clone()).collect(),
            names: Repositories::new(reader, &patterns, &[]),
        };
        table.finish();
        shared
    };
    root.tables("shared").into_iter().map(read).collect()
}

fn run(table: &Table<'_, '_>) -> Run {
    Run {
        budget: table.duration("budget", MINUTE..=DAY).unwrap_or(10 * MINUTE),
        plan_ttl: delta(table.duration("plan_ttl", MINUTE..=7 * DAY).unwrap_or(DAY)),
        rate_percent: table.number("rate_percent", 50, 1..=100),
    }
}

/// Every duration of a policy is bounded, so this never saturates.
fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

fn joined(texts: &[Text]) -> String {
    texts.iter().map(|text| text.text.as_str()).collect::<Vec<_>>().join(", ")
}

/// What decides, in one order: rules, guards, references, sources, places, keep-lists, shares.
fn hash(policy: &Policy) -> String {
    let mut hasher = Sha256::new();
    let rules: Vec<_> = policy
        .rules
        .iter()
        .map(|rule| (&rule.name, rule.min_age, rule.keep_newest, &rule.patterns, rule.protected.texts()))
        .collect();
    let shared: Vec<_> = policy.shared.iter().map(|shared| (&shared.with, &shared.patterns)).collect();
    let Policy { guards, recent, off, ledger, readers, keep_lists, .. } = policy;
    hasher.update(format!("{rules:?}{shared:?}{guards:?}{recent:?}{off:?}{ledger:?}{readers:?}{keep_lists:?}"));
    coalmine_pipeline::Digest::from_bytes(hasher.finalize().into()).hex()
}

/// How references are read and followed. Raise it where a new version finds what an older one did not: then what that one
/// found unreferenced has to be found so twice again. A new [`Source`] does by itself.
const LOOKS: u32 = 1;

/// What is looked at, in one order: sources, places, what counts as recent, keep-lists.
pub(super) fn looks(policy: &Policy, registry: &coalmine_pipeline::Home) -> String {
    let Policy { recent, ledger, keep_lists, .. } = policy;
    let sources: Vec<&str> = Source::ALL.into_iter().filter(|one| policy.reads(*one)).map(Source::name).collect();
    let homes: BTreeSet<String> = policy.homes(registry).iter().map(ToString::to_string).collect();
    let lists: BTreeSet<&str> = keep_lists.iter().map(|list| list.file.as_str()).collect();
    let text = format!("{LOOKS}{sources:?}{homes:?}{recent:?}{ledger:?}{lists:?}");
    coalmine_pipeline::Digest::from_bytes(Sha256::digest(text).into()).hex()
}
