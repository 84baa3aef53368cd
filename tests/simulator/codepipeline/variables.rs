//! Variable references, `#{namespace.key}`.

/// The namespace of CodePipeline's own variables.
pub(super) const RESERVED: &str = "codepipeline";

/// The namespace of the pipeline's variables.
pub(super) const PIPELINE: &str = "variables";

/// A piece of a configuration value.
enum Piece<'a> {
    Text(&'a str),
    /// What stands between the braces.
    Reference(&'a str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("#{") {
        let Some(length) = rest[start..].find('}') else { break };
        pieces.push(Piece::Text(&rest[..start]));
        pieces.push(Piece::Reference(&rest[start + 2..start + length]));
        rest = &rest[start + length + 1..];
    }
    pieces.push(Piece::Text(rest));
    pieces
}

/// Namespace and key of a reference; `None` where it has not the form.
fn parsed(reference: &str) -> Option<(&str, &str)> {
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "@-_".contains(letter))
    };
    reference.split_once('.').filter(|(namespace, key)| plain(namespace) && plain(key))
}

/// All references of a value, in order.
///
/// # Errors
/// The first text between `#{` and `}` that is no reference.
pub(super) fn references(text: &str) -> Result<Vec<(String, String)>, String> {
    pieces(text)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Reference(reference) => Some(
                parsed(reference)
                    .map(|(namespace, key)| (namespace.to_owned(), key.to_owned()))
                    .ok_or_else(|| reference.to_owned()),
            ),
        })
        .collect()
}

/// The value with every reference replaced by what `look_up` knows.
///
/// # Errors
/// The first reference, `namespace.key`, that it does not know.
pub(super) fn resolve(text: &str, look_up: impl Fn(&str, &str) -> Option<String>) -> Result<String, String> {
    pieces(text).into_iter().try_fold(String::new(), |resolved, piece| match piece {
        Piece::Text(text) => Ok(resolved + text),
        Piece::Reference(reference) => parsed(reference)
            .and_then(|(namespace, key)| look_up(namespace, key))
            .map(|value| resolved + &value)
            .ok_or_else(|| reference.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_within_text() {
        let look_up = |namespace: &str, key: &str| Some(format!("<{namespace}:{key}>"));
        assert_eq!(resolve("a #{x.Y} b#{c.d}", look_up).unwrap(), "a <x:Y> b<c:d>");
        assert_eq!(resolve("no #{end", look_up).unwrap(), "no #{end");
    }

    #[test]
    fn an_unknown_reference_is_named() {
        assert_eq!(resolve("#{x.Y}", |_, _| None).unwrap_err(), "x.Y");
        assert_eq!(references("#{x}").unwrap_err(), "x");
    }
}
