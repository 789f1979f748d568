//! The conversation with a SOCKS client until it has said where it wants to go: one of this machine's, or one that the task let in.

use std::time::Duration;

use bytes::Bytes;
use russh::ChannelMsg;

use super::socks::{self, Failure, Request, Step};
use super::stream::Stream;
use crate::ssh::channels::{Halves, OpenError, Refusal};

/// Time in which a client has to say where it wants to go.
const TIMEOUT: Duration = Duration::from_secs(30);

const GONE: &str = "it has gone";

/// A client, over whatever it came in by.
pub(super) trait Client: Send {
    /// What it says next; `None` when it says no more.
    fn hear(&mut self) -> impl Future<Output = Option<Bytes>> + Send;

    /// Says this to it; `None` when it is not there any more.
    fn say(&mut self, reply: Vec<u8>) -> impl Future<Output = Option<()>> + Send;
}

impl Client for &Stream {
    async fn hear(&mut self) -> Option<Bytes> {
        self.read().await.ok().flatten()
    }

    async fn say(&mut self, reply: Vec<u8>) -> Option<()> {
        self.write_all(&reply).await.ok()
    }
}

impl Client for Halves {
    async fn hear(&mut self) -> Option<Bytes> {
        loop {
            match self.1.recv().await {
                Ok(Some(ChannelMsg::Data { data })) => return Some(data),
                Ok(Some(ChannelMsg::Eof) | None) | Err(_) => return None,
                Ok(Some(_)) => {}
            }
        }
    }

    async fn say(&mut self, reply: Vec<u8>) -> Option<()> {
        self.0.data(Bytes::from(reply)).await.ok()
    }
}

/// What a client asks for, and the bytes that it sent behind that.
///
/// # Errors
/// Why it gets nothing, for people; it has been told.
pub(super) async fn ask(client: &mut impl Client) -> Result<(Request, Bytes), &'static str> {
    let asked = tokio::time::timeout(TIMEOUT, converse(client)).await;
    asked.unwrap_or(Err("it does not say where it wants to go"))
}

async fn converse(client: &mut impl Client) -> Result<(Request, Bytes), &'static str> {
    let (mut bytes, mut greeted) = (Vec::new(), false);
    loop {
        match socks::step(&bytes, greeted) {
            Step::Connect(used, request) => return Ok((request, Bytes::from(bytes.split_off(used)))),
            Step::Refuse(reply, reason) => {
                // One that has gone needs no reply.
                let _ = client.say(reply).await;
                return Err(reason);
            }
            Step::Say(used, reply) => {
                bytes.drain(..used);
                greeted = true;
                client.say(reply).await.ok_or(GONE)?;
            }
            Step::More if bytes.len() > socks::MOST => return Err("it talks too much"),
            Step::More => bytes.extend_from_slice(&client.hear().await.ok_or(GONE)?),
        }
    }
}

impl From<&OpenError> for Failure {
    fn from(error: &OpenError) -> Self {
        match error {
            OpenError::Refused { reason: Refusal::Prohibited, .. } => Self::NotAllowed,
            OpenError::Refused { reason: Refusal::ConnectFailed, text } if is_about_the_host(text) => {
                Self::HostUnreachable
            }
            OpenError::Refused { reason: Refusal::ConnectFailed, .. } => Self::Refused,
            OpenError::Refused { .. } | OpenError::Lost => Self::Other,
        }
    }
}

/// Whether the server's words are about a host that is not there, rather than a port that refuses: SSH has one reason for both.
fn is_about_the_host(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["not known", "no such host", "resolve", "lookup", "no address", "unreachable", "no route", "timed out"]
        .iter()
        .any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_hears_what_the_server_said_as_far_as_it_can_be_told() {
        let failure = |reason, text: &str| Failure::from(&OpenError::Refused { reason, text: text.to_owned() });
        assert_eq!(failure(Refusal::ConnectFailed, "Connection refused"), Failure::Refused);
        assert_eq!(failure(Refusal::ConnectFailed, "Name or service not known"), Failure::HostUnreachable);
        assert_eq!(failure(Refusal::Prohibited, ""), Failure::NotAllowed);
        assert_eq!(Failure::from(&OpenError::Lost), Failure::Other);
    }
}
