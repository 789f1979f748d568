//! A session's talk with the remote over one channel, and where the remote keeps the session, over the next when a connection is
//! lost.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use fargate_contract::{ResumeId, ResumeRequest, resume};
use rand::RngExt as _;
use russh::ChannelMsg;
use russh::client::Msg;
use ssh_flow::{ChannelReceiver, ChannelSender};
use tokio::time::{Instant, timeout};

use super::ask::{Asked, ask};
use super::drain::{Outputs, Progress, drain};
use super::feed::{Changes, Keyboard, Typed};
use super::terminal::Terminal;
use super::way_back::{WayBack, come_back};
use super::{Ended, LAST_WORDS, SessionError, SessionRequest};
use crate::ssh::{Connection, SshError};

/// Time that a line of ours has to be written before the session goes on.
const SAID: Duration = Duration::from_secs(1);

/// What the session's name is drawn from.
pub(super) fn new_id() -> ResumeId {
    ResumeId::new(rand::rng().random())
}

/// One session's talk, whichever channel it has.
pub(super) struct Conversation<'a> {
    keyboard: &'a Keyboard,
    outputs: &'a Outputs,
    changes: Changes,
    typed: Typed,
    sender: ChannelSender<Msg>,
    /// What the session shall be asked for by.
    id: Option<ResumeId>,
    progress: Progress,
}

/// The session on another channel.
struct Resumed {
    connection: Connection,
    sender: ChannelSender<Msg>,
    receiver: ChannelReceiver,
    /// Bytes of our input that the remote has.
    position: u64,
}

impl<'a> Conversation<'a> {
    /// A session that is to begin on this channel; with `id` it is one that may outlive it.
    pub(super) fn new(
        keyboard: &'a Keyboard,
        outputs: &'a Outputs,
        changes: Changes,
        typed: Typed,
        sender: ChannelSender<Msg>,
        id: Option<ResumeId>,
    ) -> Self {
        Self { keyboard, outputs, changes, typed, sender, id, progress: Progress::default() }
    }

    /// Asks for what the session needs, then talks until it has ended, over as many connections as that takes.
    ///
    /// # Errors
    /// [`SessionError`].
    pub(super) async fn hold(
        &mut self,
        connection: &mut Connection,
        mut receiver: ChannelReceiver,
        pty: Option<Option<&Terminal>>,
        request: &SessionRequest,
        line: Option<String>,
        way: &impl WayBack,
    ) -> Result<Ended, SessionError> {
        let asked = ask(self.sender.requests(), pty, request, line, self.id.as_ref()).await;
        let Ok(mut asked) = asked else { return Err(connection.closed().await.into()) };
        loop {
            let ended = self.talk(connection, receiver, asked).await;
            let Some(id) = self.id.clone().filter(|_| self.progress.kept) else { return ended };
            let cause = match ended {
                Err(SessionError::Ssh(cause)) if cause.is_loss() => cause,
                other => return other,
            };
            (receiver, asked) = (self.come_back(connection, cause, &id, request, way).await?, VecDeque::new());
        }
    }

    /// Closes the channel where that is for us to do: where it is not at its end, and where the remote keeps the session until we do.
    pub(super) async fn leave(self, at_its_end: bool) {
        if !at_its_end || self.progress.kept {
            // The channel may wait for a peer that is not there; the connection's end closes it as well.
            let _ = timeout(LAST_WORDS, self.sender.close()).await;
        }
    }

    async fn talk(
        &mut self,
        connection: &Connection,
        receiver: ChannelReceiver,
        asked: VecDeque<Asked>,
    ) -> Result<Ended, SessionError> {
        let requests = self.sender.requests();
        tokio::select! {
            ended = drain(receiver, asked, self.outputs, connection, &mut self.progress) => ended,
            never = self.typed.forward(&self.sender, self.keyboard) => match never {},
            never = self.keyboard.follow(&mut self.changes, Some(requests)) => match never {},
        }
    }

    /// Goes on over another connection, which replaces `connection`.
    async fn come_back(
        &mut self,
        connection: &mut Connection,
        cause: SshError,
        id: &ResumeId,
        request: &SessionRequest,
        way: &impl WayBack,
    ) -> Result<ChannelReceiver, SessionError> {
        let (lost, grace) = (Instant::now(), request.reconnect_grace);
        let how_to_leave =
            self.keyboard.leaving().map(|keys| format!(" ({keys} ends the session)")).unwrap_or_default();
        self.say(request, &format!("connection lost; reconnecting...{how_to_leave}")).await;
        let again = ResumeRequest { id: id.clone(), received: self.progress.received };
        let resumed = tokio::select! {
            resumed = come_back(|| attempt(way, &again), way, grace, cause) => resumed?,
            never = self.keyboard.follow(&mut self.changes, None) => match never {},
        };
        // It cannot have input that we never sent, nor miss more than its credit allows.
        self.typed.rewind(resumed.position).map_err(|_| SessionError::ResumeRefused)?;
        *connection = resumed.connection;
        self.sender = resumed.sender;
        match way.back(connection).await {
            // A connection that is lost again is noticed where the session is read.
            Err(error) if !connection.is_closed() => return Err(error),
            _ => {}
        }
        self.keyboard.tell_size(self.sender.requests()).await;
        self.say(request, &format!("resumed after {:.1} s", lost.elapsed().as_secs_f64())).await;
        Ok(resumed.receiver)
    }

    /// A line of ours amid the remote's output, which goes on after it. The terminal is raw: lines need their carriage return.
    async fn say(&self, request: &SessionRequest, line: &str) {
        if !request.quiet {
            let said = self.outputs.stderr.write_out(Bytes::from(format!("\r\n{line}\r\n")));
            // A closed stderr leaves nobody to tell, and one that is stuck does not hold the session up.
            let _ = timeout(SAID, said).await;
        }
    }
}

/// One attempt: another connection, and the session on it.
async fn attempt(way: &impl WayBack, again: &ResumeRequest) -> Result<Resumed, SessionError> {
    let connected = way.connect().await;
    let connection = connected.map_err(|error| match error {
        // The key was good for nothing but this session.
        SshError::AuthRefused { .. } => SessionError::ResumeRefused,
        other => other.into(),
    })?;
    let (sender, mut receiver) = connection.open_session().await?;
    if sender.requests().request_subsystem(true, again.encode()).await.is_err() {
        return Err(connection.closed().await.into());
    }
    loop {
        match receiver.recv().await? {
            Some(ChannelMsg::Data { data }) => {
                // The first message is the remote's position and nothing else.
                let position =
                    <[u8; resume::POSITION_BYTES]>::try_from(&data[..]).map_err(|_| SessionError::ResumeRefused)?;
                return Ok(Resumed { connection, sender, receiver, position: u64::from_be_bytes(position) });
            }
            Some(ChannelMsg::Failure | ChannelMsg::Close) => return Err(SessionError::ResumeRefused),
            Some(_) => {}
            None => return Err(connection.closed().await.into()),
        }
    }
}
