//! The configuration of `Coalmine-Full`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::Reader;
use super::services::Services;
use super::{Problems, check_bake, deadline};
use crate::action_type::{
    ALARMS, BATCH, CANARY_SERVICE_OF_FULL, FULL, FULL_BAKE_TIME, FULL_SERVICE, FULL_TEMPLATE_FAMILY, POOL,
};
use crate::capacity::Share;
use crate::duration;
use crate::names::Home;
use crate::options::Options;

/// What a turnover is given, unless `deadline=` says otherwise: 3 hours.
const DEADLINE: Duration = Duration::from_secs(3 * 3_600);

/// What a `Coalmine-Full` action was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullConfig {
    /// The pool of workers, 1–20 characters.
    pub pool: String,
    /// The cluster's name.
    pub cluster: String,
    /// The full service's name.
    pub service: String,
    /// The canary service's name, never the same.
    pub canary_service: String,
    /// The family that Terraform owns the template in. `None`: the revision that the service runs is the template.
    pub template_family: Option<String>,
    /// The share of the tasks that may be missing at a time. Default: 10 %.
    pub batch: Share,
    /// How long the service has to stay well after its last batch, less than [`deadline`](Self::deadline). Default:
    /// 2 min.
    pub bake: Duration,
    /// Names of alarms, at most 100, each once, in the order in which they were written.
    pub alarms: Vec<String>,
    /// The rare knobs.
    pub options: Options,
    /// The account and Region, where ARNs named them.
    pub home: Option<Home>,
}

impl FullConfig {
    /// Reads a job's `actionConfiguration.configuration`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, at once: unknown, missing, empty, bad and contradicting values, and what this
    /// version cannot do.
    pub fn parse(values: &BTreeMap<String, String>) -> Result<Self, Problems> {
        let mut reader = Reader::new(&FULL, values);
        let pool = reader.pool(&POOL);
        let services = Services::read(&mut reader, &FULL_SERVICE, &CANARY_SERVICE_OF_FULL);
        let template_family = reader.family(&FULL_TEMPLATE_FAMILY);
        let batch = reader.read(&BATCH, Share::parse);
        let bake = reader.read(&FULL_BAKE_TIME, duration::parse);
        let alarms = reader.alarms(&ALARMS);
        let options = reader.options();
        if let Some(bake) = bake {
            reader.note(FULL_BAKE_TIME.name, check_bake(bake, deadline(options.deadline, DEADLINE)));
        }
        let config = pool.zip(services).zip(batch).zip(bake).map(|(((pool, services), batch), bake)| Self {
            pool,
            cluster: services.cluster,
            service: services.service,
            canary_service: services.other,
            template_family,
            batch,
            bake,
            alarms,
            options,
            home: services.home,
        });
        reader.finish(config)
    }

    /// How long the action may take from its start before it gives up: `deadline=`, or 3 h.
    pub fn deadline(&self) -> Duration {
        deadline(self.options.deadline, DEADLINE)
    }
}
