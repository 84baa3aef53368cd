//! The names nearest to one that is not there.

/// How many names are proposed.
const MOST: usize = 3;

/// `no service shpo; the nearest are: shop, shop-canary`. Where nothing is near, `all` are named if they are few.
#[must_use]
pub fn unknown<'a>(kind: &str, asked: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match nearest(asked, &names)[..] {
        [] if names.is_empty() => format!("there is no {kind} {asked:?}, and none at all that could be meant"),
        [] => format!("there is no {kind} {asked:?} among {} that are known", names.len()),
        ref near => format!("there is no {kind} {asked:?}; the nearest: {}", near.join(", ")),
    }
}

/// The names that are nearest to `asked`, best first, at most three: those that contain it or are contained in it, and
/// those that differ in at most half of their letters.
#[must_use]
pub fn nearest<'a>(asked: &str, names: &[&'a str]) -> Vec<&'a str> {
    let asked = asked.to_lowercase();
    let mut found: Vec<(usize, &str)> = names
        .iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let apart = distance(&asked, &lower);
            let within = asked.len() > 2 && (lower.contains(&asked) || asked.contains(&lower));
            let near = apart * 2 <= asked.chars().count().max(lower.chars().count());
            (within || near).then_some((apart, *name))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(MOST).map(|(_, name)| name).collect()
}

/// Letters to insert, delete or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, from) in a.chars().enumerate() {
        let mut corner = line;
        let mut left = line + 1;
        for (to, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let replaced = corner + usize::from(from != *to);
            corner = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_mistyped_or_cut_short_is_found() {
        let names = ["shop", "shop-canary", "mail", "background"];
        for (asked, expected) in [
            ("shpo", vec!["shop"]),
            ("SHOP", vec!["shop", "shop-canary"]),
            ("shop-canari", vec!["shop-canary", "shop"]),
            ("bakground", vec!["background"]),
            ("x", vec![]),
        ] {
            assert_eq!(nearest(asked, &names), expected, "{asked}");
        }
        assert_eq!(unknown("service", "shpo", names), "there is no service \"shpo\"; the nearest: shop");
        assert_eq!(unknown("service", "zzz", names), "there is no service \"zzz\" among 4 that are known");
        assert_eq!(unknown("release", "x", []), "there is no release \"x\", and none at all that could be meant");
    }

    proptest! {
        #[test]
        fn distance_is_a_distance(a in "[abc]{0,6}", b in "[abc]{0,6}", c in "[abc]{0,6}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c));
            prop_assert!(distance(&a, &b) <= a.len().max(b.len()));
        }
    }
}
