//! From a commit to an image: the buildspecs' steps run against commands that play docker and the AWS CLI (tests/fakes),
//! and the Dockerfiles are held to what an image of ours is.
#![expect(clippy::expect_used, reason = "a test that cannot read or run something fails")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory;
use yaml_rust2::{Yaml, YamlLoader};

const COMMIT: &str = "8c1f2ab0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6";
const REGISTRY: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const APPLICATION: &str = "pipeline/buildspec.app.yml";
const OWN: &str = "buildspec.yml";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's folder").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// A build: a folder for the fake commands, and the variables that CodeBuild sets.
struct Build {
    buildspec: &'static str,
    world: PathBuf,
    variables: BTreeMap<&'static str, String>,
}

/// How a build ended.
#[derive(Debug)]
struct Ended {
    well: bool,
    output: String,
    calls: Vec<String>,
}

impl Build {
    fn of(buildspec: &'static str, name: &str) -> Self {
        let world = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images").join(name);
        let _ = fs::remove_dir_all(&world);
        fs::create_dir_all(&world).expect("a folder");
        let uri = |name: &str| format!("{REGISTRY}/{name}");
        let variables = BTreeMap::from([
            ("CODEBUILD_RESOLVED_SOURCE_VERSION", COMMIT.to_owned()),
            ("REPOSITORY_URI", uri("shop")),
            ("REPOSITORY_URIS", [uri("shop"), uri("coalmine-worker"), uri("tools/coalmine-janitor")].join(" ")),
            ("SOURCE_BUCKET", "sources".to_owned()),
            ("CLASSES", "app search background".to_owned()),
        ]);
        Self { buildspec, world, variables }.with("size", "9000000")
    }

    /// The same in a world with a further fact.
    fn with(self, fact: &str, content: &str) -> Self {
        fs::write(self.world.join(fact), content).expect("a fact");
        self
    }

    fn without(mut self, variable: &str) -> Self {
        self.variables.remove(variable);
        self
    }

    /// Runs the steps as CodeBuild does: all in one shell, until one fails. Whether `set -e` outlives a step is nowhere
    /// promised, so that no step may rest on another's.
    fn run(&self) -> Ended {
        let (variables, steps) = steps(self.buildspec);
        let mut script = String::new();
        for (at, step) in steps.iter().enumerate() {
            let file = self.world.join(format!("step-{at}.sh"));
            fs::write(&file, step).expect("a step");
            script.push_str(&format!(". '{}' || exit 1\nset +eu\n", file.display()));
        }
        let path = std::env::join_paths([root().join("tests/fakes"), "/usr/bin".into(), "/bin".into()]);
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(root())
            .env_clear()
            .env("PATH", path.expect("a path"))
            .env("WORLD", &self.world)
            .envs(variables)
            .envs(&self.variables)
            .output()
            .expect("sh runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let calls = fs::read_to_string(self.world.join("calls")).unwrap_or_default();
        Ended {
            well: output.status.success(),
            output: text(&output.stdout) + &text(&output.stderr),
            calls: calls.lines().map(str::to_owned).collect(),
        }
    }

    /// What was uploaded: bucket and key, and the files in the zip with their content.
    fn uploaded(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        let bucket = self.world.join("s3/sources");
        for class in fs::read_dir(&bucket).into_iter().flatten() {
            let class = class.expect("an entry").file_name().to_string_lossy().into_owned();
            let path = bucket.join(&class).join("imagedefinitions.zip");
            let mut zip = zip::ZipArchive::new(fs::File::open(path).expect("a zip")).expect("a zip");
            let mut files = BTreeMap::new();
            for at in 0..zip.len() {
                let mut file = zip.by_index(at).expect("a file in the zip");
                let mut content = String::new();
                file.read_to_string(&mut content).expect("text");
                files.insert(file.name().to_owned(), content);
            }
            found.insert(class, files);
        }
        found
    }
}

impl Ended {
    fn calls_of(&self, begin: &str) -> Vec<&str> {
        self.calls.iter().map(String::as_str).filter(|call| call.starts_with(begin)).collect()
    }

    /// Fails unless the build failed with certain words, and without calls that begin with any of these.
    fn assert_failed(&self, words: &str, without: &[&str]) {
        assert!(!self.well, "the build went well: {self:#?}");
        assert!(self.output.contains(words), "expected `{words}` in {self:#?}");
        for begin in without {
            assert!(self.calls_of(begin).is_empty(), "expected no `{begin}` in {self:#?}");
        }
    }
}

fn buildspec(path: &str) -> Yaml {
    YamlLoader::load_from_str(&read(path)).expect("YAML").remove(0)
}

/// A buildspec's variables, and the commands of all its phases in CodeBuild's order.
fn steps(path: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let document = buildspec(path);
    let text = |yaml: &Yaml| yaml.as_str().expect("a string").to_owned();
    let variables = document["env"]["variables"].as_hash().into_iter().flatten();
    let variables = variables.map(|(name, value)| (text(name), text(value))).collect();
    let mut steps = Vec::new();
    for phase in ["install", "pre_build", "build", "post_build"] {
        let commands = document["phases"][phase]["commands"].as_vec().into_iter().flatten();
        steps.extend(commands.map(text));
    }
    (variables, steps)
}

const BUILD: &str = "docker buildx build";
const UPLOAD: &str = "aws s3";

#[test]
fn a_commit_becomes_an_image_for_both_architectures_and_starts_a_pipeline_for_each_class() {
    let build = Build::of(APPLICATION, "good");
    let ended = build.run();
    assert!(ended.well, "{ended:#?}");
    let image = format!("{REGISTRY}/shop:{COMMIT}");
    let pushed = format!("{BUILD} --platform linux/arm64,linux/amd64 --provenance=false --tag {image} --push .");
    assert_eq!(ended.calls_of(BUILD), [pushed]);
    assert_eq!(ended.calls_of("docker login"), [format!("docker login --username AWS --password-stdin {REGISTRY}")]);
    let expected = ["app", "background", "search"].map(|class| {
        let content = format!("[{{\"name\":\"{class}\",\"imageUri\":\"{image}\"}}]\n");
        (class.to_owned(), BTreeMap::from([("imagedefinitions.json".to_owned(), content)]))
    });
    assert_eq!(build.uploaded(), BTreeMap::from(expected));
    // Nothing comes after the uploads, and no upload before both architectures were asked for.
    let last: Vec<bool> = ended.calls.iter().rev().take(3).map(|call| call.starts_with(UPLOAD)).collect();
    assert_eq!((last, ended.calls_of(UPLOAD).len()), (vec![true; 3], 3), "{ended:#?}");
    assert_eq!(ended.calls.iter().filter(|call| call.contains("imageDigest=sha256:")).count(), 2, "{ended:#?}");
}

#[test]
fn what_was_uploaded_is_what_the_worker_reads() {
    let build = Build::of(APPLICATION, "read");
    assert!(build.run().well);
    let zip = fs::read(build.world.join("s3/sources/search/imagedefinitions.zip")).expect("a zip");
    let file = coalmine_worker::artifact::images(&zip, None).expect("images");
    let images = coalmine_worker::artifact::by_container(file, &["search".to_owned()]).expect("images by container");
    let found: Vec<(String, String)> =
        images.iter().map(|image| (image.container.clone(), image.image.to_string())).collect();
    assert_eq!(found, [("search".to_owned(), format!("{REGISTRY}/shop:{COMMIT}"))]);
}

#[test]
fn a_tag_that_exists_is_refused_before_anything_is_built() {
    let before = format!("{REGISTRY}/shop:{COMMIT} linux/arm64=sha256:1\n");
    let build = Build::of(APPLICATION, "exists").with("pushed", &before);
    build.run().assert_failed("exists already", &[BUILD, UPLOAD]);
    assert_eq!(fs::read_to_string(build.world.join("pushed")).expect("the registry"), before);
}

#[test]
fn a_registry_that_does_not_say_whether_the_tag_exists_stops_the_build() {
    Build::of(APPLICATION, "denied").with("denied", "").run().assert_failed("AccessDenied", &[BUILD, UPLOAD]);
    Build::of(APPLICATION, "no-login").with("no-login", "").run().assert_failed("AccessDenied", &[BUILD, UPLOAD]);
}

#[test]
fn an_image_without_one_of_the_architectures_starts_no_pipeline() {
    for platform in ["linux/arm64", "linux/amd64"] {
        let build = Build::of(APPLICATION, &format!("lacks-{}", &platform[6..])).with("lacks", platform);
        build.run().assert_failed(&format!("lacks {platform}"), &[UPLOAD]);
    }
    Build::of(APPLICATION, "no-children").with("no-children", "").run().assert_failed("ImageNotFound", &[UPLOAD]);
    Build::of(APPLICATION, "push-fails").with("push-fails", "").run().assert_failed("", &[UPLOAD, "aws s3"]);
}

#[test]
fn a_variable_that_nobody_set_stops_the_build_by_name() {
    for variable in ["REPOSITORY_URI", "SOURCE_BUCKET", "CLASSES", "CODEBUILD_RESOLVED_SOURCE_VERSION"] {
        let ended = Build::of(APPLICATION, &format!("without-{variable}")).without(variable).run();
        ended.assert_failed(variable, &["aws", "docker"]);
    }
}

#[test]
fn our_own_images_are_built_for_both_architectures_and_nothing_is_emulated() {
    let ended = Build::of(OWN, "own").run();
    assert!(ended.well, "{ended:#?}");
    assert!(ended.calls_of("docker run").is_empty(), "{ended:#?}");
    let pushed: Vec<&str> = ended.calls_of(BUILD).into_iter().filter(|call| call.ends_with("--push .")).collect();
    let push = |program: &str, uri: &str| {
        format!(
            "{BUILD} --platform linux/arm64,linux/amd64 --provenance=false --file {program}/Dockerfile --tag {REGISTRY}/{uri}:{COMMIT} --push ."
        )
    };
    assert_eq!(pushed, [push("worker", "coalmine-worker"), push("janitor", "tools/coalmine-janitor")]);
    assert!(!ended.calls.iter().any(|call| call.contains("/shop")), "{ended:#?}");
}

#[test]
fn our_own_build_pushes_nothing_where_an_image_is_too_large_or_a_tag_exists() {
    Build::of(OWN, "large").with("size", "40000001").run().assert_failed("at most 40000000 bytes", &[]);
    let ended = Build::of(OWN, "large").with("size", "40000001").run();
    assert!(!ended.calls.iter().any(|call| call.contains("--push")), "{ended:#?}");
    let before = format!("{REGISTRY}/tools/coalmine-janitor:{COMMIT} linux/arm64=sha256:1\n");
    Build::of(OWN, "own-exists").with("pushed", &before).run().assert_failed("exists already", &[BUILD]);
    Build::of(OWN, "own-lacks").with("lacks", "linux/arm64").run().assert_failed("lacks linux/arm64", &[]);
    Build::of(OWN, "own-without").without("REPOSITORY_URIS").run().assert_failed("REPOSITORY_URIS", &["docker"]);
}

/// A phase that fails must not let the next one run: CodeBuild would run `post_build` after a failed build, and the
/// other phases where `on-failure` says so.
#[test]
fn buildspecs_stop_at_the_first_failure_and_are_of_the_version_that_shares_one_shell() {
    for path in [APPLICATION, OWN] {
        let document = buildspec(path);
        assert!(read(path).lines().any(|line| line == "version: 0.2"), "{path} is not of version 0.2");
        let phases = document["phases"].as_hash().expect("phases");
        for (name, phase) in phases {
            assert!(matches!(name.as_str(), Some("pre_build" | "build")), "{path} has a phase {name:?}");
            assert_eq!(phase["on-failure"].as_str(), Some("ABORT"), "{path}: {name:?}");
        }
    }
    assert!(read(APPLICATION).lines().count() <= 55, "{APPLICATION} is to be read before it is copied");
}

#[test]
fn terraform_sets_the_variables_that_the_buildspecs_read() {
    let module = read("terraform/modules/build/main.tf");
    for variable in ["CLASSES", "REPOSITORY_URI", "REPOSITORY_URIS", "SOURCE_BUCKET"] {
        assert!(module.lines().any(|line| line.trim_start().starts_with(&format!("{variable} "))), "{variable}");
        assert!(read(APPLICATION).contains(variable) || read(OWN).contains(variable), "{variable} is read nowhere");
    }
}

/// The last stage of a Dockerfile: what becomes the image.
fn image_of(program: &str) -> Vec<String> {
    let dockerfile = read(&format!("{program}/Dockerfile"));
    let (_, image) = dockerfile.rsplit_once("\nFROM ").expect("a last stage");
    image.lines().map(str::to_owned).collect()
}

#[test]
fn images_hold_one_program_that_is_not_root_and_no_shell() {
    for program in ["worker", "janitor"] {
        let image = image_of(program);
        assert_eq!(image[0], "scratch", "{program}");
        assert!(!image.iter().any(|line| line.starts_with("RUN") || line.starts_with("ADD")), "{image:#?}");
        assert!(image.contains(&"USER 65532:65532".to_owned()), "{image:#?}");
        // As a list: there is no shell that could take a string apart.
        let entry = format!("ENTRYPOINT [\"/coalmine-{program}\"]");
        assert!(image.contains(&entry), "{image:#?}");
    }
    assert!(image_of("worker").iter().any(|line| line.ends_with("CMD [\"/coalmine-worker\", \"health\"]")));
}

#[test]
fn both_programs_are_built_in_the_same_way_by_the_compiler_that_the_workspace_asks_for() {
    let build = |program: &str| {
        let dockerfile = read(&format!("{program}/Dockerfile"));
        let (build, _) = dockerfile
            .rsplit_once("\nFROM ")
            .map(|(build, image)| (build.to_owned(), image.len()))
            .expect("two stages");
        let (_, build) =
            build.split_once("\nFROM ").map(|(comment, build)| (comment.len(), build.to_owned())).expect("a stage");
        let build: Vec<&str> = build.lines().filter(|line| !line.starts_with('#')).collect();
        build.join("\n").replace(&format!("coalmine-{program}"), "PROGRAM")
    };
    assert_eq!(build("worker"), build("janitor"));
    let manifest: toml::Table = read("Cargo.toml").parse().expect("a manifest");
    let version = manifest["workspace"]["package"]["rust-version"].as_str().expect("rust-version");
    assert!(build("worker").starts_with(&format!("--platform=$BUILDPLATFORM rust:{version}-")), "{version}");
    for target in ["aarch64-unknown-linux-musl", "x86_64-unknown-linux-musl"] {
        assert!(build("worker").contains(target), "{target}");
    }
}

/// The number behind a name: `stop_timeout = 20`, `const DRAIN: Duration = Duration::from_secs(8);`.
fn number_behind(text: &str, name: &str) -> u64 {
    let (_, rest) = text.split_once(name).expect(name);
    let digits: String = rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[test]
fn a_task_has_longer_to_stop_than_its_worker_needs() {
    let timeout = number_behind(&read("terraform/modules/worker/main.tf"), "stop_timeout = ");
    let drain = number_behind(&read("worker/src/run.rs"), "const DRAIN: Duration");
    // Beside the drain, the worker has a second for its last word.
    assert!(timeout >= 2 * (drain + 1) && timeout <= 120, "{timeout} s, for a drain of {drain} s");
}

#[test]
fn the_words_that_alarms_wait_for_are_what_the_worker_logs() {
    let alarms = read("terraform/modules/worker/alarms.tf");
    let words: Vec<&str> =
        alarms.split("$.message = \\\"").skip(1).map(|rest| rest.split('*').next().expect("words")).collect();
    assert_eq!(words.len(), 2, "{words:?}");
    let run = read("worker/src/run.rs");
    for words in words {
        assert!(run.contains(&format!("\"{words}")), "worker/src/run.rs logs nothing that begins with: {words}");
    }
}

#[test]
fn containers_are_told_only_what_their_programs_listen_to() {
    let programs =
        [("worker", coalmine_worker::cli::Cli::command(), 7), ("janitor", coalmine_janitor::cli::Cli::command(), 4)];
    for (program, command, most) in programs {
        let module = read(&format!("terraform/modules/{program}/main.tf"));
        let words = module.lines().filter_map(|line| line.trim().split(' ').next());
        let told: Vec<&str> = words.filter(|word| word.starts_with("COALMINE_")).collect();
        assert!(told.len() >= most, "{told:?}");
        let twins: Vec<String> = command
            .get_subcommands()
            .flat_map(|subcommand| subcommand.get_arguments())
            .chain(command.get_arguments())
            .filter_map(|argument| argument.get_env())
            .map(|twin| twin.to_string_lossy().into_owned())
            .collect();
        for name in told {
            assert!(twins.contains(&name.to_owned()), "{program} has no flag whose twin is {name}: {twins:?}");
        }
    }
}

#[test]
fn the_janitors_alarms_speak_of_metrics_that_it_writes() {
    let (alarms, metrics) = (read("terraform/modules/janitor/alarms.tf"), read("janitor/src/metrics.rs"));
    for name in ["Incomplete", "GuardTripped", "ImagesKept", "Coalmine/Janitor", "Registry"] {
        assert!(alarms.contains(name) && metrics.contains(&format!("\"{name}\"")), "{name}");
    }
}
