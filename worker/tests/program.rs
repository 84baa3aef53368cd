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
