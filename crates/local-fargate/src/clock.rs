//! Times as the services write them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, as ECS has it: seconds since the epoch, with milliseconds.
pub(crate) fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_secs_f64() * 1000.0).round() / 1000.0
}

/// RFC 3339 with milliseconds in UTC, as EC2 and the metadata endpoint have it.
pub(crate) fn text(epoch_seconds: f64) -> String {
    let milliseconds = (epoch_seconds * 1000.0).round();
    // The clock's own reading or a little more: far inside of what an i64 and a timestamp hold.
    #[expect(clippy::cast_possible_truncation, reason = "a time of this century in milliseconds")]
    let timestamp = jiff::Timestamp::from_millisecond(milliseconds as i64).unwrap_or_default();
    format!("{timestamp:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_kept() {
        assert_eq!(text(1_755_555_555.12), "2025-08-18T22:19:15.120Z");
    }
}
