//! Named places after which something exists that could be orphaned. In a debug build a test can make the program park at
//! one, in order to kill it there; in a release build a checkpoint is nothing.

/// Variable that names the checkpoint to park at.
#[cfg(debug_assertions)]
const VARIABLE: &str = "FARGATE_LOGIN_CHECKPOINT";

/// Parks here for ever, after saying so on stderr, if the environment asks for it.
#[cfg(debug_assertions)]
pub async fn checkpoint(name: &str) {
    use std::io::Write as _;
    if std::env::var(VARIABLE).is_ok_and(|wanted| wanted == name) {
        // Nobody reads it only when the test is gone.
        let _ = writeln!(std::io::stderr(), "checkpoint: {name}");
        std::future::pending::<()>().await;
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
#[expect(clippy::unused_async, reason = "the debug build awaits here")]
pub async fn checkpoint(_name: &str) {}
