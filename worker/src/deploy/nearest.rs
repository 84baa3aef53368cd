//! The names nearest to one that there is not.

/// How many names are told.
const MOST: usize = 3;
/// How alike a name must be, from 0 to 1: below it, naming it helps nobody.
const ALIKE: f64 = 0.6;
/// What is shorter stands in many names by chance.
const PART_CHARS: usize = 3;

/// The names nearest to `asked`, nearest first, at most three. Names that begin alike come first: people type the beginning
/// of an id. A name of which `asked` is a part is near.
pub fn nearest<'a>(asked: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let asked = asked.to_lowercase();
    let alike = |name: &str| {
        let name = name.to_lowercase();
        let part = asked.chars().count() >= PART_CHARS && name.contains(&asked);
        strsim::jaro_winkler(&asked, &name).max(if part { ALIKE } else { 0.0 })
    };
    let mut found: Vec<(f64, &str)> =
        names.into_iter().map(|name| (alike(name), name)).filter(|(alike, _)| *alike >= ALIKE).collect();
    // Of names that are equally near, the first ones come first.
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut names: Vec<&str> = Vec::new();
    for (_, name) in found {
        if !names.contains(&name) && names.len() < MOST {
            names.push(name);
        }
    }
    names
}

/// `; the nearest: app, api`, or nothing.
#[must_use]
pub fn hint<'a>(asked: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let near = nearest(asked, names);
    if near.is_empty() { String::new() } else { format!("; the nearest: {}", near.join(", ")) }
}

/// `there is no service "shpo"; the nearest: shop, shop-canary`. Where nothing is near: among how many names.
#[must_use]
pub fn unknown<'a>(kind: &str, asked: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match (hint(asked, names.iter().copied()).as_str(), names.len()) {
        ("", 0) => format!("there is no {kind} {asked:?}, and none at all that could be meant"),
        ("", known) => format!("there is no {kind} {asked:?} among {known} that are known"),
        (near, _) => format!("there is no {kind} {asked:?}{near}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_near_are_told_and_others_are_not() {
        let names = ["shop", "shop-canary", "search", "background", "shop"];
        for (asked, near) in [
            ("shpo", vec!["shop", "shop-canary"]),
            ("SHOP", vec!["shop", "shop-canary"]),
            ("shop-canari", vec!["shop-canary", "shop"]),
            ("canary", vec!["shop-canary"]),
            ("bakground", vec!["background"]),
            ("serach", vec!["search"]),
            ("zzz", vec![]),
            ("x", vec![]),
        ] {
            assert_eq!(nearest(asked, names), near, "{asked}");
        }
        assert_eq!((hint("serach", names), hint("zzz", names)), ("; the nearest: search".to_owned(), String::new()));
    }

    #[test]
    fn who_names_what_there_is_not_is_told_what_there_is() {
        let names = ["shop", "mail"];
        assert_eq!(unknown("service", "shpo", names), "there is no service \"shpo\"; the nearest: shop");
        assert_eq!(unknown("service", "zzz", names), "there is no service \"zzz\" among 2 that are known");
        assert_eq!(unknown("release", "x", []), "there is no release \"x\", and none at all that could be meant");
    }
}
