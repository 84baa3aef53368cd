//! The arrows of the house, held: who may depend on whom, and what a decision may not know.
#![expect(clippy::expect_used, reason = "a test that cannot read the sources fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// What the crates of the house may depend on, of each other: all arrows there are.
const ARROWS: [(&str, &[&str]); 5] = [
    ("pipeline", &[]),
    ("door", &[]),
    ("worker", &["coalmine-pipeline", "coalmine-door"]),
    ("janitor", &["coalmine-pipeline", "coalmine-door"]),
    // The simulator: what belongs to Coalmine is under dev-dependencies, for the scenarios and the demo.
    ("tests", &[]),
];

/// What the contract crate may use: values and their texts. No async, no SDK, no I/O.
const CONTRACT_USES: [&str; 4] = ["serde", "serde_json", "thiserror", "unicode-segmentation"];

/// Where the decisions are.
const DECISIONS: [&str; 7] = [
    "worker/src/deploy",
    "worker/src/drift",
    "janitor/src/in_use",
    "janitor/src/inventory",
    "janitor/src/memory",
    "janitor/src/plan",
    "janitor/src/policy",
];

/// Words that a decision does not contain: async, the SDK, the clock, logs, chance, the environment, files.
const NOT_IN_DECISIONS: [&str; 16] = [
    "crate::aws",
    "coalmine_door",
    "crate::tools",
    "crate::turn",
    "crate::observe",
    "crate::act",
    "tokio",
    "tracing",
    "aws_config",
    "aws_credential_types",
    "aws_sdk_",
    "aws_smithy_",
    "aws_types",
    "async ",
    "std::env",
    "fastrand",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's folder").to_owned()
}

fn dependencies(package: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(package).join("Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = text.parse().expect("a manifest in TOML");
    let table = manifest.get("dependencies").and_then(toml::Value::as_table).expect("dependencies");
    table.keys().cloned().collect()
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).expect("a source file")));
        }
    }
    assert!(!found.is_empty(), "{} holds no sources", folder.display());
    found
}

/// A source file's lines of code, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(at, line)| (at + 1, line))
}

#[test]
fn crates_depend_on_each_other_only_along_the_arrows() {
    for (package, allowed) in ARROWS {
        let strangers: Vec<String> = dependencies(package)
            .into_iter()
            .filter(|name| name.starts_with("coalmine-") && !allowed.contains(&name.as_str()))
            .collect();
        assert!(strangers.is_empty(), "{package} may not depend on {strangers:?}");
    }
}

#[test]
fn the_contract_knows_no_async_no_sdk_and_no_io() {
    let strangers: Vec<String> =
        dependencies("pipeline").into_iter().filter(|name| !CONTRACT_USES.contains(&name.as_str())).collect();
    assert!(strangers.is_empty(), "pipeline may not use {strangers:?}");
    for (path, text) in sources(&root().join("pipeline/src")) {
        for (line, code) in code(&text) {
            for word in ["std::fs", "std::env", "std::net", "async fn", "SystemTime::now", "Instant::now"] {
                assert!(!code.contains(word), "{}:{line} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn decisions_know_no_sdk_no_clock_no_async_and_no_log() {
    for (path, text) in DECISIONS.into_iter().flat_map(|place| sources(&root().join(place))) {
        for (line, code) in code(&text) {
            for word in NOT_IN_DECISIONS {
                assert!(!code.contains(word), "{}:{line} uses `{word}`: {code}", path.display());
            }
        }
    }
}

#[test]
fn the_sdks_service_types_end_in_the_adapters() {
    for (path, text) in
        ["door/src", "worker/src", "janitor/src"].into_iter().flat_map(|folder| sources(&root().join(folder)))
    {
        // The adapters: those on AWS, and the store's on S3. The tools are made of clients.
        let adapter = path.components().any(|part| part.as_os_str() == "aws") || path.ends_with("store/s3.rs");
        if adapter || path.ends_with("tools.rs") {
            continue;
        }
        for (line, code) in code(&text) {
            assert!(!code.contains("aws_sdk_"), "{}:{line} uses the SDK: {code}", path.display());
        }
    }
}

#[test]
fn no_file_is_longer_than_a_reader_bears() {
    for folder in [
        "pipeline/src",
        "door/src",
        "worker/src",
        "janitor/src",
        "tests/simulator",
        "tests/scenarios",
        "tests/stage",
        "tests/demo",
        "tests/soak",
        "tests/janitor",
    ] {
        for (path, text) in sources(&root().join(folder)) {
            assert!(text.lines().count() <= 500, "{} has more than 500 lines", path.display());
        }
    }
}
