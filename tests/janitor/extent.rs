//! How much of a matrix is tried: a sample, the same in every run, or all of it.

/// As much of `all` points as an environment variable says, a number or `all`; where it says nothing, `usual` of them. The
/// name tells one sample from another.
#[expect(clippy::disallowed_methods, reason = "how long a matrix may take is the caller's to say")]
pub(crate) fn sample(name: &str, variable: &str, usual: usize, all: usize) -> Vec<usize> {
    let most = match std::env::var(variable) {
        Ok(text) if text == "all" => all,
        Ok(text) if !text.is_empty() => {
            text.parse().unwrap_or_else(|_| panic!("{variable}={text}: expected a number or all"))
        }
        _ => usual,
    };
    // One out of each of so many equal parts.
    let mut rng = fastrand::Rng::with_seed(name.bytes().map(u64::from).sum());
    let most = most.min(all);
    let bound = |part: usize| part * all / most;
    (0..most).map(|part| rng.usize(bound(part)..bound(part + 1))).collect()
}
