//! The agent of a container or an instance, as far as one session concerns it: it speaks over the data channel and does the work.
//!
//! Behaviour after amazon-ssm-agent 3.3 (`agent/session`), written from a description of its protocol.

mod command;
mod encryption;
mod handshake;
mod port;
mod reach;
mod settings;
mod shell;
mod smux;
mod split;
mod talk;
mod words;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::document::Work;
use crate::launcher::Place;
use crate::state::Shared;

pub(crate) use handshake::is_at_least;
pub(crate) use reach::Reach;
pub use settings::Agents;
use talk::Talk;

/// How long the last output waits for its acknowledgement.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What an agent is told to do.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) session_id: String,
    /// As the session was asked for: part of the encryption context.
    pub(crate) target: String,
    pub(crate) work: Work,
    /// Key that shells and commands are encrypted under.
    pub(crate) kms_key: Option<String>,
    pub(crate) place: Place,
    pub(crate) reach: Reach,
    /// Whether it lives in a container: commands then go without a shell.
    pub(crate) is_container: bool,
    /// Of a thousand acknowledgements, so many are not heeded.
    pub(crate) deaf_per_mille: u32,
}

/// An agent's connection to the service.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) from_service: mpsc::Receiver<Bytes>,
    pub(crate) to_service: mpsc::Sender<Bytes>,
}

/// Does the work; answers what the user is told at the end, mostly nothing.
pub(crate) async fn run(shared: Arc<Shared>, order: Order, line: Line) -> String {
    let (talk, responses) = Talk::new(&shared, &order, line.to_service);
    let talk = Arc::new(talk);
    let work = async {
        talk.tell_state("Connected").await;
        let output = perform(&shared, &order, &talk, responses).await.err().unwrap_or_default();
        // What is not acknowledged by then is lost, as it is with the real one.
        let _ = tokio::time::timeout(LAST_WORDS, talk.until(super::channel::Channel::is_drained)).await;
        talk.tell_state("Terminating").await;
        output
    };
    tokio::select! {
        output = work => output,
        // The service closed the channel.
        () = talk.listen(line.from_service) => String::new(),
        () = talk.resend() => String::new(),
    }
}

/// `Err` is what the user is told.
async fn perform(
    shared: &Arc<Shared>,
    order: &Order,
    talk: &Arc<Talk>,
    responses: handshake::Responses,
) -> Result<(), String> {
    let client_version = handshake::shake(shared, order, talk, responses).await?;
    let agents = &shared.config.agents;
    match &order.work {
        Work::Port(port) => port::serve(order, port, talk, agents, &client_version).await,
        Work::Shell => shell::serve(order, None, talk, agents).await,
        Work::Interactive { command } => shell::serve(order, Some(command), talk, agents).await,
        Work::NonInteractive { command, separate_output } => {
            command::serve(order, command, *separate_output, talk).await
        }
    }
}
