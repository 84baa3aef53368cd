//! The documents, held against the code: what can be generated is, and what is named exists.
//!
//! `COALMINE_DOCS=write cargo test -p coalmine-tests --test docs` writes the generated parts of README.md anew.
#![expect(clippy::expect_used, reason = "a test that cannot read the documents fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use coalmine_pipeline::{CanaryConfig, Share, contract};
use coalmine_worker::cli::Cli;
use coalmine_worker::deploy::batch::{Room, percents};

const MEND: &str = "mend it with `COALMINE_DOCS=write cargo test -p coalmine-tests --test docs`";
const DOCUMENTS: [&str; 4] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "terraform/README.md"];

/// Desired counts at the edges of the arithmetic.
const SIZES: [u32; 9] = [1, 2, 3, 9, 10, 15, 19, 20, 250];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's folder").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line to be told by")]
fn is_to_write() -> bool {
    std::env::var_os("COALMINE_DOCS").is_some_and(|value| value == "write")
}

/// The part between `<!-- NAME:begin -->` and `<!-- NAME:end -->`, without its line breaks at both ends.
fn part<'a>(document: &'a str, name: &str) -> &'a str {
    let (_, after) = document.split_once(&format!("<!-- {name}:begin -->")).expect("the begin of a generated part");
    let (part, _) = after.split_once(&format!("<!-- {name}:end -->")).expect("the end of a generated part");
    part.trim()
}

fn with_part(document: &str, name: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let (before, rest) = document.split_once(&begin).expect("the begin of a generated part");
    let (_, after) = rest.split_once(&end).expect("the end of a generated part");
    format!("{before}{begin}\n\n{}\n\n{end}{after}", content.trim())
}

/// How ten percent are replaced at a time.
fn batches() -> String {
    let tenth = Share::parse("10%").expect("a share");
    let mut table = String::from("| Desired count | Batch | In place | Surge |\n|---|---|---|---|\n");
    for desired in SIZES {
        let batch = tenth.of_rounded_down(desired).max(1);
        let show = |room| {
            let percents = percents(desired, batch, room);
            format!("{}/{}", percents.minimum, percents.maximum)
        };
        let in_place = if Room::choose(desired, false, Some(false)) == Room::InPlace {
            show(Room::InPlace)
        } else {
            "always surge".to_owned()
        };
        let _ = writeln!(table, "| {desired} | {batch} | {in_place} | {} |", show(Room::Surge));
    }
    table
}

/// What an action is answered whose configuration is wrong in several ways.
fn refusal() -> String {
    let wrong = [
        ("Pool", "default"),
        ("Cluster", "main"),
        ("Service", "shop-canary"),
        ("FullService", "shop-canary"),
        ("BakeTime", "5"),
        ("Alarm", "shop-5xx"),
        ("Options", "surge=true, wait=soon"),
    ];
    let wrong: BTreeMap<String, String> = wrong.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let problems = CanaryConfig::parse(&wrong).expect_err("a wrong configuration");
    format!("```text\nThe action's configuration cannot be used:\n{problems}\n```")
}

#[test]
fn the_readmes_tables_are_what_the_code_says() {
    let parts = [("contract", contract::table()), ("batches", batches()), ("refusal", refusal())];
    let committed = read("README.md");
    if is_to_write() {
        let written = parts.iter().fold(committed, |document, (name, content)| with_part(&document, name, content));
        fs::write(root().join("README.md"), written).expect("README.md can be written");
        return;
    }
    for (name, content) in parts {
        assert!(part(&committed, name) == content.trim(), "README.md's part `{name}` is out of date: {MEND}");
    }
}

#[test]
fn the_readme_names_every_flag_with_its_environment_twin() {
    let readme = read("README.md");
    let command = Cli::command();
    for argument in command.get_arguments().chain(command.get_subcommands().flat_map(clap::Command::get_arguments)) {
        let Some(flag) = argument.get_long().filter(|flag| !["help", "version"].contains(flag)) else { continue };
        let twin = argument.get_env().expect("an environment twin").to_string_lossy();
        assert!(readme.contains(&format!("| `--{flag}` | `{twin}` |")), "README.md has no row for --{flag} and {twin}");
    }
}

#[test]
fn the_readme_names_every_exit_code() {
    let readme = read("README.md");
    let codes: Vec<(String, String)> = read("worker/src/cli.rs")
        .lines()
        .filter_map(|line| {
            let (name, value) = line.strip_prefix("pub const EXIT_")?.strip_suffix(';')?.split_once(": u8 = ")?;
            Some((format!("EXIT_{name}"), value.to_owned()))
        })
        .collect();
    assert!(codes.len() >= 4, "{codes:?}");
    for (name, value) in codes {
        assert!(readme.contains(&format!("| {value} | `{name}` |")), "README.md has no row for {name} = {value}");
    }
}

/// Every call is named where it is made, as `"ecs UpdateService"`, for its errors.
#[test]
fn the_readme_names_every_call_that_the_worker_makes() {
    let readme = read("README.md");
    let mut calls = BTreeSet::new();
    for path in ["worker/src", "door/src"].into_iter().flat_map(|folder| sources(&root().join(folder))) {
        let text = fs::read_to_string(&path).expect("a source file");
        for quoted in text.split('"').skip(1).step_by(2) {
            if let Some((service, operation)) = quoted.split_once(' ')
                && ["codepipeline", "ecs", "ecr", "cloudwatch", "logs", "s3"].contains(&service)
                && operation.chars().all(|letter| letter.is_ascii_alphanumeric())
            {
                calls.insert((service.to_owned(), operation.to_owned()));
            }
        }
    }
    assert!(calls.len() >= 20, "{calls:?}");
    for (service, operation) in calls {
        assert!(readme.contains(&format!("`{operation}`")), "README.md's permissions lack {service} {operation}");
    }
}

#[test]
fn the_map_shows_every_source_file_of_the_programs() {
    let map = read("ARCHITECTURE.md");
    for folder in ["pipeline/src", "door/src", "worker/src", "janitor/src", "tests/stage"] {
        for path in sources(&root().join(folder)) {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            // A folder's own file, and tests, are where everybody expects them.
            if !["mod.rs", "tests.rs"].contains(&name.as_str()) {
                assert!(map.contains(&name), "ARCHITECTURE.md's map lacks {}", path.display());
            }
        }
    }
}

/// Paths stand in backticks or in links, from the workspace's folder.
#[test]
fn paths_in_the_documents_exist() {
    const ENDINGS: [&str; 9] = [".rs", ".toml", ".json", ".md", ".py", ".sh", ".env", ".txt", "/"];
    for document in DOCUMENTS {
        let text = read(document);
        let quoted = text.split('`').skip(1).step_by(2);
        let linked = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for path in quoted.chain(linked) {
            let plain = path.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-/".contains(letter));
            let is_path = plain && path.contains('/') && ENDINGS.iter().any(|ending| path.ends_with(ending));
            // What begins elsewhere is not ours: /etc, ~, a name in a bucket.
            let ours = ["pipeline/", "door/", "worker/", "janitor/", "terraform/", "tests/", ".ci/", ".cargo/"]
                .iter()
                .any(|begin| path.starts_with(begin));
            assert!(!(is_path && ours) || root().join(path).exists(), "{document} names {path}, which does not exist");
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
