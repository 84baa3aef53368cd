//! ACTIVE task definitions: which of them are roots of their own is decided later, from all of a family.

use coalmine_door::AwsError;

use super::{Found, From};

pub(super) async fn read(from: From<'_>) -> Result<Found, AwsError> {
    Ok(Found { active: from.place.active_definitions().await?, uses: Vec::new() })
}
