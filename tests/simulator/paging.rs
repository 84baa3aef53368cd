//! Pages whose token names the last item handed out, so that a page stays right when items come and go between calls.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

/// The first `size` items after the one that `token` names, and the token of the next page if there is one. `items`
/// come in the order of their keys. `None`: the token is none of ours.
pub(crate) fn page<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    token: Option<&str>,
    size: usize,
) -> Option<(Vec<T>, Option<String>)> {
    let after = match token {
        Some(token) => Some(String::from_utf8(URL_SAFE.decode(token).ok()?).ok()?),
        None => None,
    };
    let mut rest = items.into_iter().skip_while(|item| after.as_ref().is_some_and(|after| key(item) <= *after));
    let page: Vec<T> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let next = page.last().filter(|_| more).map(|last| URL_SAFE.encode(key(last)));
    Some((page, next))
}

/// The same for items that come with their keys, with a size between 1 and `most`, which is also the default. `None`: token
/// or size is out of order.
pub(crate) fn keyed<T>(
    items: impl IntoIterator<Item = (String, T)>,
    token: Option<&str>,
    asked: Option<i64>,
    most: usize,
) -> Option<(Vec<T>, Option<String>)> {
    let size = asked.map_or(Some(most), |asked| usize::try_from(asked).ok());
    let size = size.filter(|size| (1..=most).contains(size))?;
    let (items, next) = page(items, |(key, _)| key.clone(), token, size)?;
    Some((items.into_iter().map(|(_, item)| item).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let items = ["a", "b", "c", "d", "e"];
        let key = |item: &&str| (*item).to_owned();
        let (first, token) = page(items, key, None, 2).unwrap();
        let (second, token) = page(items, key, token.as_deref(), 2).unwrap();
        let (third, end) = page(items, key, token.as_deref(), 2).unwrap();
        assert_eq!((first, second, third), (vec!["a", "b"], vec!["c", "d"], vec!["e"]));
        assert_eq!(end, None);
        assert!(page(items, key, Some("not a token"), 2).is_none());
    }
}
