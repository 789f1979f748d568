//! Snapshots without what differs from run to run: ids, addresses, times, costs.

/// Replaces task ids, UUIDs, endpoints, durations and costs by their names.
#[must_use]
pub fn redact(text: &str) -> String {
    let words = text.split_inclusive(|c: char| c.is_whitespace());
    words.map(redact_word).collect()
}

fn redact_word(word: &str) -> String {
    let end = word.trim_end().len();
    let (core, space) = word.split_at(end);
    let bare = core.trim_matches(|c: char| "().,;:'`\"".contains(c));
    let name = if bare.starts_with("sgr-") {
        "[RULE]"
    } else if is_hex_id(bare) {
        "[ID]"
    } else if bare.contains(":task/") {
        "[TASK-ARN]"
    } else if bare.starts_with("http://127.") {
        "[ENDPOINT]"
    } else if bare.starts_with("127.") && bare.contains(':') {
        "[ADDRESS]"
    } else if bare.starts_with('$') {
        "[COST]"
    } else {
        return word.to_owned();
    };
    format!("{}{space}", core.replacen(bare, name, 1))
}

/// A task id (32 hex digits) or a UUID.
fn is_hex_id(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_hexdigit).count();
    digits == 32 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let text = "task 0123456789abcdef0123456789abcdef stopped after 1.0 s, about $0.0003\n(request id 0f6f5a3f-6ab1-4bb0-9d0e-0f6f5a3f2f11)";
        assert_eq!(redact(text), "task [ID] stopped after 1.0 s, about [COST]\n(request id [ID])");
        assert_eq!(redact("at 127.3.4.5:2222: refused"), "at [ADDRESS]: refused");
    }
}
