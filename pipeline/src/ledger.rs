//! How the worker names what it notes of releases in its ledger: other programs read these records, too.
//!
//! ```text
//!   releases/<release>.json                              what became of a release, with its images
//!   services/<cluster>/<service>/<begin>-<release>.json  that it ended well on a service
//! ```

/// What the keys of all records about releases begin with.
pub const RELEASES: &str = "releases/";
/// The version of these records.
pub const RELEASE_SCHEMA: u32 = 1;
/// The version of the records that a release ended well on a service.
pub const ENTRY_SCHEMA: u32 = 1;
/// What the keys of all records about services begin with.
pub const SERVICES: &str = "services/";
/// Digits of the begin in a key: epoch seconds for the next thirty thousand years, so that keys are in order.
const DIGITS: usize = 12;

/// The key of a release's record.
#[must_use]
pub fn release_key(release: &str) -> String {
    format!("{RELEASES}{release}.json")
}

/// The release whose record has this key; `None` where it is another record's.
#[must_use]
pub fn release_of(key: &str) -> Option<&str> {
    key.strip_prefix(RELEASES)?.strip_suffix(".json")
}

/// What the key says of a release that ended well on a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The cluster's name.
    pub cluster: String,
    /// The service's name.
    pub service: String,
    /// When the action began that brought the release, in epoch seconds.
    pub began: i64,
    /// The release.
    pub release: String,
}

impl Entry {
    /// The key of an entry.
    #[must_use]
    pub fn key(&self) -> String {
        let Self { cluster, service, began, release } = self;
        format!("{SERVICES}{cluster}/{service}/{began:0DIGITS$}-{release}.json")
    }

    /// Reads a key; `None` where it is that of another record.
    #[must_use]
    pub fn of(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix(SERVICES)?.splitn(3, '/');
        let (cluster, service, name) = (parts.next()?, parts.next()?, parts.next()?);
        let (began, release) = name.strip_suffix(".json")?.split_once('-')?;
        let digits = began.len() == DIGITS && began.bytes().all(|byte| byte.is_ascii_digit());
        let entry = Self {
            cluster: cluster.to_owned(),
            service: service.to_owned(),
            began: began.parse().ok().filter(|_| digits)?,
            release: release.to_owned(),
        };
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(began: i64) -> Entry {
        Entry { cluster: "main".into(), service: "shop".into(), began, release: "0b2f-11-e4".into() }
    }

    #[test]
    fn a_key_tells_its_entry_and_keys_are_in_the_order_of_their_dates() {
        let (early, late) = (entry(999_999_999), entry(1_796_000_000));
        assert_eq!(early.key(), "services/main/shop/000999999999-0b2f-11-e4.json");
        assert_eq!((Entry::of(&early.key()), Entry::of(&late.key())), (Some(early.clone()), Some(late.clone())));
        assert!(early.key() < late.key());
        for other in [
            "services/main/shop/percents.json",
            "services/main/shop/refused.json",
            "services/main/shop/12-x.json",
            "services/main/000999999999-x.json",
            "workers/w.json",
            "services/main/shop/+00999999999-x.json",
        ] {
            assert_eq!(Entry::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_releases_key_tells_it() {
        assert_eq!(release_of(&release_key("0b2f-11-e4")), Some("0b2f-11-e4"));
        assert_eq!(release_of("workers/w.json"), None);
    }
}
