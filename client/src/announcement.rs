//! The host key that the container makes for itself and announces in its log, and that is read there through CloudWatch Logs.
//!
//! What makes the announcement worth trusting: nobody but the container's log driver, and who else may `logs:PutLogEvents` to the group,
//! writes to the stream, so whoever sits on the network path does not; and the init writes its `listen` line before it takes a connection,
//! so before anybody can have it run anything. The first line of this kind counts, therefore, and what a session prints later does not.

mod place;

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use russh::keys::{Algorithm, PublicKey};
use serde::Deserialize;

pub(crate) use place::awslogs;
pub use place::{NoLog, Place};

use crate::aws::get_log_events::{LogStream, get_log_events, is_missing};
use crate::aws::{Aws, ServiceError};

/// Pauses between two looks. GetLogEvents has 25 requests a second for an account and region (CloudWatch Logs quotas): with its longest
/// pause one client takes a twenty-fifth of that, and less when it is throttled.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Pause after a refusal that may pass, such as throttling: the quota is everybody's.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// Waits for the key that the init of the run `run` announces. A stream that is not there yet is waited for.
///
/// # Errors
/// [`ServiceError`] when the log may not be read. Cancel-safe.
pub async fn announced_key(aws: &Aws, stream: &LogStream, run: &str) -> Result<PublicKey, ServiceError> {
    let backoff = ExponentialBuilder::default().with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX).with_jitter();
    let mut pauses = backoff.without_max_times().build();
    let mut token = None;
    loop {
        let mut pause = pauses.next().unwrap_or(PAUSE_MAX);
        match get_log_events(aws, stream, token.as_deref()).await {
            Ok(page) => {
                if let Some(key) = page.messages.iter().find_map(|message| announced(message, run)) {
                    return Ok(key);
                }
                // A page that is no page's end may be followed by more, even if it is empty.
                if page.next != token && token.is_some() {
                    pause = Duration::ZERO;
                }
                token = page.next.or(token);
            }
            Err(error) if is_missing(&error) => {}
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "asking again later");
                pause = REFUSED_PAUSE;
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
    }
}

/// What counts of a `listen` line of the init's; the other members are for people.
#[derive(Deserialize)]
struct Line {
    event: String,
    run: Option<String>,
    host_key: Option<String>,
}

/// The key that a line of the log announces, if it is the line for this run: the log group may be many runs'.
fn announced(message: &str, run: &str) -> Option<PublicKey> {
    let line: Line = serde_json::from_str(message).ok()?;
    if line.event != "listen" || line.run.as_deref() != Some(run) {
        return None;
    }
    let key: PublicKey = line.host_key?.parse().ok()?;
    (key.algorithm() == Algorithm::Ed25519).then_some(key)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use fargate_contract::HostSeed;
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::canned::answering;

    const RUN: &str = "r-1";

    fn key(seed: u8) -> PublicKey {
        HostSeed::new([seed; 32]).public_key()
    }

    fn line(run: &str, key: &PublicKey) -> String {
        json!({"time": "t", "run": run, "event": "listen", "address": "0.0.0.0:22",
            "host_key": key.to_openssh().expect("text"), "fingerprint": "SHA256:any"})
        .to_string()
    }

    fn stream() -> LogStream {
        LogStream { group: "g".to_owned(), stream: "p/cli/1".to_owned(), region: "eu-west-1".to_owned() }
    }

    fn page(messages: &[String], next: &str) -> (u16, Value) {
        let events: Vec<_> = messages.iter().map(|message| json!({"timestamp": 1, "message": message})).collect();
        (200, json!({"events": events, "nextForwardToken": next}))
    }

    #[test]
    fn only_this_runs_line_with_a_key_of_the_inits_kind_is_believed() {
        assert_eq!(announced(&line(RUN, &key(1)), RUN), Some(key(1)));
        let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC";
        let with = |member: &str, value: Value| {
            let mut line: Value = serde_json::from_str(&line(RUN, &key(1))).expect("JSON");
            line[member] = value;
            line.to_string()
        };
        for other in [
            line("r-2", &key(1)),
            with("run", Value::Null),
            with("event", "accept".into()),
            with("host_key", "ssh-ed25519 AAAA".into()),
            with("host_key", rsa.into()),
            with("host_key", json!({"key": 1})),
            format!("{} ", &line(RUN, &key(1))[1..]),
            "listening\u{0}".to_owned(),
            String::new(),
            "null".to_owned(),
        ] {
            assert_eq!(announced(&other, RUN), None, "{other}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_line_counts_wherever_it_stands_and_whatever_comes_before() {
        let turn = AtomicUsize::new(0);
        let (aws, asked) = answering(move |_, _| match turn.fetch_add(1, Ordering::Relaxed) {
            0 => (
                400,
                json!({"__type": "ResourceNotFoundException", "message": "The specified log stream does not exist."}),
            ),
            1 => page(&[], "t-0"),
            2 => (400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"})),
            3 => page(&["starting".to_owned(), line("r-2", &key(2))], "t-1"),
            4 => page(&[], "t-2"),
            _ => page(&[line(RUN, &key(1)), line(RUN, &key(3))], "t-3"),
        });
        assert_eq!(announced_key(&aws, &stream(), RUN).await, Ok(key(1)));
        let tokens: Vec<_> = asked.all().into_iter().map(|(_, request)| request["nextToken"].clone()).collect();
        let at = |token: &str| Value::from(token);
        assert_eq!(tokens, [Value::Null, Value::Null, at("t-0"), at("t-0"), at("t-1"), at("t-2")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_may_not_be_read_is_told_at_once() {
        let (aws, asked) = answering(|_, _| (400, json!({"__type": "AccessDeniedException", "message": "no"})));
        let error = announced_key(&aws, &stream(), RUN).await.expect_err("refused");
        assert_eq!((error.code(), asked.all().len()), (Some("AccessDeniedException"), 1));
    }
}
