//! Where the sessions' attendants come: each gets the container's environment, and reports how its session ended before the
//! client can learn of it.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, UCred};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::wire::{self, Hello, LINE_MAX, STOP, TAKEN, Welcome};
use super::{Known, Login, Sshds};
use crate::environment;
use crate::log::{Event, milliseconds};
use crate::serve::{ACCEPT_PAUSE, Server};
use crate::session::Outcome;

/// Receives attendants until dropped.
pub(super) async fn serve(listener: UnixListener, server: Arc<Server>, sshds: Sshds) {
    loop {
        let accepted = listener.accept().await.and_then(|(stream, _)| Ok((stream.peer_cred()?, stream)));
        let Ok((caller, stream)) = accepted else {
            // Out of descriptors or memory: sessions that end give some back.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        server.sessions.spawn(session(stream, caller, Arc::clone(&server), sshds.clone()));
    }
}

/// One session, from its attendant's arrival to its report.
async fn session(stream: UnixStream, caller: UCred, server: Arc<Server>, sshds: Sshds) {
    let Some((user, peer, mut known)) = admitted(&caller, &sshds).await else { return };
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    let Ok(hello) = receive::<Hello>(&mut lines).await else { return };
    let (number, began) = (server.next_session(), Instant::now());
    server.log.write(&Event::SessionStart {
        session: number,
        kind: hello.kind.word(),
        command: hello.command.filter(|_| server.audit.commands).map(Cow::Owned),
        command_bytes: hello.command_bytes,
        terminal: hello.terminal,
        user: &user,
        peer,
        caller: server.caller.as_deref(),
    });
    let outcome = match welcome(&server, &mut write).await {
        Ok(()) => attend(&mut lines, &mut write, &server, &mut known.login).await,
        Err(_) => Outcome::Unknown,
    };
    if !outcome.is_hangup() {
        known.ended.fetch_add(1, Ordering::Relaxed);
    }
    let code = outcome.code();
    server.session_ended(code);
    server.log.write(&Event::SessionEnd {
        session: number,
        code,
        reason: outcome.to_string(),
        duration_ms: milliseconds(began.elapsed()),
        // They pass through sshd alone.
        received: None,
        sent: None,
    });
    // Its client learns of it now; one that has gone need not.
    let _ = write.write_u8(TAKEN).await;
}

/// The login that a caller belongs to, once that is complete: it has to descend from an sshd of ours and be of the user who
/// logged in there.
async fn admitted(caller: &UCred, sshds: &Sshds) -> Option<(String, SocketAddr, Known)> {
    // A process outside our process namespace has no id here: a container beside us that shares only the network.
    let mut known = sshds.ancestor_of(caller.pid().filter(|pid| *pid > 0)?)?;
    let state = known.login.wait_for(|login| *login != Login::Awaited).await.ok()?.clone();
    match state {
        Login::Done { user, uid, peer } if uid.as_raw() == caller.uid() => Some((user, peer, known)),
        _ => None,
    }
}

async fn welcome(server: &Server, write: &mut OwnedWriteHalf) -> io::Result<()> {
    let records = wire::encode(&server.environment);
    let welcome = Welcome {
        core_limit: server.core_limit,
        directory: environment::own_directory(),
        environment_bytes: records.len(),
    };
    let mut line = serde_json::to_vec(&welcome)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    write.write_all(&records).await
}

/// Waits for the report; asks for the session's end when the container ends or the connection is gone.
async fn attend(
    lines: &mut BufReader<OwnedReadHalf>,
    write: &mut OwnedWriteHalf,
    server: &Server,
    login: &mut watch::Receiver<Login>,
) -> Outcome {
    let mut report = Box::pin(receive::<Outcome>(lines));
    tokio::select! {
        outcome = &mut report => return outcome.unwrap_or(Outcome::Unknown),
        () = server.stopping.cancelled() => {
            let _ = write.write_u8(STOP).await;
        }
        () = gone(login) => {
            let _ = write.shutdown().await;
        }
    }
    report.await.unwrap_or(Outcome::Unknown)
}

async fn gone(login: &mut watch::Receiver<Login>) {
    // A sender that is gone says the same.
    let _ = login.wait_for(|login| *login == Login::Gone).await;
}

async fn receive<T: serde::de::DeserializeOwned>(lines: &mut BufReader<OwnedReadHalf>) -> io::Result<T> {
    let mut line = Vec::new();
    lines.take(LINE_MAX).read_until(b'\n', &mut line).await?;
    Ok(serde_json::from_slice(&line)?)
}
