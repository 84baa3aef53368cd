//! An account and Region, and the clients for it.

use std::time::Duration;

use aws_types::SdkConfig;
use aws_types::region::Region;
use coalmine_door::clock::Time;
use coalmine_pipeline::Home;

use super::calls::Calls;

/// Where something is read, and how.
#[derive(Clone, Debug)]
pub struct Place {
    /// The account and Region.
    pub home: Home,
    /// How calls are made there.
    pub calls: Calls,
    pub(super) ecr: aws_sdk_ecr::Client,
    pub(super) ecs: aws_sdk_ecs::Client,
    pub(super) lambda: aws_sdk_lambda::Client,
    pub(super) codebuild: aws_sdk_codebuild::Client,
    pub(super) events: aws_sdk_eventbridge::Client,
    pub(super) scheduler: aws_sdk_scheduler::Client,
}

impl Place {
    /// A place behind a door whose credentials are the account's.
    #[must_use]
    pub fn new(door: &SdkConfig, home: Home, calls: Calls) -> Self {
        let door = door.to_builder().region(Region::new(home.region.clone())).build();
        Self {
            ecr: aws_sdk_ecr::Client::new(&door),
            ecs: aws_sdk_ecs::Client::new(&door),
            lambda: aws_sdk_lambda::Client::new(&door),
            codebuild: aws_sdk_codebuild::Client::new(&door),
            events: aws_sdk_eventbridge::Client::new(&door),
            scheduler: aws_sdk_scheduler::Client::new(&door),
            home,
            calls,
        }
    }

    /// The same place with another end of time; none for calls that must not stop halfway.
    #[must_use]
    pub fn with_end(&self, until: Option<Time>) -> Self {
        Self { calls: self.calls.with_end(until), ..self.clone() }
    }

    /// The same place with so much more time.
    #[must_use]
    pub fn later(&self, by: Duration) -> Self {
        Self { calls: self.calls.later(by), ..self.clone() }
    }
}
