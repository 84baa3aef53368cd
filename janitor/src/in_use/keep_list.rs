//! Keep-lists: files of references that nothing else tells of.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use coalmine_pipeline::image::Name;
use coalmine_pipeline::{EcrRepository, Home, HostFamily, ImageReference, Mismatch};

use super::{Step, Use, Used};

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
/// Every line that is not understood, with its number. Then the source is incomplete: the line was meant to keep
/// something.
pub fn read_keep_list(
    text: &str,
    file: &Arc<str>,
    registry: &Home,
    now: DateTime<Utc>,
) -> Result<Vec<Use>, Vec<(u32, Mismatch)>> {
    let (mut kept, mut wrong) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(text.lines()) {
        let words: Vec<&str> = text.split('#').next().unwrap_or_default().split_whitespace().collect();
        let read = match *words.as_slice() {
            [] => continue,
            [image] => Used::of_registry(image, registry).map(Some),
            [image, "until", date] => match last_day(date) {
                Ok(date) => Used::of_registry(image, registry).map(|used| (now.date_naive() <= date).then_some(used)),
                Err(mismatch) => Err(mismatch),
            },
            _ => Err(Mismatch::value(text, "an image, or an image and `until` with a date")),
        };
        match read {
            Ok(used) => {
                kept.extend(used.map(|of| Use { by: vec![Step::KeepList(Arc::clone(file), line)], of }));
            }
            Err(mismatch) => wrong.push((line, mismatch)),
        }
    }
    if wrong.is_empty() { Ok(kept) } else { Err(wrong) }
}

fn last_day(text: &str) -> Result<NaiveDate, Mismatch> {
    text.parse().map_err(|_| Mismatch::value(text, "a date such as 2026-12-31"))
}

impl Used {
    /// What a name keeps that may stand without a host: then it is a repository of the registry.
    ///
    /// # Errors
    ///
    /// What is no image of an ECR registry.
    pub fn of_registry(text: &str, registry: &Home) -> Result<Self, Mismatch> {
        let reference = ImageReference::parse(text)?;
        let has_host = reference.repository() != reference.name().to_string();
        let ecr = match reference.name() {
            Name::Ecr(ecr) => ecr.clone(),
            Name::Other(repository) if !has_host => EcrRepository {
                account: registry.account.clone(),
                region: registry.region.clone(),
                // By whichever host: readers look at account and Region.
                family: HostFamily::Standard,
                repository: repository.clone(),
            },
            Name::Other(_) => {
                return Err(Mismatch::value(
                    text,
                    "an image of an ECR registry, or a repository of this one without a host",
                ));
            }
        };
        let is_here = ecr.account == registry.account && ecr.region == registry.region;
        if is_here && reference.tag().is_none() && reference.digest().is_none() {
            return Ok(Self::Repository(ecr.repository.into()));
        }
        let tag = reference.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = reference.digest().map(|digest| format!("@{digest}")).unwrap_or_default();
        Ok(Self::Image { text: format!("{ecr}{tag}{digest}").into(), digest: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, Vec<String>> {
        let home = Home { account: "123456789012".into(), region: "eu-west-1".into() };
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let shown = |used: Used| match used {
            Used::Repository(name) => format!("all of {name}"),
            Used::Image { text, .. } => text.into(),
            other => format!("{other:?}"),
        };
        read_keep_list(text, &"keep.txt".into(), &home, now)
            .map(|uses| uses.into_iter().map(|one| format!("{}: {}", one.by[0], shown(one.of))).collect())
            .map_err(|wrong| wrong.into_iter().map(|(line, mismatch)| format!("{line}: {mismatch}")).collect())
    }

    #[test]
    fn keeps_repositories_tags_and_digests() {
        let text = "# what the cluster in the cellar runs\n\nshop/app  # all\nshop/app:v7\n\
            210987654321.dkr.ecr.eu-west-1.amazonaws.com/base";
        assert_eq!(
            read(text).unwrap(),
            [
                "keep-list keep.txt:3: all of shop/app",
                "keep-list keep.txt:4: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/app:v7",
                "keep-list keep.txt:5: 210987654321.dkr.ecr.eu-west-1.amazonaws.com/base",
            ]
        );
    }

    #[test]
    fn a_line_keeps_to_the_end_of_its_last_day() {
        assert_eq!(read("app:v1 until 2026-11-20").unwrap().len(), 1);
        assert_eq!(read("app:v1 until 2026-11-19").unwrap().len(), 0);
    }

    #[test]
    fn every_line_that_is_not_understood_is_told() {
        let wrong = read("App\nshop/app until soon\ndocker.io/nginx\napp v1\nbase:v1").unwrap_err();
        let lines: Vec<&str> = wrong.iter().map(|line| &line[..2]).collect();
        assert_eq!(lines, ["1:", "2:", "3:", "4:"]);
        assert_eq!(wrong[1], r#"2: found "soon", expected a date such as 2026-12-31"#);
    }
}
