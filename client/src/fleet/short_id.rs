//! As much of a task's id as it takes: to tell it apart in a table, and to name it in turn.

/// Characters of an id that are shown, if they tell the tasks apart.
const SHOWN: usize = 12;

/// How many characters of these ids tell them apart.
pub(crate) fn length<'a>(ids: impl IntoIterator<Item = &'a str>) -> usize {
    let mut ids: Vec<&str> = ids.into_iter().collect();
    ids.sort_unstable();
    let alike = |one: &str, other: &str| one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let longest = ids.windows(2).map(|pair| alike(pair[0], pair[1])).max().unwrap_or(0);
    SHOWN.max(longest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_long_as_it_takes_to_tell_them_apart() {
        assert_eq!(length(["aaaaaaaaaaaaaaaab", "b", "aaaaaaaaaaaaaaaac"]), 17);
        assert_eq!(length(["0123456789abcdef"]), 12);
    }
}
