//! The log as an audit trail: who did what, in lines that the schema knows, and what terminals showed where that is recorded.

mod commands;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../openssh/container.rs"]
mod container;
mod own_client;
mod record;
mod schema;

use serde_json::Value;

use container::Container;

/// The caller that clients name here.
const CALLER: &str = "arn:aws:sts::000000000000:assumed-role/operators/o'neil";

/// All events of a kind.
fn all<'a>(container: &'a Container, kind: &str) -> Vec<&'a Value> {
    container.events.iter().filter(|event| event["event"] == kind).collect()
}
