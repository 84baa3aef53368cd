//! Keep-lists: files in which people, or other programs, name what must stay.

use std::path::Path;
use std::sync::Arc;

use aws_types::SdkConfig;
use coalmine_door::clock::Time;
use coalmine_door::store::{Location, Store};
use coalmine_pipeline::Home;

use crate::in_use::{Reach, Source, SourceReport, Use, read_keep_list};
use crate::policy::{KeepList, Policy};
use crate::scan::words_of_store;

/// The largest file that is read: 100,000 lines.
const BYTES_MAX: usize = 16 << 20;

/// A keep-list and where it is.
#[derive(Debug)]
pub struct KeepListAt {
    list: KeepList,
    store: Store,
    /// Its name in the store.
    key: String,
}

impl KeepListAt {
    /// Finds out where a keep-list is: in S3, or a path with or without `dir:`.
    ///
    /// # Errors
    /// What is wrong with the policy's text.
    pub fn find(list: &KeepList, door: &SdkConfig) -> Result<Self, String> {
        let told = |problem: &str| format!("{:?}: {problem}", list.file);
        let (location, key) = if list.file.starts_with("s3://") {
            let split = list.file.rsplit_once('/').filter(|(above, key)| above.len() > "s3:/".len() && !key.is_empty());
            let (above, key) = split.ok_or_else(|| told("expected a file, such as s3://bucket/keep.txt"))?;
            (above.parse().map_err(|problem: String| told(&problem))?, key)
        } else {
            let path = Path::new(list.file.strip_prefix("dir:").unwrap_or(&list.file));
            let key = path.file_name().and_then(|name| name.to_str());
            let key = key.ok_or_else(|| told("expected a file, such as keep.txt or s3://bucket/keep.txt"))?;
            (Location::Folder(path.parent().unwrap_or(Path::new("")).to_owned()), key)
        };
        Ok(Self { list: list.clone(), store: Store::open(&location, door, BYTES_MAX), key: key.to_owned() })
    }

    async fn read(&self, registry: &Home, now: Time) -> Result<Vec<Use>, String> {
        let told = |problem: &dyn std::fmt::Display| format!("the keep-list {}: {problem}", self.list.file);
        let stored = self.store.get(&self.key).await.map_err(|problem| told(&words_of_store(&problem)))?;
        let stored = stored.ok_or_else(|| told(&"there is no such file"))?;
        if let Some(most) = self.list.max_age {
            let written = stored.written.ok_or_else(|| told(&"nobody knows when it was written"))?;
            let age = now - written;
            if age > most {
                return Err(told(&format!("was written {} hours ago: whoever writes it has stopped", age.num_hours())));
            }
        }
        let text = String::from_utf8(stored.body).map_err(|problem| told(&problem))?;
        read_keep_list(&text, &Arc::from(self.list.file.as_str()), registry, now).map_err(|lines| {
            let lines = lines.into_iter().map(|(line, problem)| format!("line {line}: {problem}"));
            told(&lines.collect::<Vec<_>>().join("; "))
        })
    }
}

/// Reads every keep-list; `None` where the policy names none.
pub async fn read(
    lists: &[KeepListAt],
    policy: &Policy,
    registry: &Home,
    now: Time,
) -> Option<(SourceReport, Vec<Use>)> {
    if lists.is_empty() {
        return None;
    }
    let report = |reach| SourceReport { source: Source::KeepLists, home: None, reach };
    if !policy.reads(Source::KeepLists) {
        return Some((report(Reach::Off), Vec::new()));
    }
    let (mut uses, mut problems) = (Vec::new(), Vec::new());
    for list in lists {
        match list.read(registry, now).await {
            Ok(found) => uses.extend(found),
            Err(why) => problems.push(why),
        }
    }
    let reach = if problems.is_empty() { Reach::Complete } else { Reach::Incomplete { why: problems.join("; ") } };
    Some((report(reach), uses))
}
