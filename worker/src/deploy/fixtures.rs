//! Small worlds for the tests of the decisions.

use std::collections::BTreeMap;

use crate::deploy::batch::Percents;
use crate::deploy::rollback::course::Course;
use crate::deploy::view::Time;
use crate::deploy::view::{Alarm, Container, Deployment, Rollout, Service, Task};

/// A date, in epoch seconds.
pub(crate) fn at(seconds: i64) -> Time {
    Time::from_timestamp(seconds, 0).unwrap_or_default()
}

/// A healthy rolling service whose tasks all run `revision`.
pub(crate) fn service(name: &str, desired: u32, revision: &str) -> Service {
    let revision: crate::deploy::revision::Revision = revision.parse().unwrap();
    Service {
        cluster: "main".into(),
        name: name.into(),
        arn: format!("arn:aws:ecs:eu-central-1:123456789012:service/main/{name}"),
        status: "ACTIVE".into(),
        controller: "ECS".into(),
        strategy: "ROLLING".into(),
        scheduling: "REPLICA".into(),
        desired,
        running: desired,
        pending: 0,
        revision: revision.clone(),
        rollouts: vec![rollout("PRIMARY", "COMPLETED", &revision.to_string(), desired)],
        current_deployment: None,
        percents: Percents { minimum: 100, maximum: 200 },
        configuration: serde_json::json!({"minimumHealthyPercent": 100, "maximumPercent": 200}),
        rebalancing: false,
        target_groups: Vec::new(),
        events: Vec::new(),
        constraints: Vec::new(),
    }
}

/// One rollout with all its tasks running.
pub(crate) fn rollout(status: &str, state: &str, revision: &str, running: u32) -> Rollout {
    Rollout {
        id: format!("ecs-svc/{revision}"),
        status: status.into(),
        state: state.into(),
        reason: String::new(),
        revision: revision.parse().unwrap(),
        created: None,
        desired: running,
        running,
        pending: 0,
        failed: 0,
    }
}

/// Our deployment, created at second 0.
pub(crate) fn deployment(status: &str) -> Deployment {
    Deployment {
        arn: "arn:aws:ecs:eu-central-1:123456789012:service-deployment/main/app/ours".into(),
        status: status.into(),
        reason: String::new(),
        target: "arn:aws:ecs:eu-central-1:123456789012:service-revision/main/app/1".into(),
        rollback_reason: None,
        breaker_triggered: false,
        alarms_triggered: Vec::new(),
        created: Some(at(0)),
        finished: None,
    }
}

/// A stopped task of one container, `app`.
pub(crate) fn stopped(revision: &str, stop_code: &str, exit_code: i32) -> Task {
    Task {
        id: "0123456789abcdef0123456789abcdef".into(),
        started_by: format!("ecs-svc/{revision}"),
        created: Some(at(1)),
        revision: revision.parse().unwrap(),
        last_status: "STOPPED".into(),
        health: "UNKNOWN".into(),
        stop_code: stop_code.into(),
        stopped_reason: String::new(),
        containers: vec![Container {
            name: "app".into(),
            digest: None,
            exit_code: Some(exit_code),
            reason: String::new(),
        }],
    }
}

/// An alarm without dimensions.
pub(crate) fn alarm(name: &str, state: &str) -> Alarm {
    Alarm { name: name.into(), state: state.into(), reason: String::new(), dimensions: Vec::new() }
}

/// The course of a service from `app:3` back to `app:2`.
pub(crate) fn course(service: &str) -> Course {
    Course {
        cluster: "main".into(),
        service: service.into(),
        canary_of: None,
        canary: None,
        from: "app:3".parse().unwrap(),
        left: None,
        left_digests: BTreeMap::new(),
        to: "app:2".parse().unwrap(),
        release: None,
        images: Vec::new(),
        own: Percents { minimum: 100, maximum: 200 },
        surge: None,
    }
}
