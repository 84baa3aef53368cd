//! Keep-lists: files of references that nothing else tells of.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use coalmine_pipeline::{Home, Mismatch};

use super::Use;

/// Reads a keep-list: a reference per line, `#` begins a comment, and a line may end with `until 2026-12-31`.
///
/// ```text
/// shop/app                                        # all of a repository of this registry
/// shop/app:v7                                     # a tag of it
/// 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/app@sha256:…  until 2027-03-01
/// ```
///
/// A line keeps its image to the end of its date (UTC), and a line without a date for ever. `file` is for paths.
///
/// # Errors
///
/// Every line that is not understood, with its number. Then the source is incomplete: the line was meant to keep something.
pub fn read_keep_list(
    text: &str,
    file: &Arc<str>,
    registry: &Home,
    now: DateTime<Utc>,
) -> Result<Vec<Use>, Vec<(u32, Mismatch)>> {
    let _ = (text, file, registry, now);
    todo!()
}
