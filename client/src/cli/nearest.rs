//! The word that was probably meant.

/// Mistakes that a word may hold and still be recognised: one in three letters, three at most.
const LETTERS_PER_MISTAKE: usize = 3;
const MOST_MISTAKES: usize = 3;
/// Shorter words begin too many others.
const SHORTEST_BEGINNING: usize = 3;

/// The word of `known` that is nearest to `word`: one that begins it or that it begins, or else one that is a few
/// letters away. Case does not count.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let most = (word.chars().count() / LETTERS_PER_MISTAKE).clamp(1, MOST_MISTAKES);
    let distance = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let longer = candidate.chars().count().abs_diff(word.chars().count());
        let begins = word.starts_with(&candidate)
            || (word.chars().count() >= SHORTEST_BEGINNING && candidate.starts_with(&word));
        let mistakes = strsim::damerau_levenshtein(&word, &candidate);
        // Beginnings before mistakes; of several, the one that leaves the least unsaid.
        if begins { Some((0, longer)) } else { (mistakes <= most).then_some((1, mistakes)) }
    };
    known.into_iter().filter_map(|known| Some((distance(known)?, known))).min_by_key(|(rank, _)| *rank).map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_and_slips_of_the_finger_are_recognised() {
        let known = ["sg", "sn", "cluster", "container", "cpu", "local", "login", "login-timeout"];
        for (word, meant) in [
            ("sgx", Some("sg")),
            ("clusterfoo", Some("cluster")),
            ("conatiner", Some("container")),
            ("Cluster", Some("cluster")),
            ("login-time", Some("login-timeout")),
            ("lcoal", Some("local")),
            ("psql", None),
            ("ls", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
