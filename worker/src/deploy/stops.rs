//! Why a task stopped, and whether that lies in the release.

use crate::deploy::view::{Container, Task};

/// Where the reason for a task's end lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blame {
    /// In the release: the same `reason` on enough tasks makes the deployment ill.
    Release(Fault),
    /// Elsewhere: Spot, capacity, throttling, a person, the scheduler. Never a verdict.
    Elsewhere,
}

/// A reason that lies in the release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Equal for tasks that failed alike; without ids and dates.
    pub reason: String,
    /// The container to look at.
    pub container: String,
    /// Its exit code.
    pub exit_code: Option<i32>,
}

/// Texts of `stoppedReason` that speak of the surroundings, not of the release.
const SURROUNDINGS: [&str; 12] = [
    "toomanyrequests",
    "too many requests",
    "rate exceeded",
    "pull rate limit",
    "throttl",
    "i/o timeout",
    "timed out",
    "tls handshake timeout",
    "connection reset",
    "capacity is unavailable",
    "unable to place",
    "network interface",
];

/// Judges one stopped task by its `stopCode` (`TaskStopCode`) and texts.
#[must_use]
pub fn blame(task: &Task) -> Blame {
    match task.stop_code.as_str() {
        // On its way down a task may not know its exit code yet; then it waits for it.
        "EssentialContainerExited" if !task.has_stopped() && !task.containers.iter().any(has_code) => Blame::Elsewhere,
        "EssentialContainerExited" => Blame::Release(exited(task)),
        "TaskFailedToStart" => failed_to_start(task),
        // The scheduler stops tasks for its own reasons, but also those that failed their health checks.
        "ServiceSchedulerInitiated" | "" if speaks_of_health(&task.stopped_reason) => Blame::Release(Fault {
            reason: without_ids(&task.stopped_reason),
            container: first_container(task),
            exit_code: None,
        }),
        _ => Blame::Elsewhere,
    }
}

fn has_code(container: &Container) -> bool {
    container.exit_code.is_some()
}

fn speaks_of_health(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    reason.contains("health check") || reason.contains("unhealthy")
}

/// The container that ended the task: the first with an exit code that is not 0, else the first that ended.
fn exited(task: &Task) -> Fault {
    let ended = |container: &&Container| container.exit_code.is_some();
    let failed = |container: &&Container| container.exit_code.is_some_and(|code| code != 0);
    // A neighbour that ECS kills with the task ends with 137 or 143, too: the culprit is the one with another code.
    let killed = |container: &&Container| {
        failed(container) && (!matches!(container.exit_code, Some(137 | 143)) || !container.reason.is_empty())
    };
    let containers = &task.containers;
    let culprit = containers
        .iter()
        .find(killed)
        .or_else(|| containers.iter().find(failed))
        .or_else(|| containers.iter().find(ended));
    match culprit {
        Some(container) => {
            let code =
                container.exit_code.map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"));
            let reason = if container.reason.is_empty() {
                String::new()
            } else {
                format!(" ({})", without_ids(&container.reason))
            };
            Fault {
                reason: format!("container {} ended with {code}{reason}", container.name),
                container: container.name.clone(),
                exit_code: container.exit_code,
            }
        }
        None => Fault { reason: without_ids(&task.stopped_reason), container: first_container(task), exit_code: None },
    }
}

fn failed_to_start(task: &Task) -> Blame {
    let container = task.containers.iter().find(|container| !container.reason.is_empty());
    let text = match container {
        Some(container) if task.stopped_reason.is_empty() => &container.reason,
        _ => &task.stopped_reason,
    };
    let lower = text.to_lowercase();
    let lies_in_release = [
        "cannotpull",
        "resourceinitializationerror",
        "cannotstartcontainer",
        "cannotcreatecontainer",
        "exec format",
        "essential container",
    ]
    .iter()
    .any(|sign| lower.contains(sign));
    if !lies_in_release || SURROUNDINGS.iter().any(|sign| lower.contains(sign)) {
        return Blame::Elsewhere;
    }
    let name = container.map_or_else(|| first_container(task), |container| container.name.clone());
    Blame::Release(Fault { reason: without_ids(text), container: name, exit_code: None })
}

fn first_container(task: &Task) -> String {
    task.containers.first().map(|container| container.name.clone()).unwrap_or_default()
}

/// A reason text without what differs from task to task: parenthesised ids and addresses, long hex words.
fn without_ids(reason: &str) -> String {
    let words = reason.split_whitespace().filter(|word| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        !(bare.len() >= 12 && bare.chars().all(|c| c.is_ascii_hexdigit()))
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(stop_code: &str, stopped_reason: &str, containers: &[(&str, Option<i32>, &str)]) -> Task {
        Task {
            id: "t".into(),
            started_by: "ecs-svc/1".into(),
            created: None,
            revision: "app:1".parse().unwrap(),
            last_status: "STOPPED".into(),
            health: "UNKNOWN".into(),
            stop_code: stop_code.into(),
            stopped_reason: stopped_reason.into(),
            containers: containers
                .iter()
                .map(|(name, exit_code, reason)| Container {
                    name: (*name).into(),
                    digest: None,
                    exit_code: *exit_code,
                    reason: (*reason).into(),
                })
                .collect(),
        }
    }

    fn reason(task: &Task) -> Option<String> {
        match blame(task) {
            Blame::Release(fault) => Some(fault.reason),
            Blame::Elsewhere => None,
        }
    }

    #[test]
    fn what_lies_in_the_release_is_blamed_and_the_rest_is_not() {
        /// Stop code, stopped reason, containers, expected reason.
        type Row =
            (&'static str, &'static str, &'static [(&'static str, Option<i32>, &'static str)], Option<&'static str>);
        let table: [Row; 14] = [
            (
                "EssentialContainerExited",
                "Essential container in task exited",
                &[("app", Some(1), "")],
                Some("container app ended with exit code 1"),
            ),
            (
                "EssentialContainerExited",
                "Essential container in task exited",
                &[("log", Some(143), ""), ("app", Some(3), "")],
                Some("container app ended with exit code 3"),
            ),
            (
                "EssentialContainerExited",
                "",
                &[("log", Some(137), ""), ("app", Some(137), "OutOfMemoryError: Container killed due to memory usage")],
                Some("container app ended with exit code 137 (OutOfMemoryError: Container killed due to memory usage)"),
            ),
            ("EssentialContainerExited", "", &[("app", Some(0), "")], Some("container app ended with exit code 0")),
            (
                "TaskFailedToStart",
                "CannotPullContainerError: manifest unknown",
                &[],
                Some("CannotPullContainerError: manifest unknown"),
            ),
            ("TaskFailedToStart", "CannotPullContainerError: toomanyrequests: Rate exceeded", &[], None),
            (
                "TaskFailedToStart",
                "ResourceInitializationError: unable to pull secrets: AccessDeniedException",
                &[],
                Some("ResourceInitializationError: unable to pull secrets: AccessDeniedException"),
            ),
            ("TaskFailedToStart", "Capacity is unavailable at this time. Please try again later", &[], None),
            ("TaskFailedToStart", "Timeout waiting for network interface provisioning to complete.", &[], None),
            (
                "ServiceSchedulerInitiated",
                "Scaling activity initiated by (deployment ecs-svc/1)",
                &[("app", Some(0), "")],
                None,
            ),
            (
                "ServiceSchedulerInitiated",
                "Task failed ELB health checks in (target-group tg)",
                &[("app", None, "")],
                Some("Task failed ELB health checks in (target-group tg)"),
            ),
            ("SpotInterruption", "Your Spot Task was interrupted.", &[("app", Some(143), "")], None),
            ("UserInitiated", "stopped by ops", &[("app", Some(137), "")], None),
            ("InfrastructureHealth", "host retired", &[("app", Some(137), "")], None),
        ];
        for (code, text, containers, expected) in table {
            assert_eq!(reason(&task(code, text, containers)).as_deref(), expected, "{code} {text}");
        }
    }

    #[test]
    fn a_task_on_its_way_down_is_blamed_once_its_reason_is_complete() {
        let on_its_way = |task: Task| Task { last_status: "STOPPING".into(), ..task };
        let unhealthy = task("ServiceSchedulerInitiated", "Task failed container health checks", &[("app", None, "")]);
        assert!(reason(&on_its_way(unhealthy)).is_some());
        let exited = |code| on_its_way(task("EssentialContainerExited", "", &[("app", code, "")]));
        assert_eq!(reason(&exited(None)), None);
        assert_eq!(reason(&exited(Some(3))).as_deref(), Some("container app ended with exit code 3"));
    }

    #[test]
    fn a_reason_is_equal_for_tasks_that_failed_alike() {
        let reason = |id: &str| {
            reason(&task("TaskFailedToStart", &format!("CannotPullContainerError: task {id} not found"), &[]))
        };
        assert_eq!(reason("0123456789abcdef0123456789abcdef"), reason("fedcba9876543210fedcba9876543210"));
    }
}
