//! The character rules of hosts, repositories and tags, by hand: a handful of byte classes needs no pattern engine.

/// Characters of a tag (registries and ECR: 128).
const TAG_CHARS: usize = 128;

/// Splits `host/repository`. The first part is a host if it could be no repository: it has a dot, a port or an upper-case
/// letter, or is `localhost`. Docker decides so too, and `shop/app` therefore has no host.
pub(super) fn split_host(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.contains(|c: char| c.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

/// A host name of letters, digits and inner hyphens between dots, with a port or without.
pub(super) fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok() && !port.starts_with('+'))
}

/// ECR's `repositoryName` and every other registry's: components between slashes, each of lower-case letters and digits
/// with single dots, one or two underscores or any number of hyphens between them.
pub(super) fn is_repository(repository: &str) -> bool {
    repository.split('/').all(is_component)
}

fn is_component(component: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut rest = component.as_bytes();
    loop {
        let letters = rest.iter().take_while(|b| word(**b)).count();
        if letters == 0 {
            return false;
        }
        rest = &rest[letters..];
        if rest.is_empty() {
            return true;
        }
        let separator = rest.iter().take_while(|b| !word(**b)).count();
        match &rest[..separator] {
            b"." | b"_" | b"__" => {}
            hyphens if hyphens.iter().all(|b| *b == b'-') => {}
            _ => return false,
        }
        rest = &rest[separator..];
    }
}

/// `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
pub(super) fn is_tag(tag: &str) -> bool {
    tag.len() <= TAG_CHARS
        && !tag.is_empty()
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}
