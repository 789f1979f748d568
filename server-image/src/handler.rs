//! What russh calls: authentication, then the requests of session channels. It decides and hands on; it never waits for a
//! process, because nothing else of the connection moves meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use fargate_contract::{ResumeId, ResumeRequest, resume};

use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect, Pty, Sig};
use ssh_flow::{ChannelReceiver, ChannelSender, Link, split};
use tokio_util::sync::CancellationToken;

use crate::accounts::{Accounts, User};
use crate::admission::{Entry, Refusal};
use crate::connection::{Endpoints, Tie};
use crate::environment::client_may_set;
use crate::host_key::fingerprint;
use crate::lifetime::Happening;
use crate::log::{Event, name_of_account};
use crate::resumable::{Attachment, Place, Resumables};
use crate::serve::Server;
use crate::session::{self, Controls, Origin, Program, TerminalRequest, WindowSize, signals};

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
}

/// One connection's callbacks.
pub(crate) struct Handler {
    server: Arc<Server>,
    ends: Endpoints,
    link: Link,
    tie: Tie,
    /// Cancelled by a full login, or by the resumption that another is good for.
    authenticated: CancellationToken,
    /// Present after a full login.
    user: Option<User>,
    channels: HashMap<ChannelId, SessionChannel>,
}

impl Handler {
    pub(crate) fn new(
        server: Arc<Server>,
        ends: Endpoints,
        link: Link,
        tie: Tie,
        authenticated: CancellationToken,
    ) -> Self {
        Self { server, ends, link, tie, authenticated, user: None, channels: HashMap::new() }
    }

    /// Whether sessions of this connection can outlive it: only towards our own client, whose credit bounds what it can miss.
    fn may_resume(&self) -> bool {
        !self.server.reconnect_grace.is_zero() && self.link.has_credit()
    }

    fn refuse(&self, user: &str, key: Option<&PublicKey>, refusal: Refusal) -> Auth {
        self.server.log.write(&Event::AuthRefused {
            peer: self.ends.peer,
            user: name_of_account(user),
            fingerprint: key.map(fingerprint),
            reason: refusal.reason(),
        });
        Auth::reject()
    }

    fn resolve(&self, login: &str) -> Option<User> {
        Accounts::read(&self.server.environment).resolve(login)
    }

    /// What was asked for on a channel whose program has not started.
    fn asked(&mut self, channel: ChannelId) -> Option<&mut Asked> {
        match self.channels.get_mut(&channel) {
            Some(SessionChannel::Asking(asked)) if self.user.is_some() => Some(asked),
            _ => None,
        }
    }

    fn running(&self, channel: ChannelId) -> Option<&Controls> {
        match self.channels.get(&channel) {
            Some(SessionChannel::Running(controls)) => Some(controls),
            _ => None,
        }
    }

    /// Starts the one program that a session channel may have (RFC 4254, section 6.5).
    fn start(&mut self, channel: ChannelId, program: Program, session: &mut Session) -> Result<(), russh::Error> {
        let Some(user) = self.user.clone() else { return session.channel_failure(channel) };
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
        let (controls, requests) = Controls::new(asked.terminal.as_ref().map(|terminal| terminal.size));
        let resume = asked.resume.filter(|_| asked.terminal.is_some());
        let standing = resume.map(|id| Resumables::open(&self.server, id, controls.clone()));
        // A session that ends with its connection leaves nothing to come back to.
        self.server.admission.burn();
        let attachment = Attachment {
            handle: session.handle(),
            channel,
            sender: asked.sender,
            receiver: asked.receiver,
            ends: self.ends,
            tie: self.tie.clone(),
            received: None,
        };
        let origin = Origin { server: Arc::clone(&self.server), user, attachment, requests, standing };
        self.channels.insert(channel, SessionChannel::Running(controls));
        let served = session::run(origin, asked.terminal, asked.variables, program);
        self.server.sessions.spawn(served);
        Ok(())
    }

    /// Gives a channel the session that is asked for.
    async fn resume(
        &mut self,
        channel: ChannelId,
        request: &ResumeRequest,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let place = self.server.resumables.take(request);
        let asked = match (place, self.channels.remove(&channel)) {
            (Ok(place), Some(SessionChannel::Asking(asked))) => Ok((place, *asked)),
            (Ok(_), other) => {
                other.into_iter().for_each(|other| drop(self.channels.insert(channel, other)));
                Err("its channel is in use")
            }
            (Err(reason), _) => Err(reason),
        };
        let (Place { controls, seat }, asked) = match asked {
            Ok(asked) => asked,
            Err(reason) => {
                self.server.log.write(&Event::ResumeRefused { peer: self.ends.peer, reason });
                session.channel_failure(channel)?;
                // Whoever came for nothing else has nothing left to do here: an id is not guessed by trying on.
                return match self.user {
                    Some(_) => Ok(()),
                    None => session.disconnect(Disconnect::ByApplication, "no such session", ""),
                };
            }
        };
        if self.user.is_none() {
            // The lifetime counts this connection from here on.
            let _ = self.server.happenings.send(Happening::LoggedIn).await;
            self.authenticated.cancel();
        }
        session.channel_success(channel)?;
        self.channels.insert(channel, SessionChannel::Running(controls));
        let _ = seat.send(Attachment {
            handle: session.handle(),
            channel,
            sender: asked.sender,
            receiver: asked.receiver,
            ends: self.ends,
            tie: self.tie.clone(),
            received: Some(request.received),
        });
        Ok(())
    }
}

/// A reply to a channel request, in the order of the requests: russh remembers one pending reply per channel only.
fn reply(granted: bool, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
    if granted { session.channel_success(channel) } else { session.channel_failure(channel) }
}

impl russh::server::Handler for Handler {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        let checked = self.server.admission.check_signed(offer.public_key, offer.algorithm);
        let known = checked.and_then(|()| self.resolve(user).map(|_| ()).ok_or(Refusal::UnknownUser));
        Ok(match known {
            Ok(()) => Auth::Accept,
            Err(refusal) => self.refuse(user, Some(offer.public_key), refusal),
        })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let Some(found) = self.resolve(user) else {
            return Ok(self.refuse(user, Some(key.public_key), Refusal::UnknownUser));
        };
        if let Err(refusal) = self.server.admission.check_signed(key.public_key, key.algorithm) {
            return Ok(self.refuse(user, Some(key.public_key), refusal));
        }
        // The login has to reach the lifetime before this connection's end can.
        let happening = self.server.happenings.reserve().await;
        let admitted = || {
            let _ = happening.map(|place| place.send(Happening::LoggedIn));
            self.authenticated.cancel();
        };
        match self.server.admission.admit(key.public_key, self.may_resume(), admitted) {
            Err(refusal) => return Ok(self.refuse(user, Some(key.public_key), refusal)),
            Ok(Entry::Full) => self.user = Some(found),
            // It cannot start anything, and holds the place of an unauthenticated connection until it has resumed something.
            Ok(Entry::Resuming) => {}
        }
        self.server.log.write(&Event::AuthOk { peer: self.ends.peer, user, fingerprint: fingerprint(key.public_key) });
        Ok(Auth::Accept)
    }

    async fn auth_password(&mut self, user: &str, _password: &str) -> Result<Auth, Self::Error> {
        Ok(self.refuse(user, None, Refusal::NotAKey))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let most = if self.user.is_some() { SESSIONS } else { 1 };
        if self.channels.len() >= most || self.server.sessions.len() >= ALL_SESSIONS {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let id = channel.id();
        let (sender, receiver) = split(channel, &self.link);
        let asked = Asked { sender, receiver, terminal: None, variables: Vec::new(), resume: None };
        self.channels.insert(id, SessionChannel::Asking(Box::new(asked)));
        reply.accept().await;
        Ok(())
    }

    // Nothing of these is granted. russh would answer a dropped `reply` in the same way, but says so nowhere in its tests.
    async fn channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        Ok(())
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single_connection: bool,
        _x11_auth_protocol: &str,
        _x11_auth_cookie: &str,
        _x11_screen_number: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn channel_close(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.channels.remove(&channel);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        col_width: u32,
        row_height: u32,
        pix_width: u32,
        pix_height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let asked = self.asked(channel).filter(|asked| asked.terminal.is_none());
        let granted = asked.is_some();
        if let Some(asked) = asked {
            let size = WindowSize::new(col_width, row_height, pix_width, pix_height);
            asked.terminal = Some(TerminalRequest { term: term.to_owned(), size, modes: modes.to_vec() });
        }
        reply(granted, channel, session)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name == resume::ID_VARIABLE {
            let id = ResumeId::decode(value).filter(|id| self.may_resume() && !self.server.resumables.knows(id));
            let asked = self.asked(channel).filter(|asked| asked.resume.is_none()).zip(id);
            let granted = asked.is_some();
            if let Some((asked, id)) = asked {
                asked.resume = Some(id);
            }
            return reply(granted, channel, session);
        }
        let asked = self.asked(channel).filter(|asked| {
            let bytes: usize = asked.variables.iter().map(|(name, value)| name.len() + value.len()).sum();
            let room = asked.variables.len() < CLIENT_VARIABLES && bytes + value.len() <= CLIENT_VARIABLES_BYTES;
            room && client_may_set(name) && !value.contains('\0')
        });
        let granted = asked.is_some();
        if let Some(asked) = asked {
            asked.variables.push((name.to_owned(), value.to_owned()));
        }
        reply(granted, channel, session)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.start(channel, Program::Shell, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.start(channel, Program::Command(data.to_vec()), session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match ResumeRequest::decode(name) {
            Some(request) => self.resume(channel, &request, session).await,
            None => session.channel_failure(channel),
        }
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        col_width: u32,
        row_height: u32,
        pix_width: u32,
        pix_height: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let size = WindowSize::new(col_width, row_height, pix_width, pix_height);
        if let Some(asked) = self.asked(channel) {
            asked.terminal.iter_mut().for_each(|terminal| terminal.size = size);
        }
        let resized = self.running(channel).is_some_and(|controls| controls.resize(size));
        reply(resized, channel, session)
    }

    async fn signal(&mut self, channel: ChannelId, signal: Sig, session: &mut Session) -> Result<(), Self::Error> {
        let signal = signals::from_wire(&signal);
        let sent = self.running(channel).zip(signal).is_some_and(|(controls, signal)| controls.signal(signal));
        reply(sent, channel, session)
    }
}
