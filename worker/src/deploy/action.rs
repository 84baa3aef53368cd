//! What a job asks for: one shape for both actions.

use std::collections::BTreeMap;
use std::time::Duration;

use coalmine_pipeline::action_type::{CANARY, FULL};
use coalmine_pipeline::{ActionType, CanaryConfig, Capacity, FullConfig, Home, Options, Problems, Share};

use crate::deploy::decision::{Role, Terms};
use crate::deploy::view::Service;

/// A job's configuration, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Which action it is.
    pub role: Role,
    /// The cluster's name.
    pub cluster: String,
    /// The service that is deployed to.
    pub service: String,
    /// The other one of the pair.
    pub partner: String,
    /// The account and region that the configured ARNs name.
    pub home: Option<Home>,
    /// The family that holds Terraform's task definition.
    pub template: Option<String>,
    /// The alarms to watch.
    pub alarms: Vec<String>,
    /// The rare knobs.
    pub options: Options,
    /// How long the deployed tasks are watched.
    pub bake: Duration,
    /// When the action gives up, counted from its begin.
    pub deadline: Duration,
    /// How many tasks a canary has.
    capacity: Option<Capacity>,
    /// How many tasks of a full service are replaced at a time.
    batch: Option<Share>,
}

impl Action {
    /// Understands a job's configuration.
    ///
    /// # Errors
    /// All problems at once, each with its property.
    pub fn parse(action_type: &ActionType, configuration: &BTreeMap<String, String>) -> Result<Option<Self>, Problems> {
        if action_type.provider == CANARY.provider {
            CanaryConfig::parse(configuration).map(|config| Some(Self::canary(config)))
        } else if action_type.provider == FULL.provider {
            FullConfig::parse(configuration).map(|config| Some(Self::full(config)))
        } else {
            Ok(None)
        }
    }

    /// The services alone, of a turnover whose configuration cannot be used as a whole: enough to give its canary back.
    #[must_use]
    pub fn services_alone(action_type: &ActionType, configuration: &BTreeMap<String, String>) -> Option<Self> {
        const SERVICES: [&str; 4] = ["Pool", "Cluster", "Service", "CanaryService"];
        let mut kept = configuration.clone();
        kept.retain(|property, _| SERVICES.contains(&property.as_str()));
        Self::parse(action_type, &kept).ok().flatten().filter(|action| action.role == Role::Full)
    }

    /// A canary that only has to be returned.
    #[must_use]
    pub fn returning(cluster: &str, canary: &str, full: &str) -> Option<Self> {
        let values = [("Pool", "watch"), ("Cluster", cluster), ("Service", canary), ("FullService", full)];
        let configuration = values.map(|(property, value)| (property.to_owned(), value.to_owned())).into();
        Self::parse(&CANARY, &configuration).ok().flatten()
    }

    fn canary(config: CanaryConfig) -> Self {
        Self {
            role: Role::Canary,
            deadline: config.deadline(),
            cluster: config.cluster,
            service: config.service,
            partner: config.full_service,
            home: config.home,
            template: config.template_family,
            alarms: config.alarms,
            options: config.options,
            bake: config.bake,
            capacity: Some(config.capacity),
            batch: None,
        }
    }

    fn full(config: FullConfig) -> Self {
        Self {
            role: Role::Full,
            deadline: config.deadline(),
            cluster: config.cluster,
            service: config.service,
            partner: config.canary_service,
            home: config.home,
            template: config.template_family,
            alarms: config.alarms,
            options: config.options,
            bake: config.bake,
            capacity: None,
            batch: Some(config.batch),
        }
    }

    /// The terms of its rollout. A canary's share counts from what it had before this action, so that a repeated turn
    /// comes to the same number.
    #[must_use]
    pub fn terms(&self, former_desired: u32, partner: &Service) -> Terms {
        Terms {
            role: self.role,
            batch: self.batch,
            surge: self.options.surge,
            desired: self.capacity.map(|capacity| capacity.tasks(former_desired, partner.desired)),
            bake: self.bake,
            deadline: self.deadline,
            patient: false,
        }
    }
}
