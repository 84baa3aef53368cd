//! The account's side of a janitor: the policies that Terraform renders for it, and where it remembers.

use coalmine_door::store::Location;
use simulator::World;
use simulator::permissions::Policy;

/// The policies of the two roles, as terraform/modules/janitor renders them for the stories' account.
pub(crate) const SCAN: &str = include_str!("../../terraform/policies/janitor-scan.json");
pub(crate) const SWEEP: &str = include_str!("../../terraform/policies/janitor-sweep.json");

/// Where the module puts the state, beside the worker's ledger.
pub(crate) const BUCKET: &str = "coalmine-worker-ledger-123456789012-eu-central-1";
/// Where in it a janitor remembers.
pub(crate) const MEMORY: &str = "janitor/janitor/123456789012-eu-central-1.json.gz";
/// What encrypts both.
const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000";

/// What a repository carries before anything of it may be deleted.
pub(crate) const TAG: (&str, &str) = ("coalmine:janitor", "sweep");

/// What the role that sweeps may do.
pub(crate) fn of_sweeps() -> Policy {
    Policy::parse(SWEEP).expect("a policy")
}

/// Where all janitors of a story remember.
pub(crate) fn state() -> Location {
    Location::S3 { bucket: BUCKET.into(), prefix: "janitor".into() }
}

/// Puts the bucket of the state into a world.
pub(crate) fn create_state(world: &mut World) {
    world.s3.create_bucket(BUCKET, world.now);
    world.s3.encrypt(BUCKET, KEY);
}
