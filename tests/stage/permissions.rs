//! What the workers of the stories may do: what Terraform grants them, and nothing else.

use std::sync::LazyLock;

use coalmine_door::store::Location;
use simulator::World;
use simulator::permissions::Policy;

/// The policy of the workers' role, as terraform/modules/worker renders it for the stories' account.
const DOCUMENT: &str = include_str!("../../terraform/policies/worker.json");

/// Where the ledger is, as the module names it and as the stories do; and the key that encrypts it.
const NAMED: (&str, &str) = ("coalmine-worker-ledger-123456789012-eu-central-1", "worker");
const HERE: (&str, &str) = ("ledger", "coalmine");
const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000";

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let objects = |(bucket, prefix): (&str, &str)| format!("{bucket}/{prefix}/");
    let prefix = |(_, prefix): (&str, &str)| format!("\"{prefix}/*\"");
    let document = DOCUMENT.replace(&objects(NAMED), &objects(HERE)).replace(&prefix(NAMED), &prefix(HERE));
    Policy::parse(&document.replace(NAMED.0, HERE.0)).expect("a policy")
});

/// The policy of the workers' role.
pub(crate) fn of_workers() -> Policy {
    POLICY.clone()
}

/// The ledger that all workers of a story share.
pub(crate) fn ledger() -> Location {
    Location::S3 { bucket: HERE.0.into(), prefix: HERE.1.into() }
}

/// Puts the ledger's bucket into a world.
pub(crate) fn create_ledger(world: &mut World) {
    world.s3.create_bucket(HERE.0, world.now);
    world.s3.encrypt(HERE.0, KEY);
}

/// What an object of the ledger says, of the stories' or of the one in the account that Terraform makes.
pub(crate) fn in_ledger<'a>(world: &'a World, key: &str) -> Option<&'a [u8]> {
    let found = [HERE, NAMED].into_iter().find_map(|(bucket, prefix)| world.s3.get(bucket, &format!("{prefix}/{key}")));
    found.map(|object| &object.body[..])
}
