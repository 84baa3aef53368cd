//! The configuration of `Coalmine-Canary`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::Reader;
use super::services::Services;
use super::{Problems, check_bake, deadline};
use crate::action_type::{
    ALARMS, CANARY, CANARY_BAKE_TIME, CANARY_SERVICE, CANARY_TEMPLATE_FAMILY, CAPACITY, FULL_SERVICE_OF_CANARY, POOL,
};
use crate::capacity::Capacity;
use crate::duration;
use crate::names::Home;
use crate::options::Options;

/// What a canary is given besides its bake time, unless `deadline=` says otherwise: 60 minutes.
const DEADLINE_WITHOUT_BAKE: Duration = Duration::from_secs(3_600);

/// What a `Coalmine-Canary` action was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryConfig {
    /// The pool of workers, 1–20 characters.
    pub pool: String,
    /// The cluster's name.
    pub cluster: String,
    /// The canary service's name.
    pub service: String,
    /// The full service's name, never the same.
    pub full_service: String,
    /// How large the canary is. Default: 1 task.
    pub capacity: Capacity,
    /// How long the canary has to stay well, less than [`deadline`](Self::deadline). Default: 5 min.
    pub bake: Duration,
    /// Names of alarms, at most 100, each once, in the order in which they were written.
    pub alarms: Vec<String>,
    /// The family that Terraform owns the template in. `None`: the revision that the service runs is the template.
    pub template_family: Option<String>,
    /// The rare knobs.
    pub options: Options,
    /// The account and Region, where ARNs named them.
    pub home: Option<Home>,
}

impl CanaryConfig {
    /// Reads a job's `actionConfiguration.configuration`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, at once: unknown, missing, empty, bad and contradicting values, and what this
    /// version cannot do.
    pub fn parse(values: &BTreeMap<String, String>) -> Result<Self, Problems> {
        let mut reader = Reader::new(&CANARY, values);
        let pool = reader.pool(&POOL);
        let services = Services::read(&mut reader, &CANARY_SERVICE, &FULL_SERVICE_OF_CANARY);
        let capacity = reader.read(&CAPACITY, Capacity::parse);
        let bake = reader.read(&CANARY_BAKE_TIME, duration::parse);
        let alarms = reader.alarms(&ALARMS);
        let template_family = reader.family(&CANARY_TEMPLATE_FAMILY);
        let options = reader.options();
        if let Some(bake) = bake {
            let deadline = canary_deadline(&options, bake);
            reader.note(CANARY_BAKE_TIME.name, check_bake(bake, deadline));
        }
        let config = pool.zip(services).zip(capacity).zip(bake).map(|(((pool, services), capacity), bake)| Self {
            pool,
            cluster: services.cluster,
            service: services.service,
            full_service: services.other,
            capacity,
            bake,
            alarms,
            template_family,
            options,
            home: services.home,
        });
        reader.finish(config)
    }

    /// How long the action may take from its start before it gives up: `deadline=`, or 60 min + bake, at most 23 h.
    pub fn deadline(&self) -> Duration {
        canary_deadline(&self.options, self.bake)
    }
}

fn canary_deadline(options: &Options, bake: Duration) -> Duration {
    deadline(options.deadline, DEADLINE_WITHOUT_BAKE.saturating_add(bake))
}
