//! Errors as a user meets them: one line that names the thing, hints that name the way out, an exit code.

/// Advice that goes with an error: each hint is one line, a command or a fact that helps, without full stop.
pub trait Advice {
    /// Zero or more hints, the most useful first.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Exit status of a usage error, as with every Unix tool.
pub const EXIT_USAGE: u8 = 2;
/// Exit status of a failure of ours, as with `ssh`.
pub const EXIT_FAILURE: u8 = 255;
