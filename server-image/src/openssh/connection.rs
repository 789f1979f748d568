//! One TCP connection in the hands of an `sshd -i`: followed through its log, ended with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fargate_contract::limits::LOGIN_GRACE;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, Uid, getuid};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpStream, UnixListener};
use tokio::process::{Child, ChildStderr};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::line::{Inactivity, Line, of_strangers};
use super::{Known, Login, Sshd, desk};
use crate::accounts::Accounts;
use crate::admission::Refusal;
use crate::connection::{CONTAINER_ENDS, GAVE_WAY, GOODBYE};
use crate::host_key::fingerprint;
use crate::lifetime::{Ending, Happening};
use crate::log::{Event, milliseconds, name_of_account};
use crate::serve::Server;
use crate::startups::Place;

/// Time for an sshd that was told to end before it is killed.
const TOLD: Duration = Duration::from_millis(500);

/// Opens the desk for sessions, for as long as the server runs.
pub(crate) fn open_desk(listener: UnixListener, server: &Arc<Server>, sshd: &Sshd, tasks: &TaskTracker) {
    let desk = desk::serve(listener, Arc::clone(server), sshd.sshds.clone());
    let closing = server.closing.clone();
    tasks.spawn(async move { closing.run_until_cancelled(desk).await });
}

/// Serves one connection to its end. `place` is given back once it is authenticated.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, server: Arc<Server>, sshd: Arc<Sshd>, place: Place) {
    server.log.write(&Event::Accept { peer });
    let came = Instant::now();
    let (login, awaited) = watch::channel(Login::Awaited);
    let known = Known { login: awaited, ended: Arc::default() };
    let ended = Arc::clone(&known.ended);
    let Ok((child, group)) = hand_over(stream).and_then(|socket| sshd.spawn(socket, known)) else {
        server.log.write(&Event::Dropped { peer, reason: "sshd cannot be started" });
        return;
    };
    let mut running = Running::new(child, group, peer, Arc::clone(&server), login, ended);
    let dropped = tokio::select! {
        biased;
        reason = running.authenticate() => reason,
        () = sleep(LOGIN_GRACE) => Some("it did not authenticate in time"),
        () = place.lost() => Some(GAVE_WAY),
        () = server.closing.cancelled() => Some(CONTAINER_ENDS),
        () = server.admission.burnt() => Some("the key was used already"),
    };
    match dropped {
        Some(reason) => {
            running.kill().await;
            server.log.write(&Event::Dropped { peer, reason });
        }
        None => {
            drop(place);
            let ended = running.attend().await;
            let (happening, reason) = if running.inactivity.ended_it() {
                (Happening::LeftIdle, Ending::Idle.reason())
            } else {
                (Happening::Disconnected, if ended { "sshd ended" } else { CONTAINER_ENDS })
            };
            server.log.write(&Event::Disconnect { peer, duration_ms: milliseconds(came.elapsed()), reason });
            // Nobody listens any more when the container ends anyway.
            let _ = server.happenings.send(happening).await;
        }
    }
    sshd.sshds.remove(group);
}

/// sshd wants a blocking socket; what is small goes at once, as with the other engine.
fn hand_over(stream: TcpStream) -> std::io::Result<std::net::TcpStream> {
    stream.set_nodelay(true)?;
    let socket = stream.into_std()?;
    socket.set_nonblocking(false)?;
    Ok(socket)
}

/// An sshd with its log.
struct Running {
    child: Child,
    group: Pid,
    log: Option<BufReader<ChildStderr>>,
    peer: SocketAddr,
    server: Arc<Server>,
    login: watch::Sender<Login>,
    /// As in [`Known`].
    ended: Arc<AtomicUsize>,
    inactivity: Inactivity,
}

impl Running {
    fn new(
        mut child: Child,
        group: Pid,
        peer: SocketAddr,
        server: Arc<Server>,
        login: watch::Sender<Login>,
        ended: Arc<AtomicUsize>,
    ) -> Self {
        let log = child.stderr.take().map(BufReader::new);
        Self { child, group, log, peer, server, login, ended, inactivity: Inactivity::default() }
    }

    /// Follows the log up to the login. `Some` says why there was none.
    async fn authenticate(&mut self) -> Option<&'static str> {
        while let Some(line) = self.line().await {
            match Line::read(&line) {
                Line::Accepted { user } => return self.admit(user).await,
                Line::Refused { user, unknown, fingerprint } => {
                    let refusal = if unknown { Refusal::UnknownUser } else { Refusal::NotTheKey };
                    self.refused(user, fingerprint.map(str::to_owned), refusal);
                }
                // Nothing of these comes before a login.
                _ => {}
            }
        }
        Some("it left before it authenticated")
    }

    /// sshd has written its line before it answers the client, so a key that is burnt already opens nothing: of two logins at
    /// once, the second is killed as it arrives here.
    async fn admit(&mut self, user: &str) -> Option<&'static str> {
        let server = Arc::clone(&self.server);
        let key = server.admission.key();
        let Some(uid) = uid_of(user, &server) else {
            self.refused(user, Some(fingerprint(key)), Refusal::UnknownUser);
            return Some(Refusal::UnknownUser.reason());
        };
        // The login has to reach the lifetime before this connection's end can.
        let happening = server.happenings.reserve().await;
        let admitted = || {
            let _ = happening.map(|place| place.send(Happening::LoggedIn));
        };
        if let Err(refusal) = server.admission.admit(key, false, admitted) {
            self.refused(user, Some(fingerprint(key)), refusal);
            return Some(refusal.reason());
        }
        let caller = server.caller.as_deref();
        server.log.write(&Event::AuthOk { peer: self.peer, user, fingerprint: fingerprint(key), caller });
        self.login.send_replace(Login::Done { user: user.to_owned(), uid, peer: self.peer });
        None
    }

    fn refused(&self, user: &str, fingerprint: Option<String>, refusal: Refusal) {
        let reason = refusal.reason();
        let user = name_of_account(user);
        self.server.log.write(&Event::AuthRefused { peer: self.peer, user, fingerprint, reason });
    }

    /// Follows an authenticated connection to its end, or ends it when the container does. Whether it ended by itself.
    async fn attend(&mut self) -> bool {
        let closing = self.server.closing.clone();
        let ended = tokio::select! {
            () = self.follow() => true,
            () = closing.cancelled() => false,
        };
        // A client leaves by itself when its last channel closes; cut short, it would not report the exit status.
        if !ended && timeout(GOODBYE, self.follow()).await.is_err() {
            self.signal(Signal::SIGTERM);
            let _ = timeout(TOLD, self.follow()).await;
        }
        self.kill().await;
        ended
    }

    /// Follows the log to its end.
    async fn follow(&mut self) {
        while let Some(line) = self.line().await {
            self.inactivity.after(&Line::read(&line), self.ended.load(Ordering::Relaxed));
        }
    }

    /// The next line of sshd's log, written to ours as it comes. `None` once no process of this sshd is left to write one.
    async fn line(&mut self) -> Option<String> {
        let line = next_line(self.log.as_mut()?).await;
        match &line {
            Some(message) => {
                let authenticated = matches!(*self.login.borrow(), Login::Done { .. });
                let message = if authenticated { message } else { of_strangers(message) };
                self.server.log.write(&Event::Sshd { peer: self.peer, message, authenticated });
            }
            None => self.log = None,
        }
        line
    }

    fn signal(&self, signal: Signal) {
        // Not yet reaped by `kill`, so the number is still its own.
        let _ = killpg(self.group, signal);
    }

    /// Ends sshd, whatever it does, and tells its sessions.
    async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.login.send_replace(Login::Gone);
        let _ = self.child.wait().await;
        while self.line().await.is_some() {}
    }
}

async fn next_line(log: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    match log.read_until(b'\n', &mut line).await {
        Ok(1..) => Some(String::from_utf8_lossy(&line).trim_end().to_owned()),
        Ok(0) | Err(_) => None,
    }
}

/// The user whose processes may come to the desk.
fn uid_of(user: &str, server: &Server) -> Option<Uid> {
    let found = Accounts::read(&server.environment).resolve(user)?;
    Some(found.identity.map_or_else(getuid, |identity| identity.uid))
}
