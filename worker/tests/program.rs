//! The program as it is shipped: its exit codes, its health check, SIGTERM.
#![cfg(unix)]
#![expect(clippy::expect_used, reason = "a test that cannot start the program fails")]

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use coalmine_worker::cli::{EXIT_OK, EXIT_SURROUNDINGS, EXIT_UNHEALTHY, EXIT_USAGE};

/// How often a worker that has just been started is asked, a tenth of a second apart.
const QUESTIONS: usize = 300;

/// The program, with nothing of the caller's environment that it would heed, and an AWS that nobody can reach.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coalmine-worker"));
    command.args(arguments).env_clear().envs([
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAWORKER"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ]);
    command
}

fn ends(arguments: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = program(arguments).output().expect("the program");
    (status.code().expect("an exit code"), String::from_utf8(stderr).expect("text"))
}

fn ledger(name: &str) -> String {
    format!("dir:{}", std::env::temp_dir().join(format!("coalmine-program-{name}-{}", std::process::id())).display())
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address")
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_health_check_that_nobody_answers_fails_with_a_sentence() {
    let address = free().to_string();
    let (code, said) = ends(&["health", "--listen", &address]);
    assert_eq!(code, i32::from(EXIT_UNHEALTHY), "{said}");
    assert!(said.contains(&format!("nobody answers on {address}")) && said.contains("refused"), "{said}");
    let (code, said) = ends(&["health"]);
    assert_eq!(code, i32::from(EXIT_USAGE), "{said}");
}

#[test]
fn an_address_that_is_taken_is_told_before_any_job_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let (code, said) = ends(&["run", "--ledger", &ledger("taken"), "--listen", &address]);
    assert_eq!(code, i32::from(EXIT_SURROUNDINGS), "{said}");
    assert!(said.contains(&format!("health checks cannot be answered on {address}")), "{said}");
    assert!(said.contains("give --listen another address"), "{said}");
    assert!(!said.contains("the worker takes jobs"), "{said}");
}

#[test]
fn a_worker_that_reaches_no_aws_is_healthy_and_leaves_in_order_when_it_is_told_to() {
    let address = free().to_string();
    let mut command = program(&["run", "--ledger", &ledger("healthy"), "--listen", &address]);
    let mut worker = Running(command.stderr(Stdio::null()).spawn().expect("the program"));
    let mut answer = (-1, String::new());
    for _ in 0..QUESTIONS {
        let said = program(&["health", "--listen", &address]).output().expect("the program");
        answer = (said.status.code().expect("a code"), String::from_utf8(said.stdout).expect("text"));
        if answer.0 == i32::from(EXIT_OK) {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(answer.0, i32::from(EXIT_OK), "{}", answer.1);
    assert!(answer.1.starts_with("{\"status\":\"healthy\""), "{}", answer.1);
    let told = Command::new("kill").args(["-TERM", &worker.0.id().to_string()]).status().expect("kill");
    assert!(told.success());
    assert_eq!(worker.0.wait().expect("an end").code(), Some(i32::from(EXIT_OK)));
}

/// A file in the folder for temporary ones; removed at the end.
struct File(std::path::PathBuf);

impl File {
    fn of(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("coalmine-program-{name}-{}", std::process::id()));
        std::fs::write(&path, text).expect("a file");
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn drift_says_what_it_needs_before_it_asks_aws() {
    let (code, said) = ends(&["drift"]);
    assert_eq!(code, i32::from(EXIT_USAGE), "{said}");
    assert!(said.contains("--terraform"), "{said}");
    let (code, said) = ends(&["drift", "--service", "app"]);
    assert_eq!(code, i32::from(EXIT_USAGE), "{said}");
    assert!(said.contains("expected cluster/service"), "{said}");

    let nowhere = File::of("nowhere", "").0.clone();
    let (code, said) = ends(&["drift", "--terraform", &nowhere.display().to_string()]);
    assert_eq!(code, i32::from(EXIT_SURROUNDINGS), "{said}");
    assert!(said.contains("cannot be read"), "{said}");
    let source = File::of("source", "resource \"aws_ecs_service\" \"app\" {}\n");
    let (code, said) = ends(&["drift", "--terraform", &source.0.display().to_string()]);
    assert_eq!(code, i32::from(EXIT_SURROUNDINGS), "{said}");
    assert!(said.contains("terraform show -json"), "{said}");

    let empty = File::of("empty", r#"{"format_version": "1.0", "terraform_version": "1.11.4"}"#);
    let output = program(&["drift", "--json"]).env("COALMINE_TERRAFORM", &empty.0).output().expect("the program");
    assert_eq!(output.status.code(), Some(i32::from(EXIT_OK)), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(said.starts_with("{\"services\":[]"), "{said}");
    let without = program(&["drift"]).env("COALMINE_TERRAFORM", &empty.0).env_remove("AWS_REGION").output();
    assert_eq!(without.expect("the program").status.code(), Some(i32::from(EXIT_SURROUNDINGS)));
}

#[test]
fn drifts_help_teaches() {
    let output = program(&["drift", "--help"]).output().expect("the program");
    let said = String::from_utf8(output.stdout).expect("text");
    for words in [
        "terraform show -json plan.bin",
        "COALMINE_TERRAFORM",
        "COALMINE_SERVICES",
        "--imports",
        "  10  something differs",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn completion_scripts_know_every_command_and_its_flags() {
    let commands = [
        "run",
        "health",
        "approve",
        "reject",
        "drift",
        "rollback",
        "status",
        "history",
        "releases",
        "explain",
        "diff",
        "verify",
        "doctor",
        "completions",
    ];
    // Of `rollback`, without the dashes, which not every shell's script writes.
    let flags = ["services", "group", "dry-run", "stop-pipelines", "partial"];
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = program(&["completions", shell]).output().expect("the program");
        assert_eq!(output.status.code(), Some(i32::from(EXIT_OK)), "{shell}: {output:?}");
        let script = String::from_utf8(output.stdout).expect("text");
        for word in commands.iter().chain(&flags) {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
}
