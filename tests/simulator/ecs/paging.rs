//! Pages of lists, with tokens that a caller cannot read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::rules::invalid_parameter;
use crate::Answer;

/// One page of `items`, which are sorted by the key they stand with, and the token of the next.
///
/// The token holds the key of the last item given, so that items that come or go between two calls neither repeat nor
/// hide others.
pub(super) fn page<T>(
    items: Vec<(String, T)>,
    token: Option<&str>,
    asked: Option<i32>,
    default: i32,
    most: i32,
) -> Answer<(Vec<T>, Option<String>)> {
    let size = asked.unwrap_or(default);
    if !(1..=most).contains(&size) {
        return Err(invalid_parameter(format!("maxResults must be between 1 and {most}.")));
    }
    let start = match token {
        None => 0,
        Some(token) => {
            let last = last_given(token)?;
            match items.iter().position(|(key, _)| *key == last) {
                Some(place) => place + 1,
                None => items.iter().position(|(key, _)| *key > last).unwrap_or(items.len()),
            }
        }
    };
    let size = usize::try_from(size).unwrap_or_default();
    let more = items.len() > start + size;
    let mut last = None;
    let page = items
        .into_iter()
        .skip(start)
        .take(size)
        .map(|(key, item)| {
            last = Some(key);
            item
        })
        .collect();
    Ok((page, last.filter(|_| more).map(|key| URL_SAFE_NO_PAD.encode(key))))
}

/// The key of the last item of the page before.
pub(super) fn last_given(token: &str) -> Answer<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| invalid_parameter("Invalid token."))
}
