//! The worker's ledger: the releases that a rollback may return to.

use coalmine_door::store::Store;
use serde::Deserialize;

use crate::in_use::{Reach, Source, SourceReport, Step, Use, Used};
use crate::policy::Policy;

/// Where the worker notes releases.
const RELEASES: &str = "releases/";

/// A release, as far as it matters here: whatever else stands there is the worker's.
#[derive(Debug, Deserialize)]
struct Release {
    images: Vec<String>,
}

/// Reads every release; `None` where the policy names no ledger.
pub async fn read(ledger: Option<&Store>, policy: &Policy) -> Option<(SourceReport, Vec<Use>)> {
    let report = |reach| SourceReport { source: Source::Ledger, home: None, reach };
    let ledger = ledger?;
    if !policy.reads(Source::Ledger) {
        return Some((report(Reach::Off), Vec::new()));
    }
    match releases(ledger).await {
        Ok(uses) => Some((report(Reach::Complete), uses)),
        Err(why) => Some((report(Reach::Incomplete { why }), Vec::new())),
    }
}

async fn releases(ledger: &Store) -> Result<Vec<Use>, String> {
    let mut uses = Vec::new();
    for key in ledger.list(RELEASES).await.map_err(|problem| problem.to_string())? {
        let stored = ledger.get(&key).await.map_err(|problem| problem.to_string())?;
        // Gone since it was listed.
        let Some(stored) = stored else { continue };
        let release: Release =
            serde_json::from_slice(&stored.body).map_err(|problem| format!("{key} cannot be understood: {problem}"))?;
        let name = key.trim_start_matches(RELEASES).trim_end_matches(".json");
        uses.extend(release.images.into_iter().map(|image| Use {
            by: vec![Step::Release(name.into())],
            of: Used::Image { text: image.into(), digest: None },
        }));
    }
    Ok(uses)
}
