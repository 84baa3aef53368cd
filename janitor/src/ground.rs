//! What a run stands on: the registry, every place in which references are read, the memory, all from one door.

use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_types::SdkConfig;
use coalmine_door::AwsError;
use coalmine_door::clock::{Clock, Time};
use coalmine_door::store::{Location, Store};
use coalmine_pipeline::Home;

use crate::aws::calls::{Calls, Counts};
use crate::aws::place::Place;
use crate::aws::sts;
use crate::plan::{CLOCKS_DIFFER, clocks_agree};
use crate::policy::{Policy, Reader};
use crate::sources::{KeepListAt, Ledger};
use crate::state::STATE_BYTES_MAX;

/// The largest object of the worker's ledger that is read: what the worker itself writes at most.
const LEDGER_BYTES_MAX: usize = 1 << 20;

/// Everything that a run needs from outside.
#[derive(Debug)]
pub struct Ground {
    /// The date and how to wait.
    pub clock: Clock,
    /// Whether AWS has told its date, and the clock agrees with it.
    pub is_dated: bool,
    /// The registry that is cleaned.
    pub registry: Place,
    /// Every place in which references are read, the registry's own first.
    pub places: Vec<Place>,
    /// Where the memory is.
    pub store: Store,
    /// The worker's ledger.
    pub ledger: Option<Ledger>,
    /// The policy's keep-lists.
    pub keep_lists: Vec<KeepListAt>,
    /// How many calls were made.
    pub counts: Counts,
}

/// Why a run cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// There is no Region.
    #[error("no AWS Region is configured: set AWS_REGION, or a region in the AWS profile")]
    NoRegion,
    /// There are no credentials, or they are no good.
    #[error("cannot tell whose registry this is: {0}; check the AWS credentials")]
    Identity(AwsError),
    /// A reader would read the janitor's own account.
    #[error(
        "the policy's reader of account {0} has no role, and the janitor's own account is {1}: give it the `role` of account \
         {0} that it reads with"
    )]
    NoRole(String, String),
    /// A reader's role is of another account than the reader's.
    #[error(
        "the policy's reader of account {reader} in {region} has the role {role}, which is of account {account}: give it the \
         `role` of account {reader} that it reads with"
    )]
    OtherAccount {
        /// The account that is to be read.
        reader: String,
        /// Where.
        region: String,
        /// The role.
        role: String,
        /// The account that would be read.
        account: String,
    },
    /// A reader's role cannot be assumed, or AWS does not tell whose it is.
    #[error(
        "cannot tell which account the policy's reader of account {reader} in {region} reads: {problem}; check that the \
         janitor's role has sts:AssumeRole on {role}, and that this role trusts it, with the reader's `external_id` if it \
         asks for one"
    )]
    Reader {
        /// The account that is to be read.
        reader: String,
        /// Where.
        region: String,
        /// The role.
        role: String,
        /// What AWS said.
        problem: AwsError,
    },
    /// The clock is off.
    #[error(
        "this machine's clock says {}, AWS's {}: images are judged by their age, so nothing is done by a clock that is more than {} minutes off; correct this machine's clock",
        shown(.ours), shown(.aws), CLOCKS_DIFFER.num_minutes()
    )]
    Clock {
        /// What the machine's clock says.
        ours: Time,
        /// What AWS says.
        aws: Time,
    },
    /// The policy's ledger is not one.
    #[error("the policy's ledger: {0}")]
    Ledger(String),
    /// A keep-list of the policy's is nowhere.
    #[error("the policy's keep-list {0}")]
    KeepList(String),
}

impl Ground {
    /// Stands on a door. Reading is over after `budget`.
    ///
    /// # Errors
    /// When there is no Region, AWS does not tell the account, the clock is off, or a reader of the policy's would read
    /// another account than it names.
    pub async fn open(
        door: &SdkConfig,
        policy: &Policy,
        state: &Location,
        budget: Duration,
    ) -> Result<Self, GroundError> {
        let door = coalmine_door::limited(door);
        let region = door.region().map(ToString::to_string).filter(|region| !region.is_empty());
        let region = region.ok_or(GroundError::NoRegion)?;
        let ledger: Option<Location> =
            policy.ledger.as_deref().map(str::parse).transpose().map_err(GroundError::Ledger)?;
        let keep_lists = policy.keep_lists.iter().map(|list| KeepListAt::find(list, &door));
        let keep_lists = keep_lists.collect::<Result<_, _>>().map_err(GroundError::KeepList)?;
        let clock = Clock::of(&door);
        let identity = sts::identity(&door).await.map_err(GroundError::Identity)?;
        let ours = clock.now();
        if let Some(aws) = identity.date.filter(|aws| !clocks_agree(ours, *aws)) {
            return Err(GroundError::Clock { ours, aws });
        }
        let own = Home { account: identity.account, region };
        let counts = Counts::default();
        let until = clock.now() + budget;
        let mut places = Vec::new();
        for home in policy.homes(&own) {
            let door = if home == own { door.clone() } else { door_to(&home, &own, policy, &door).await? };
            let calls = Calls::new(&clock, policy.run.rate_percent, Some(until), &counts);
            places.push(Place::new(&door, home, calls));
        }
        let calls = Calls::new(&clock, policy.run.rate_percent, Some(until), &counts);
        let registry = places.first().cloned().unwrap_or_else(|| Place::new(&door, own, calls));
        Ok(Self {
            registry,
            places,
            store: Store::open(state, &door, STATE_BYTES_MAX),
            ledger: ledger.map(|location| Ledger::new(Store::open(&location, &door, LEDGER_BYTES_MAX))),
            keep_lists,
            counts,
            clock,
            is_dated: identity.date.is_some(),
        })
    }
}

/// The door to a place of a reader's.
///
/// ECS's, Lambda's and most other lists name no account: whose credentials ask, his account answers. So a place counts as
/// read only where STS has said that the credentials are its account's.
async fn door_to(home: &Home, own: &Home, policy: &Policy, door: &SdkConfig) -> Result<SdkConfig, GroundError> {
    let reader = policy.reader(home);
    let Some((reader, role)) = reader.and_then(|reader| Some((reader, reader.role.as_deref()?))) else {
        let is_own = home.account == own.account;
        return is_own
            .then(|| door.clone())
            .ok_or_else(|| GroundError::NoRole(home.account.clone(), own.account.clone()));
    };
    let door = assume(door, reader, role).await;
    let (reader, region, role) = (home.account.clone(), home.region.clone(), role.to_owned());
    match sts::identity(&door).await.map(|identity| identity.account) {
        Ok(account) if account == reader => Ok(door),
        Ok(account) => Err(GroundError::OtherAccount { reader, region, role, account }),
        Err(problem) => Err(GroundError::Reader { reader, region, role, problem }),
    }
}

fn shown(at: &Time) -> impl std::fmt::Display {
    at.format("%Y-%m-%d %H:%M:%S UTC")
}

/// The door with a reader's role.
async fn assume(door: &SdkConfig, reader: &Reader, role: &str) -> SdkConfig {
    let mut provider = AssumeRoleProvider::builder(role).session_name("coalmine-janitor").configure(door);
    if let Some(id) = &reader.external_id {
        provider = provider.external_id(id);
    }
    let provider = match door.credentials_provider() {
        Some(own) => provider.build_from_provider(own).await,
        None => provider.build().await,
    };
    let provider = aws_credential_types::provider::SharedCredentialsProvider::new(provider);
    door.to_builder().credentials_provider(provider).build()
}
