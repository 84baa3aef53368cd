//! The names nearest to one that there is not.

/// How many names are told.
const MOST: usize = 3;
/// How alike a name must be, from 0 to 1: below it, naming it helps nobody.
const ALIKE: f64 = 0.6;

/// The names nearest to `asked`, nearest first, at most three. Names that begin alike come first: people type the beginning
/// of an id.
pub fn nearest<'a>(asked: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(asked, name), name))
        .filter(|(alike, _)| *alike >= ALIKE)
        .collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_near_are_told_and_others_are_not() {
        let names = ["shop", "shop-canary", "search", "background", "shop"];
        assert_eq!(nearest("shpo", names), ["shop", "shop-canary"]);
        assert_eq!(hint("serach", names), "; the nearest: search");
        assert_eq!(hint("zzz", names), "");
    }
}
