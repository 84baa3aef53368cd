//! What every turn works with: the adapters, made once from the one door to the world.

use std::time::Duration;

use aws_types::SdkConfig;

use crate::aws::cloudwatch::Alarms;
use crate::aws::codepipeline::CodePipeline;
use crate::aws::ecr::Registries;
use crate::aws::ecs::Ecs;
use crate::aws::logs::Logs;
use crate::aws::observer::Observer;
use crate::aws::{self};
use crate::clock::Clock;

/// The adapters and the clock of one worker.
#[derive(Debug)]
pub struct Tools {
    /// The door itself, for clients with other credentials.
    pub door: SdkConfig,
    /// The date and how to wait.
    pub clock: Clock,
    /// Jobs and their results.
    pub codepipeline: CodePipeline,
    /// Services and task definitions.
    pub ecs: Ecs,
    /// What image references name.
    pub registries: Registries,
    /// Log tails.
    pub logs: Logs,
    /// The shared observer.
    pub observer: Observer,
    /// How long a turn holds its job before it hands it back.
    pub linger: Duration,
}

impl Tools {
    /// Makes all adapters.
    #[must_use]
    pub fn new(door: &SdkConfig, linger: Duration) -> Self {
        let door = aws::limited(door);
        let clock = Clock::of(&door);
        let ecs = Ecs::new(aws_sdk_ecs::Client::new(&door));
        let alarms = Alarms::new(aws_sdk_cloudwatch::Client::new(&door));
        Self {
            codepipeline: CodePipeline::new(aws_sdk_codepipeline::Client::new(&door)),
            registries: Registries::new(&door),
            logs: Logs::new(aws_sdk_cloudwatchlogs::Client::new(&door)),
            observer: Observer::new(ecs.clone(), alarms, clock.clone()),
            ecs,
            clock,
            door,
            linger,
        }
    }
}
