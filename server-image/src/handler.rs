//! What russh calls: authentication, then channels and requests. It decides and hands on; it never waits for a process or a target,
//! because nothing else of the connection moves meanwhile.

use std::sync::Arc;

use fargate_contract::{ResumeRequest, resume};
use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect, Pty, Sig};
use ssh_flow::Link;
use tokio_util::sync::CancellationToken;

use crate::accounts::{Accounts, User};
use crate::admission::{Entry, Refusal};
use crate::connection::{Endpoints, Tie};
use crate::forward::Forwards;
use crate::host_key::fingerprint;
use crate::lifetime::Happening;
use crate::log::{Event, name_of_account};
use crate::serve::Server;
use crate::session::{Program, SFTP, TerminalRequest, WindowSize, signals};
use crate::session_channels::SessionChannels;

/// One connection's callbacks.
pub(crate) struct Handler {
    server: Arc<Server>,
    ends: Endpoints,
    /// Cancelled by a full login, or by the resumption that another is good for.
    authenticated: CancellationToken,
    login: Login,
    sessions: SessionChannels,
    forwards: Forwards,
}

/// What the connection's login is good for.
enum Login {
    /// There was none.
    Not,
    /// Asking for a session of an earlier connection.
    Resuming(User),
    /// What [`Login::Resuming`] is, once it has the session: forwarding and files besides.
    Resumed(User),
    Full(User),
}

impl Login {
    /// Who may start sessions.
    const fn user(&self) -> Option<&User> {
        match self {
            Self::Full(user) => Some(user),
            Self::Not | Self::Resuming(_) | Self::Resumed(_) => None,
        }
    }

    /// Who may forward, and move files: beside a session, or behind it.
    const fn companion(&self) -> Option<&User> {
        match self {
            Self::Full(user) | Self::Resumed(user) => Some(user),
            Self::Not | Self::Resuming(_) => None,
        }
    }
}

impl Handler {
    pub(crate) fn new(
        server: Arc<Server>,
        ends: Endpoints,
        link: Link,
        tie: Tie,
        authenticated: CancellationToken,
    ) -> Self {
        let forwards = Forwards::new(Arc::clone(&server), ends.peer, link.clone(), tie.clone());
        let sessions = SessionChannels::new(Arc::clone(&server), ends, link, tie);
        Self { server, ends, authenticated, login: Login::Not, sessions, forwards }
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

    fn start(&mut self, channel: ChannelId, program: Program, session: &mut Session) -> Result<(), russh::Error> {
        let user = if matches!(program, Program::Sftp) { self.login.companion() } else { self.login.user() };
        match user.cloned() {
            Some(user) => self.sessions.start(channel, user, program, session),
            None => session.channel_failure(channel),
        }
    }

    async fn resume(
        &mut self,
        channel: ChannelId,
        request: &ResumeRequest,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let sit_down = match self.sessions.resume(channel, request, session) {
            Ok(sit_down) => sit_down,
            Err(reason) => {
                self.server.log.write(&Event::ResumeRefused { peer: self.ends.peer, reason });
                session.channel_failure(channel)?;
                // Whoever came for nothing else has nothing left to do here: an id is not guessed by trying on.
                return match self.login {
                    Login::Full(_) | Login::Resumed(_) => Ok(()),
                    Login::Not | Login::Resuming(_) => {
                        session.disconnect(Disconnect::ByApplication, "no such session", "")
                    }
                };
            }
        };
        if let Login::Resuming(user) = &self.login {
            self.login = Login::Resumed(user.clone());
            // The lifetime counts this connection from here on.
            let _ = self.server.happenings.send(Happening::LoggedIn).await;
            self.authenticated.cancel();
        }
        session.channel_success(channel)?;
        sit_down();
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
        match self.server.admission.admit(key.public_key, self.sessions.may_resume(), admitted) {
            Err(refusal) => return Ok(self.refuse(user, Some(key.public_key), refusal)),
            Ok(Entry::Full) => self.login = Login::Full(found),
            // It cannot start anything, and holds the place of an unauthenticated connection until it has resumed something.
            Ok(Entry::Resuming) => self.login = Login::Resuming(found),
        }
        let caller = self.server.caller.as_deref();
        let fingerprint = fingerprint(key.public_key);
        self.server.log.write(&Event::AuthOk { peer: self.ends.peer, user, fingerprint, caller });
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
        if self.sessions.open(channel, self.login.companion().is_some()) {
            reply.accept().await;
        } else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host_to_connect: &str,
        port_to_connect: u32,
        originator_address: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let origin = (originator_address, originator_port);
        self.forwards.open_tcp(self.login.companion(), channel, (host_to_connect, port_to_connect), origin, reply);
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        socket_path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.forwards.open_unix(self.login.companion(), channel, socket_path, reply);
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        session: &mut Session,
    ) -> Result<bool, Self::Error> {
        let bound = self.forwards.listen_tcp(self.login.companion(), address, *port, session.handle()).await;
        *port = bound.unwrap_or(*port);
        Ok(bound.is_some())
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _session: &mut Session,
    ) -> Result<bool, Self::Error> {
        Ok(self.forwards.cancel_tcp(address, port))
    }

    async fn streamlocal_forward(&mut self, socket_path: &str, session: &mut Session) -> Result<bool, Self::Error> {
        Ok(self.forwards.listen_unix(self.login.companion(), socket_path, session.handle()).await)
    }

    async fn cancel_streamlocal_forward(
        &mut self,
        socket_path: &str,
        _session: &mut Session,
    ) -> Result<bool, Self::Error> {
        Ok(self.forwards.cancel_unix(socket_path))
    }

    async fn agent_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<bool, Self::Error> {
        let Some(user) = self.login.companion() else { return Ok(false) };
        Ok(self.sessions.agent(channel, user, &self.forwards, session))
    }

    // Refused, and so are the channels that only a server opens: russh says so for those that are not named here.
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
        self.sessions.close(channel);
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
        let size = WindowSize::new(col_width, row_height, pix_width, pix_height);
        let terminal = TerminalRequest { term: term.to_owned(), size, modes: modes.to_vec() };
        let granted = self.login.user().is_some() && self.sessions.terminal(channel, terminal);
        reply(granted, channel, session)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let granted = self.login.user().is_some()
            && match name {
                resume::ID_VARIABLE => self.sessions.resume_id(channel, value),
                name => self.sessions.variable(channel, name, value),
            };
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
            None if name == SFTP => self.start(channel, Program::Sftp, session),
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
        let resized = self.sessions.resize(channel, size);
        reply(resized, channel, session)
    }

    async fn signal(&mut self, channel: ChannelId, signal: Sig, session: &mut Session) -> Result<(), Self::Error> {
        let signal = signals::from_wire(&signal);
        let sent = signal.is_some_and(|signal| self.sessions.signal(channel, signal));
        reply(sent, channel, session)
    }
}
