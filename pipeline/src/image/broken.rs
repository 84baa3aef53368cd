//! What a reference that does not parse seems to name.

use super::ecr;

/// The labels by which ECR's hosts are known.
const LABELS: [&str; 2] = ["dkr.ecr", "dkr-ecr"];

/// A text that is no reference, but may be meant to name an image of an ECR registry.
///
/// It serves the janitor: AWS takes any text as an image, and what somebody meant to keep must not go for a typing error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenReference {
    /// The account, if twelve digits stand where it belongs.
    pub account: Option<String>,
    /// The Region, if the host is whole.
    pub region: Option<String>,
    /// The repository, if it can be read.
    pub repository: Option<String>,
}

impl BrokenReference {
    /// Finds what `text` seems to name; `None` if nothing in it reminds of ECR or of one of the `accounts`.
    ///
    /// Anything may stand before the host and behind the repository: schemes, blanks, a second slash.
    pub fn find(text: &str, accounts: &[&str]) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let at = LABELS
            .iter()
            .filter_map(|label| lower.find(label))
            .chain(
                accounts.iter().filter_map(|account| digits(&lower).find(|(_, run)| run == account).map(|(at, _)| at)),
            )
            .min()?;
        let begin = lower[..at].rfind('/').map_or(0, |slash| slash + 1);
        let (host, path) = lower[begin..].split_once('/').unwrap_or((&lower[begin..], ""));
        let (account, region) = match ecr::split_host(host.trim()) {
            Some((account, _, region)) => (Some(account), Some(region)),
            None => (digits(host).map(|(_, run)| run).find(|run| ecr::is_account(run)), None),
        };
        // The path as it was written: upper case is no repository.
        let path = text.get(text.len() - path.len()..).unwrap_or_default().trim_start();
        let end = path.find(|c: char| c == ':' || c == '@' || c.is_whitespace()).unwrap_or(path.len());
        let repository = path.get(..end).filter(|name| ecr::is_repository(name));
        Some(Self {
            account: account.map(str::to_owned),
            region: region.map(str::to_owned),
            repository: repository.map(str::to_owned),
        })
    }
}

/// The longest runs of digits, with their places.
fn digits(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split(|c: char| !c.is_ascii_digit()).filter_map(move |run| {
        let begin = at;
        // What parts two runs is one character, of one byte or more.
        at += run.len();
        at += text[at..].chars().next().map_or(0, char::len_utf8);
        (!run.is_empty()).then_some((begin, run))
    })
}
