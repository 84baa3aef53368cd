//! Pages of lists.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Answer, ErrorReply};

/// The items of one page, and the token of the next one.
///
/// A token names the last item shown, so that a page is right even where newer items came before it meanwhile.
pub(super) fn page<T>(
    items: Vec<T>,
    name: impl Fn(&T) -> String,
    most: usize,
    token: Option<&str>,
) -> Answer<(Vec<T>, Option<String>)> {
    let start = match token {
        None => 0,
        Some(token) => {
            let invalid =
                || ErrorReply::new("InvalidNextTokenException", "The next token was specified in an invalid format");
            let last =
                STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(invalid)?;
            items.iter().position(|item| name(item) == last).ok_or_else(invalid)? + 1
        }
    };
    let more = items.len() > start + most;
    let page: Vec<T> = items.into_iter().skip(start).take(most).collect();
    let next = page.last().filter(|_| more).map(|last| STANDARD.encode(name(last)));
    Ok((page, next))
}

/// `maxResults` as a count, with its default.
pub(super) fn most(max_results: Option<i32>, default: usize) -> usize {
    max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(default)
}
