//! Every parser that reads from outside, given what it takes with some bytes changed.
//!
//! None of them panics, and none understands half of a text: what one takes, it prints back, or takes as a whole. The
//! crates' own tests say what each takes and refuses; these try what nobody thought of.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test whose samples are wrong fails")]

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use coalmine_door::store::Location;
use coalmine_pipeline::action_type::{CANARY, FULL, ROLLBACK};
use coalmine_pipeline::artifact::{parse_image_definitions, parse_image_detail, parse_image_file};
use coalmine_pipeline::ledger::Entry;
use coalmine_pipeline::limits::FAILURE_MESSAGE_CHARS;
use coalmine_pipeline::{
    CanaryConfig, Capacity, Digest, FullConfig, ImageFile, ImageReference, Options, Problems, RollbackConfig, Share,
    duration,
};
use coalmine_worker::artifact::{ImagesError, images};
use coalmine_worker::deploy::progress::Progress;
use coalmine_worker::deploy::revision::Revision;
use coalmine_worker::deploy::rollback::aim::Aims;
use coalmine_worker::deploy::rollback::token::Token;
use coalmine_worker::ledger::canaries::Canary;
use coalmine_worker::ledger::history::Ran;
use coalmine_worker::ledger::orphans::WorkerObject;
use coalmine_worker::ledger::releases::Release;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;
use zip::write::SimpleFileOptions;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// One change to a sample, at a place of it.
#[derive(Clone, Debug)]
enum Edit {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Truncate(Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |index: &Index| index.index(bytes.len().max(1)).min(bytes.len());
        match self {
            Self::Set(index, byte) => {
                let at = at(index);
                bytes.get_mut(at).into_iter().for_each(|place| *place = *byte);
            }
            Self::Flip(index, bit) => {
                let at = at(index);
                bytes.get_mut(at).into_iter().for_each(|place| *place ^= 1 << bit);
            }
            Self::Insert(index, inserted) => {
                let at = at(index);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Remove(index, length) => {
                let begin = at(index);
                bytes.drain(begin..(begin + length).min(bytes.len()));
            }
            Self::Repeat(index, length) => {
                let begin = at(index);
                let piece = bytes[begin..(begin + length).min(bytes.len())].to_vec();
                bytes.splice(begin..begin, piece);
            }
            Self::Truncate(index) => bytes.truncate(at(index)),
        }
    }
}

/// Pieces that parsers stumble over.
const PIECES: [&str; 24] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "/",
    "../",
    "@sha256:",
    "\0",
    "\n",
    "\u{1b}[31m",
    "\u{202e}",
    "é",
    "%",
    "-1",
    "99999999999999999999",
    "1e400",
    "null",
    "\\ud800",
    "=",
    " ",
];

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (any::<Index>(), 0_u8..8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        (any::<Index>(), select(&PIECES[..])).prop_map(|(at, piece)| Edit::Insert(at, piece.as_bytes().to_vec())),
        (any::<Index>(), 1_usize..12).prop_map(|(at, length)| Edit::Remove(at, length)),
        (any::<Index>(), 1_usize..40).prop_map(|(at, length)| Edit::Repeat(at, length)),
        any::<Index>().prop_map(Edit::Truncate),
    ]
}

/// One of the samples, with up to three changes.
fn mutated(samples: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (select(samples), vec(edit(), 0..=3)).prop_map(|(mut bytes, edits)| {
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        bytes
    })
}

fn mutated_text<const N: usize>(samples: [&str; N]) -> impl Strategy<Value = String> {
    mutated(samples.iter().map(|sample| sample.as_bytes().to_vec()).collect())
        .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn tokens() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"v":1,"t":1767603600,"p":{"check":{"b":1767603660}}}"#,
        r#"{"v":1,"t":1767603600,"p":"deploy","f":{"r":"app:7","n":10,"p":{"minimum":100,"maximum":200},"z":true,"a":"2f"},"r":"app:8","d":"Ab3dE"}"#,
        r#"{"v":1,"t":0,"p":{"bake":{"s":-5}},"r":"app:8"}"#,
        r#"{"v":1,"t":0,"p":{"undo-full":{"s":3,"k":true}},"c":{"k":"alarm","t":"5xx is in ALARM","w":["t1","app"]}}"#,
        r#"{"v":1,"t":0,"p":{"restore-canary":{"s":3,"g":{"revision":"app-canary:6"},"k":9}},"c":{"k":"tasks","t":"exit code 3"}}"#,
        r#"{"v":1,"t":0,"p":{"restore-canary":{"s":3,"g":"zero"}}}"#,
        r#"{"v":1,"t":0,"p":"leave-canary"}"#,
    ];
    texts.iter().for_each(|text| assert!(Progress::from_token(text).is_ok(), "{text}"));
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn objects() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"schema":1,"renewed":1767603600000,"jobs":{}}"#,
        r#"{"schema":1,"renewed":1,"jobs":{"0b1c":{"state":"held","token":"{\"v\":1}","place":"app/Release/Canary of e1"},"77":{"state":"intent","token":"x","place":""}}}"#,
    ];
    texts.iter().for_each(|text| assert!(WorkerObject::parse(text.as_bytes()).is_some(), "{text}"));
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// What the ledger keeps of releases: a canary that waits, what became of a release, that it ended well on a service.
fn records() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"schema":1,"release":"e-1","pipeline":"app","stage":"Release","action":"Canary","action_execution":"a-1","cluster":"main","service":"app-canary","full":"app","alarms":["5xx"],"digests":{"app":"sha256:1"},"summary":"well","since":1767603600,"progress":"{\"v\":1,\"t\":0,\"p\":\"deploy\"}","restoring":{"why":"rejected","by":"ann","since":1767603660}}"#,
        r#"{"schema":1,"release":"e-1","pipeline":"app","images":["shop/app:v2"],"digests":{"app":"sha256:1"},"timeline":[{"at":1767603600,"service":"main/app","state":"deploying","reason":"","revision":"app:2","action":"a-1"}]}"#,
        r#"{"schema":1,"release":"e-1","pipeline":"app","began":1767603600,"at":1767603660,"revision":"app:2","digests":{"app":"sha256:1"},"rollback":true,"over":1767603660,"canary":"app-canary"}"#,
    ];
    let bytes = texts.map(str::as_bytes);
    assert!(Canary::parse(bytes[0]).is_some() && Release::parse(bytes[1]).is_some() && Ran::parse(bytes[2]).is_some());
    bytes.map(<[u8]>::to_vec).to_vec()
}

fn definitions() -> Vec<u8> {
    format!(
        r#"[{{"name":"app","imageUri":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/app:v7"}},
           {{"name":"log","imageUri":"public.ecr.aws/x/log@sha256:{HEX}"}}]"#
    )
    .into_bytes()
}

fn detail() -> Vec<u8> {
    format!(r#"{{"ImageURI":"shop/app:v7","ImageDigest":"sha256:{HEX}","RepositoryName":"app"}}"#).into_bytes()
}

fn zips() -> Vec<Vec<u8>> {
    let zipped = |files: &[(&str, Vec<u8>)], options: SimpleFileOptions| {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            zip.start_file(*name, options).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let (deflated, stored) =
        (SimpleFileOptions::default(), SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored));
    let nested = zipped(&[("imagedefinitions.json", b"[]".to_vec())], stored);
    let files = [
        ("../imagedefinitions.json", b"[]".to_vec()),
        ("a/imagedefinitions.json", b"[]".to_vec()),
        ("imagedefinitions.json", definitions()),
        ("inner.zip", nested),
    ];
    vec![
        zipped(&[("imagedefinitions.json", definitions())], deflated),
        zipped(&[("imagedefinitions.json", definitions())], stored),
        zipped(&files, deflated),
        zipped(&files, stored),
    ]
}

/// Whether everything that stands in `text` stands in `printed`, but for what means nothing.
fn is_kept(text: &Value, printed: &Value) -> bool {
    match (text, printed) {
        (Value::Object(text), Value::Object(printed)) => text.iter().all(|(name, value)| {
            let nothing = value.is_null() || value == false || value == "0";
            printed.get(name).map_or(nothing, |kept| is_kept(value, kept))
        }),
        (Value::Array(text), Value::Array(printed)) => {
            text.len() == printed.len() && text.iter().zip(printed).all(|(text, printed)| is_kept(text, printed))
        }
        _ => text == printed,
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON, as the parser took it")
}

type Values = BTreeMap<String, String>;
type Parser = fn(&Values) -> Option<Problems>;

/// The action types with a parser, and a configuration that each takes.
fn configurations() -> [(Parser, Values); 3] {
    let map = |values: &[(&str, &str)]| values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let arn = "arn:aws:ecs:eu-west-1:123456789012:service/shop/app";
    let canary = map(&[
        ("Pool", "prod"),
        ("Cluster", "arn:aws:ecs:eu-west-1:123456789012:cluster/shop"),
        ("Service", "app-canary"),
        ("FullService", arn),
        ("Capacity", "10%"),
        ("BakeTime", "5m"),
        ("Alarms", "app-5xx, app latency"),
        ("TemplateFamily", "app-template"),
        ("Options", "image.app=shop/app:v7, already_red=ignore, deadline=2h"),
    ]);
    let full = map(&[
        ("Pool", "prod"),
        ("Cluster", "shop"),
        ("Service", arn),
        ("CanaryService", "app-canary"),
        ("Batch", "2.5%"),
        ("BakeTime", "90s"),
        ("Options", "surge=true, file=images/prod.json, wait=0, ignore_unknown=true"),
    ]);
    let rollback = map(&[
        ("Pool", "prod"),
        ("Cluster", "shop"),
        ("Services", "app, search"),
        ("To", "-2"),
        ("Options", "canary.app=app-blue, surge=true, deadline=30m"),
    ]);
    let all: [(Parser, Values); 3] = [
        (|values| CanaryConfig::parse(values).err(), canary),
        (|values| FullConfig::parse(values).err(), full),
        (|values| RollbackConfig::parse(values).err(), rollback),
    ];
    for (parser, values) in &all {
        assert!(parser(values).is_none(), "{:?}", parser(values));
    }
    all
}

proptest! {
    #[test]
    fn a_token_is_read_wholly_or_not_at_all(bytes in mutated(tokens())) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(progress) = Progress::from_token(&text) {
            let printed = progress.to_token();
            prop_assert_eq!(Progress::from_token(&printed), Ok(progress));
            prop_assert!(is_kept(&json(&text), &json(&printed)), "{} became {}", text, printed);
        }
    }

    #[test]
    fn a_ledger_object_is_read_wholly_or_not_at_all(bytes in mutated(objects())) {
        if let Some(object) = WorkerObject::parse(&bytes) {
            let printed = serde_json::to_string(&object).unwrap();
            prop_assert_eq!(json(std::str::from_utf8(&bytes).unwrap()), json(&printed));
        }
    }

    #[test]
    fn a_record_that_is_taken_stays_the_same_when_it_is_written_again(bytes in mutated(records())) {
        if let Some(canary) = Canary::parse(&bytes) {
            prop_assert_eq!(Canary::parse(&serde_json::to_vec(&canary).unwrap()), Some(canary));
        }
        if let Some(release) = Release::parse(&bytes) {
            prop_assert_eq!(Release::parse(&serde_json::to_vec(&release).unwrap()), Some(release));
        }
        if let Some(ran) = Ran::parse(&bytes) {
            prop_assert_eq!(Ran::parse(&serde_json::to_vec(&ran).unwrap()), Some(ran));
        }
    }

    #[test]
    fn a_key_of_the_ledger_prints_as_it_was_read(text in mutated_text(["services/main/app/001767603600-0b2f-11-e4.json"])) {
        if let Some(entry) = Entry::of(&text) {
            prop_assert_eq!(entry.key(), text);
        }
    }

    #[test]
    fn the_token_of_a_rollback_is_read_wholly_or_not_at_all(text in mutated_text([
        r#"{"v":1,"t":1767603600,"d":true,"a":"+ 3 2,shop 3 2,search search-web:7 6 50/200"}"#,
        r#"{"v":1,"t":1767603600,"d":false}"#,
    ])) {
        if let Some(token) = Token::own(&text) {
            prop_assert_eq!(Token::own(&token.write()), Some(token.clone()));
            prop_assert!(is_kept(&json(&text), &json(&token.write())), "{} became {}", text, token.write());
        }
    }

    #[test]
    fn the_aims_of_a_rollback_are_read_wholly_or_not_at_all(text in mutated_text(["+ 3 2,shop 3 2,search search-web:7 6 50/200"])) {
        if let Ok(aims) = text.parse::<Aims>() {
            prop_assert_eq!(aims.to_string().parse::<Aims>().ok(), Some(aims));
        }
    }

    #[test]
    fn no_bytes_are_taken_for_a_ledger_object(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(WorkerObject::parse(&bytes), None);
    }

    #[test]
    fn every_entry_of_an_image_file_is_read(bytes in mutated(vec![definitions(), detail()])) {
        if let Ok(images) = parse_image_definitions(&bytes) {
            let entries: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(entries.as_array().unwrap().len(), images.len());
            for image in images {
                prop_assert_eq!(ImageReference::parse(&image.image.to_string()), Ok(image.image));
            }
        }
        if let Ok(detail) = parse_image_detail(&bytes) {
            prop_assert_eq!(ImageReference::parse(&detail.image.to_string()), Ok(detail.image));
        }
        let _ = parse_image_file(&bytes);
    }

    /// By its checksum.
    #[test]
    fn a_damaged_zip_gives_what_was_packed_or_nothing(bytes in mutated(zips())) {
        let whole = ImageFile::Definitions(parse_image_definitions(&definitions()).unwrap());
        match images(&bytes, None) {
            Ok(found) => prop_assert_eq!(found, whole),
            Err(problem) => {
                let text = problem.to_string();
                prop_assert!(text.chars().count() < FAILURE_MESSAGE_CHARS, "{}", text);
                prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{:?}", text);
            }
        }
        // A file of another name is no way to another place.
        let outside = images(&bytes, Some("etc/passwd"));
        let is_zip = !matches!(bytes.trim_ascii_start().first(), Some(b'[' | b'{'));
        let none = matches!(outside, Err(ImagesError::NoSuchFile { .. } | ImagesError::NotAZip(_)));
        prop_assert!(none || !is_zip, "{:?}", outside);
    }

    #[test]
    fn a_configuration_is_taken_or_its_problems_are_named(changed in any::<Index>(), edits in vec(edit(), 1..=3), renamed: bool) {
        for (parser, mut values) in configurations() {
            let name = values.keys().nth(changed.index(values.len())).unwrap().clone();
            let value = values.remove(&name).unwrap();
            let mut bytes = if renamed { name.clone() } else { value.clone() }.into_bytes();
            edits.iter().for_each(|edit| edit.apply(&mut bytes));
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let entry = if renamed { (text.clone(), value) } else { (name.clone(), text.clone()) };
            values.insert(entry.0, entry.1);
            if let Some(problems) = parser(&values) {
                prop_assert!(problems.to_string().chars().count() <= FAILURE_MESSAGE_CHARS);
                prop_assert!(!problems.is_empty());
            } else if renamed {
                prop_assert_eq!(text, name, "a property that nobody knows was taken");
            }
        }
    }

    #[test]
    fn every_part_of_the_options_is_read(text in mutated_text([
        "mode=deploy, image.app=shop/app:v7, image.log-router=fluent/fluent-bit:3, file=deploy/images.json",
        "surge=false, already_red=require-clear, deadline=2h, wait=0, ignore_unknown=true",
    ])) {
        for keys in [CANARY.options, FULL.options, ROLLBACK.options] {
            match Options::parse(&text, keys) {
                Ok(_) => prop_assert!(text.split(',').all(|part| part.contains('=')), "{}", text),
                Err(problems) => prop_assert!(!problems.is_empty()),
            }
        }
    }

    #[test]
    fn an_image_reference_prints_as_it_was_read(text in mutated_text([
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/app:v7",
        "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "public.ecr.aws/nginx/nginx:1.27",
        "localhost:5000/app:v7@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "nginx",
    ])) {
        if let Ok(image) = ImageReference::parse(&text) {
            // A digest is written in lower case.
            prop_assert!(image.to_string().eq_ignore_ascii_case(&text), "{} became {}", text, image);
        }
    }

    #[test]
    fn a_digest_prints_as_it_was_read(text in mutated_text(["sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"])) {
        if let Ok(digest) = Digest::parse(&text) {
            prop_assert!(digest.to_string().eq_ignore_ascii_case(&text), "{} became {}", text, digest);
        }
    }

    #[test]
    fn a_duration_prints_as_what_it_means(text in mutated_text(["90s", "1h30m", "23h59m59s", "0"])) {
        if let Ok(read) = duration::parse(&text) {
            prop_assert_eq!(duration::parse(&duration::show(read)), Ok(read));
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit() || b"hms".contains(&byte)), "{}", text);
        }
    }

    #[test]
    fn a_capacity_prints_as_what_it_means(text in mutated_text(["1", "5000", "10%", "2.5%"])) {
        if let Ok(capacity) = Capacity::parse(&text) {
            prop_assert_eq!(Capacity::parse(&capacity.to_string()), Ok(capacity));
        }
        if let Ok(share) = Share::parse(&text) {
            prop_assert_eq!(Share::parse(&share.to_string()), Ok(share));
        }
    }

    #[test]
    fn a_revision_prints_as_it_was_read(text in mutated_text(["app:7", "arn:aws:ecs:eu-west-1:123456789012:task-definition/app-canary:4294967295"])) {
        if let Ok(revision) = text.parse::<Revision>() {
            prop_assert_eq!(revision.to_string(), text.rsplit('/').next().unwrap());
        }
    }

    #[test]
    fn a_location_prints_as_what_it_means(text in mutated_text(["s3://coalmine-ledger/prod/eu", "s3://coalmine-ledger", "dir:/var/lib/coalmine"])) {
        if let Ok(location) = text.parse::<Location>() {
            prop_assert_eq!(location.to_string().parse::<Location>(), Ok(location));
        }
    }
}

/// What a zip says of itself is not believed.
#[test]
fn an_archive_of_twenty_thousand_files_is_told_in_a_sentence() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for number in 0..20_000 {
        zip.start_file(format!("\u{1b}[2J{number}\n{}", "x".repeat(200)), stored).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    let said = images(&bytes, None).unwrap_err().to_string();
    assert!(said.ends_with("and 19990 more"), "{said:.300}");
    assert!(said.chars().count() < FAILURE_MESSAGE_CHARS && !said.chars().any(char::is_control), "{said:?}");
}
