//! The worker's ledger: the releases that a rollback may return to.

use coalmine_door::store::Store;
use coalmine_pipeline::Home;
use serde::Deserialize;

use crate::in_use::{Reach, Source, SourceReport, Step, Use, Used};
use crate::policy::Policy;
use crate::scan::words_of_store;

/// Where the worker notes releases.
const RELEASES: &str = "releases/";

/// The form of a release that is understood. Another one may keep its images elsewhere.
const SCHEMA: u32 = 1;

/// A release, as far as it matters here: whatever else stands there is the worker's.
#[derive(Debug, Deserialize)]
struct Release {
    schema: u32,
    images: Vec<String>,
}

/// Reads every release; `None` where the policy names no ledger.
pub async fn read(ledger: Option<&Store>, policy: &Policy, registry: &Home) -> Option<(SourceReport, Vec<Use>)> {
    let report = |reach| SourceReport { source: Source::Ledger, home: None, reach };
    let ledger = ledger?;
    if !policy.reads(Source::Ledger) {
        return Some((report(Reach::Off), Vec::new()));
    }
    match releases(ledger, registry).await {
        Ok(uses) => Some((report(Reach::Complete), uses)),
        Err(why) => Some((report(Reach::Incomplete { why }), Vec::new())),
    }
}

async fn releases(ledger: &Store, registry: &Home) -> Result<Vec<Use>, String> {
    let mut uses = Vec::new();
    for key in ledger.list(RELEASES).await.map_err(|problem| words_of_store(&problem))? {
        let stored = ledger.get(&key).await.map_err(|problem| words_of_store(&problem))?;
        // Gone since it was listed.
        let Some(stored) = stored else { continue };
        let release: Release =
            serde_json::from_slice(&stored.body).map_err(|problem| format!("{key} cannot be understood: {problem}"))?;
        if release.schema != SCHEMA {
            return Err(format!("{key} has schema {}, this program knows {SCHEMA}: raise the janitor", release.schema));
        }
        let name = key.trim_start_matches(RELEASES).trim_end_matches(".json");
        for image in release.images {
            let by = vec![Step::Release(name.into())];
            // A name without a host may be one of this registry's, or of another: both are kept.
            let here = Used::of_registry(&image, registry).ok();
            uses.extend(here.map(|of| Use { by: by.clone(), of }));
            uses.push(Use { by, of: Used::Image { text: image.into(), digest: None } });
        }
    }
    Ok(uses)
}
