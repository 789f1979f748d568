//! The session channels of one connection: what was asked for on each so far, then how to reach what runs on it.

use std::collections::HashMap;
use std::sync::Arc;

use fargate_contract::{ResumeId, ResumeRequest};
use nix::sys::signal::Signal;
use russh::server::{Msg, Session};
use russh::{Channel, ChannelId};
use ssh_flow::{ChannelReceiver, ChannelSender, Link, split};

use crate::accounts::User;
use crate::connection::{Endpoints, Tie};
use crate::environment::client_may_set;
use crate::forward::{AgentSocket, Forwards};
use crate::resumable::{Attachment, Place, Resumables};
use crate::serve::Server;
use crate::session::{self, Controls, Origin, Program, TerminalRequest, WindowSize};

/// Variables that one session's client may set, and the bytes they may hold together: more than any locale needs.
const CLIENT_VARIABLES: usize = 128;
const CLIENT_VARIABLES_BYTES: usize = 64 * 1024;

/// Sessions that one connection may have at once, as `MaxSessions` of OpenSSH bounds them; a multiplexing client opens many.
const SESSIONS: usize = 64;

/// Sessions that all connections may have at once, those included whose channel is closed while their process is being ended.
const ALL_SESSIONS: usize = 4 * SESSIONS;

/// A session channel: what was asked for so far, then how to reach what runs.
enum SessionChannel {
    Asking(Box<Asked>),
    Running(Controls),
}

struct Asked {
    sender: ChannelSender<Msg>,
    receiver: ChannelReceiver,
    terminal: Option<TerminalRequest>,
    variables: Vec<(String, String)>,
    /// What the client will ask for the session by, should it lose it.
    resume: Option<ResumeId>,
    agent: Option<AgentSocket>,
}

/// One connection's.
pub(crate) struct SessionChannels {
    server: Arc<Server>,
    ends: Endpoints,
    link: Link,
    tie: Tie,
    channels: HashMap<ChannelId, SessionChannel>,
}

impl SessionChannels {
    pub(crate) fn new(server: Arc<Server>, ends: Endpoints, link: Link, tie: Tie) -> Self {
        Self { server, ends, link, tie, channels: HashMap::new() }
    }

    /// Whether sessions of this connection can outlive it: only towards our own client, whose credit bounds what it can miss.
    pub(crate) fn may_resume(&self) -> bool {
        !self.server.reconnect_grace.is_zero() && self.link.has_credit()
    }

    /// Takes a channel in that the client opens. `full`: it may have more than the one on which a session is asked for again.
    /// Answers whether there is a place for it.
    pub(crate) fn open(&mut self, channel: Channel<Msg>, full: bool) -> bool {
        // russh does not tell of channels that we closed first.
        self.channels.retain(|_, channel| !matches!(channel, SessionChannel::Running(controls) if controls.is_over()));
        let most = if full { SESSIONS } else { 1 };
        if self.channels.len() >= most || self.server.sessions.len() >= ALL_SESSIONS {
            return false;
        }
        let id = channel.id();
        let (sender, receiver) = split(channel, &self.link);
        let asked = Asked { sender, receiver, terminal: None, variables: Vec::new(), resume: None, agent: None };
        self.channels.insert(id, SessionChannel::Asking(Box::new(asked)));
        true
    }

    pub(crate) fn close(&mut self, channel: ChannelId) {
        self.channels.remove(&channel);
    }

    /// What was asked for on a channel whose program has not started.
    fn asked(&mut self, channel: ChannelId) -> Option<&mut Asked> {
        match self.channels.get_mut(&channel) {
            Some(SessionChannel::Asking(asked)) => Some(asked),
            _ => None,
        }
    }

    fn running(&self, channel: ChannelId) -> Option<&Controls> {
        match self.channels.get(&channel) {
            Some(SessionChannel::Running(controls)) => Some(controls),
            _ => None,
        }
    }

    // Each request's verb answers whether it is granted.

    pub(crate) fn terminal(&mut self, channel: ChannelId, terminal: TerminalRequest) -> bool {
        let asked = self.asked(channel).filter(|asked| asked.terminal.is_none());
        asked.map(|asked| asked.terminal = Some(terminal)).is_some()
    }

    pub(crate) fn variable(&mut self, channel: ChannelId, name: &str, value: &str) -> bool {
        let asked = self.asked(channel).filter(|asked| {
            let bytes: usize = asked.variables.iter().map(|(name, value)| name.len() + value.len()).sum();
            let room = asked.variables.len() < CLIENT_VARIABLES && bytes + value.len() <= CLIENT_VARIABLES_BYTES;
            room && client_may_set(name) && !value.contains('\0')
        });
        asked.map(|asked| asked.variables.push((name.to_owned(), value.to_owned()))).is_some()
    }

    pub(crate) fn resume_id(&mut self, channel: ChannelId, value: &str) -> bool {
        let id = ResumeId::decode(value).filter(|id| self.may_resume() && !self.server.resumables.knows(id));
        let asked = self.asked(channel).filter(|asked| asked.resume.is_none()).zip(id);
        asked.map(|(asked, id)| asked.resume = Some(id)).is_some()
    }

    /// Makes the client's agent reachable: for the session to be, or, where one was resumed here, for that one again.
    pub(crate) fn agent(&mut self, channel: ChannelId, user: &User, forwards: &Forwards, session: &Session) -> bool {
        match self.channels.get_mut(&channel) {
            Some(SessionChannel::Asking(asked)) => {
                if asked.agent.is_none() {
                    asked.agent = forwards.agent(user, session.handle());
                }
                asked.agent.is_some()
            }
            Some(SessionChannel::Running(controls)) => forwards.agent_again(controls.agent.as_ref(), session.handle()),
            None => false,
        }
    }

    pub(crate) fn resize(&mut self, channel: ChannelId, size: WindowSize) -> bool {
        if let Some(asked) = self.asked(channel) {
            asked.terminal.iter_mut().for_each(|terminal| terminal.size = size);
        }
        self.running(channel).is_some_and(|controls| controls.resize(size))
    }

    pub(crate) fn signal(&self, channel: ChannelId, signal: Signal) -> bool {
        self.running(channel).is_some_and(|controls| controls.signal(signal))
    }

    /// Starts the one program that a session channel may have (RFC 4254, section 6.5).
    pub(crate) fn start(
        &mut self,
        channel: ChannelId,
        user: User,
        program: Program,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let asked = match self.channels.remove(&channel) {
            Some(SessionChannel::Asking(asked)) => *asked,
            Some(running) => {
                self.channels.insert(channel, running);
                return session.channel_failure(channel);
            }
            None => return session.channel_failure(channel),
        };
        // Before the program starts, so that its output cannot overtake the reply.
        session.channel_success(channel)?;
        let size = asked.terminal.as_ref().map(|terminal| terminal.size);
        let (controls, requests) = Controls::new(size, asked.agent.as_ref().map(AgentSocket::route));
        let resume = asked.resume.filter(|_| asked.terminal.is_some());
        let standing = resume.map(|id| Resumables::open(&self.server, id, controls.clone()));
        // A session that ends with its connection leaves nothing to come back to. Files go before the session that they are for.
        if !matches!(program, Program::Sftp) {
            self.server.admission.burn();
        }
        let attachment = self.attachment(channel, asked.sender, asked.receiver, None, session);
        let server = Arc::clone(&self.server);
        let origin = Origin { server, user, attachment, requests, standing, agent: asked.agent };
        self.channels.insert(channel, SessionChannel::Running(controls));
        let served = session::run(origin, asked.terminal, asked.variables, program);
        self.server.sessions.spawn(served);
        Ok(())
    }

    /// Gives a channel the session that is asked for. The request is answered by the caller.
    ///
    /// # Errors
    /// Why the client does not get it.
    pub(crate) fn resume(
        &mut self,
        channel: ChannelId,
        request: &ResumeRequest,
        session: &Session,
    ) -> Result<impl FnOnce() + use<>, &'static str> {
        let Place { controls, seat } = self.server.resumables.take(request)?;
        let asked = match self.channels.remove(&channel) {
            Some(SessionChannel::Asking(asked)) => *asked,
            other => {
                other.into_iter().for_each(|other| drop(self.channels.insert(channel, other)));
                return Err("its channel is in use");
            }
        };
        self.channels.insert(channel, SessionChannel::Running(controls));
        let attachment = self.attachment(channel, asked.sender, asked.receiver, Some(request.received), session);
        Ok(move || drop(seat.send(attachment)))
    }

    fn attachment(
        &self,
        channel: ChannelId,
        sender: ChannelSender<Msg>,
        receiver: ChannelReceiver,
        received: Option<u64>,
        session: &Session,
    ) -> Attachment {
        let (ends, tie) = (self.ends, self.tie.clone());
        Attachment { handle: session.handle(), channel, sender, receiver, ends, tie, received }
    }
}
