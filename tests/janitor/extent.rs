//! How much of a matrix is tried: a sample, the same in every run, or all of it.

/// As much of `all` points as an environment variable says, a number or `all`; where it says nothing, `usual` of them.
#[expect(clippy::disallowed_methods, reason = "how long a matrix may take is the caller's to say")]
pub(crate) fn sample(variable: &str, usual: usize, all: usize) -> Vec<usize> {
    let most = match std::env::var(variable) {
        Ok(text) if text == "all" => all,
        Ok(text) if !text.is_empty() => {
            text.parse().unwrap_or_else(|_| panic!("{variable}={text}: expected a number or all"))
        }
        _ => usual,
    };
    let mut points: Vec<usize> = (0..all).collect();
    if most < all {
        fastrand::Rng::with_seed(1).shuffle(&mut points);
        points.truncate(most);
        points.sort_unstable();
    }
    points
}
