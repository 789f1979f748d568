//! Times as `ps` and `gc` tell them: now, an instant for machines, a span for people.

use std::time::Duration;

use jiff::Timestamp;

/// Now, in seconds since the epoch.
#[must_use]
pub fn now() -> f64 {
    Timestamp::now().as_duration().as_secs_f64()
}

/// RFC 3339 in UTC, to the second; `None` for what is no time of this world.
#[must_use]
pub fn instant(epoch_seconds: f64) -> Option<String> {
    // Casts of floats saturate, and jiff refuses what is out of its range.
    #[expect(clippy::cast_possible_truncation, reason = "fractions of a second are not told")]
    let timestamp = Timestamp::from_second(epoch_seconds.floor() as i64).ok()?;
    Some(timestamp.to_string())
}

/// At most two units: `42s`, `7m`, `3h05m`, `2d03h`.
#[must_use]
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h{:02}m", minutes % 60),
        (days, hours, _) => format!("{days}d{:02}h", hours % 24),
    }
}

/// Time from an instant until now, both in seconds since the epoch, as a span; `None` if that instant is not known.
#[must_use]
pub fn since(instant: Option<f64>, now: f64) -> Option<String> {
    // Clocks differ: what is from the future is new.
    Duration::try_from_secs_f64((now - instant?).max(0.0)).ok().map(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_at_most_two_units() {
        let told = [0, 59, 60, 3599, 3600, 11_100, 86_400, 183_600].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(told, ["0s", "59s", "1m", "59m", "1h00m", "3h05m", "1d00h", "2d03h"]);
    }

    #[test]
    fn instants_are_told_in_utc() {
        assert_eq!(instant(1_755_555_555.9).as_deref(), Some("2025-08-18T22:19:15Z"));
        assert_eq!(instant(f64::INFINITY), None);
    }
}
