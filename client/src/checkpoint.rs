//! Named places after which something exists that could be orphaned. In a debug build a test can make the program park at
//! one, in order to kill, freeze or signal it there; in a release build a checkpoint is nothing.

use tokio_util::sync::CancellationToken;

/// Variable that names the checkpoint to park at.
#[cfg(debug_assertions)]
const VARIABLE: &str = "FARGATE_LOGIN_CHECKPOINT";

/// Parks here, after saying so on stderr, if the environment asks for it: until the user wishes to stop, as a signal that came
/// at this very place would find it.
#[cfg(debug_assertions)]
pub async fn checkpoint(name: &str, stop: &CancellationToken) {
    use std::io::Write as _;
    if std::env::var(VARIABLE).is_ok_and(|wanted| wanted == name) {
        // Nobody reads it only when the test is gone.
        let _ = writeln!(std::io::stderr(), "checkpoint: {name}");
        stop.cancelled().await;
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[expect(clippy::unused_async, reason = "the debug build awaits here")]
pub async fn checkpoint(_name: &str, _stop: &CancellationToken) {}
