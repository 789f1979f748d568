//! Listeners of the task: asked for on every connection, and what comes in by them connected to from here.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::announce::{Kind, Listening};
use super::listener::At;
use super::proxy;
use super::relay::relay;
use super::spec::{Bind, Listen, Purpose, RemoteForward, Target};
use super::stream::Stream;
use super::{ForwardError, Shared};
use crate::ssh::channels::{Halves, Incoming, OpenError, Opener, Origin, Refusal};
use crate::ssh::{Connection, SshError};

/// After a reconnect the task may still hold the listener for a connection that it does not know to be lost; our init gives it to us all
/// the same, an sshd does not: how often, and after which pause, it is asked again. Together longer than a server takes to notice a
/// silent peer.
const TRIES_AGAIN: u32 = 120;
const PAUSE: Duration = Duration::from_millis(500);

/// The listeners of the task that a run asks for.
#[derive(Debug)]
pub(super) struct Remote {
    forwards: Vec<RemoteForward>,
    agent: Option<PathBuf>,
    /// Those that have stood, by place, with their port, which the next connection asks for again; 0 for a socket's path.
    stood: Mutex<Vec<Option<u16>>>,
    shared: Shared,
}

/// A listener that stands.
#[derive(Clone, Debug)]
struct Standing {
    at: At,
    purpose: Purpose,
}

/// Those of one connection, once all have been asked for.
type Table = watch::Receiver<Option<Arc<Vec<Standing>>>>;

impl Remote {
    pub(super) fn new(forwards: Vec<RemoteForward>, agent: Option<PathBuf>, shared: Shared) -> Self {
        let stood = Mutex::new(vec![None; forwards.len()]);
        Self { forwards, agent, stood, shared }
    }

    pub(super) fn offers_agent(&self) -> bool {
        self.agent.is_some()
    }

    /// Asks for all of them, and serves what comes in by them and for the agent. `waits` is called when that takes its time.
    ///
    /// # Errors
    /// [`ForwardError::Refused`] without `keep_going`, and [`ForwardError::Ssh`].
    pub(super) async fn stand(
        &self,
        connection: &Connection,
        keep_going: bool,
        waits: impl Fn(),
    ) -> Result<Vec<Listening>, ForwardError> {
        if self.forwards.is_empty() && self.agent.is_none() {
            return Ok(Vec::new());
        }
        let (table_tx, table_rx) = watch::channel(None);
        if let Some(incoming) = connection.incoming() {
            self.shared.spawn(serve(self.shared.clone(), incoming, table_rx, self.agent.clone()));
        }
        let (opener, mut table) = (connection.opener(), Vec::new());
        for (place, forward) in self.forwards.iter().enumerate() {
            match self.ask(&opener, place, forward, &waits).await {
                Ok(at) => table.push(Standing { at, purpose: forward.purpose.clone() }),
                Err(SshError::ForwardRefused) => {
                    let refused =
                        ForwardError::Refused { at: forward.listen.to_string(), target: forward.purpose.to_string() };
                    if !keep_going {
                        return Err(refused);
                    }
                    self.shared.ui.warn(&refused.to_string());
                }
                Err(other) => return Err(other.into()),
            }
        }
        let listening = table
            .iter()
            .map(|standing| Listening { kind: Kind::Remote(standing.purpose.clone()), at: standing.at.clone() });
        let listening = listening.collect();
        table_tx.send_replace(Some(Arc::new(table)));
        Ok(listening)
    }

    async fn ask(
        &self,
        opener: &Opener,
        place: usize,
        forward: &RemoteForward,
        waits: &impl Fn(),
    ) -> Result<At, SshError> {
        let before = self.stood().get(place).copied().flatten();
        let mut tries = if before.is_some() { TRIES_AGAIN } else { 0 };
        let (port, at) = loop {
            let asked = match &forward.listen {
                Listen::Unix(path) => {
                    let stands = opener.streamlocal_forward(&path.to_string_lossy()).await;
                    stands.map(|()| (0, At::Unix(path.clone())))
                }
                Listen::Tcp { bind, port } => {
                    let host = requested(bind);
                    let shown = if host.is_empty() { "*" } else { host };
                    let chosen = opener.tcpip_forward(host, before.unwrap_or(*port)).await;
                    chosen.map(|port| (port, At::Tcp { host: shown.to_owned(), port }))
                }
            };
            match asked {
                Err(SshError::ForwardRefused) if tries > 0 => {
                    tries -= 1;
                    waits();
                    tokio::time::sleep(PAUSE).await;
                }
                other => break other?,
            }
        };
        if let Some(stood) = self.stood().get_mut(place) {
            *stood = Some(port);
        }
        Ok(at)
    }

    fn stood(&self) -> MutexGuard<'_, Vec<Option<u16>>> {
        self.stood.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The address of the request (RFC 4254, section 7.1): `localhost` is loopback in both families, and the empty one is every address.
fn requested(bind: &Bind) -> &str {
    match bind {
        Bind::Unsaid => "localhost",
        Bind::Every => "",
        Bind::Address(address) => address,
    }
}

async fn serve(shared: Shared, mut incoming: mpsc::Receiver<Incoming>, table: Table, agent: Option<PathBuf>) {
    while let Some(one) = incoming.recv().await {
        // Without a place it is refused, by being dropped.
        let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else { continue };
        let (shared_too, table, agent) = (shared.clone(), table.clone(), agent.clone());
        shared.spawn(async move {
            let _place = place;
            carry(&shared_too, one, table, agent).await;
        });
    }
}

/// One connection that came in.
async fn carry(shared: &Shared, incoming: Incoming, mut table: Table, agent: Option<PathBuf>) {
    let (label, purpose) = match (&incoming.origin, agent) {
        (Origin::Agent, Some(socket)) => ("agent".to_owned(), Purpose::Fixed(Target::Unix(socket))),
        (Origin::Agent, None) => return,
        (origin, _) => {
            // A listener may be connected to before we have heard that it stands.
            let table = table.wait_for(Option::is_some).await.ok().and_then(|table| table.clone());
            let Some(found) = table.as_ref().and_then(|table| find(table, origin)) else {
                tracing::warn!(?origin, "the task opens a channel that nobody asked for");
                return;
            };
            (format!("forward from the task's {}", found.at), found.purpose.clone())
        }
    };
    let target = match purpose {
        Purpose::Fixed(target) => target,
        Purpose::Socks => return proxy_for(shared, &label, incoming.accept().await).await,
    };
    match Stream::connect(&target).await {
        Ok(stream) => {
            let halves = incoming.accept().await;
            relay(stream, halves, Bytes::new()).await;
        }
        Err(error) => {
            incoming.reject().await;
            shared.ui.note(&format!("{label} to {target}: connect failed: {error}"));
        }
    }
}

/// One SOCKS client at the task, from its first byte to its last.
async fn proxy_for(shared: &Shared, label: &str, mut halves: Halves) {
    let (request, first) = match proxy::ask(&mut halves).await {
        Ok(asked) => asked,
        Err(reason) => {
            shared.ui.note(&format!("{label}: {reason}"));
            return close(&halves).await;
        }
    };
    let target = Target::Tcp { host: request.host.clone(), port: request.port };
    match Stream::connect(&target).await {
        Ok(stream) => {
            // Either end that has gone is noticed where it is read.
            let _ = halves.0.data(request.granted().into()).await;
            let _ = stream.write_all(&first).await;
            relay(stream, halves, Bytes::new()).await;
        }
        Err(error) => {
            shared.ui.note(&format!("{label} to {target}: connect failed: {error}"));
            let refusal = OpenError::Refused { reason: Refusal::ConnectFailed, text: error.to_string() };
            let _ = halves.0.data(request.refused((&refusal).into()).into()).await;
            close(&halves).await;
        }
    }
}

/// Ends a channel behind what was said on it.
async fn close((sender, _): &Halves) {
    // A channel that is lost is closed.
    let _ = sender.eof().await;
    let _ = sender.close().await;
}

/// The listener that a connection came in by. Servers repeat the address that was asked for, or name the one that they made of it.
fn find<'a>(table: &'a [Standing], origin: &Origin) -> Option<&'a Standing> {
    match origin {
        Origin::Agent => None,
        Origin::Unix { path } => table.iter().find(|standing| standing.at == At::Unix(PathBuf::from(path))),
        Origin::Tcp { address, port } => {
            let on_port =
                |standing: &&Standing| matches!(&standing.at, At::Tcp { port: own, .. } if u32::from(*own) == *port);
            let named = |standing: &&Standing| match &standing.at {
                At::Tcp { host, .. } => host == address || (host == "*" && address.is_empty()),
                At::Unix(_) => false,
            };
            let mut all = table.iter().filter(on_port);
            let exact = table.iter().filter(on_port).find(named);
            exact.or_else(|| all.next().filter(|_| all.next().is_none()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_belongs_to_the_listener_that_it_came_in_by() {
        let standing = |host: &str, port, to: &str| Standing {
            at: At::Tcp { host: host.to_owned(), port },
            purpose: Purpose::Fixed(Target::Tcp { host: to.to_owned(), port: 1 }),
        };
        let table = [standing("localhost", 80, "a"), standing("10.0.0.1", 80, "b"), standing("*", 81, "c")];
        let target = |address: &str, port| {
            find(&table, &Origin::Tcp { address: address.to_owned(), port }).map(|found| found.purpose.to_string())
        };
        assert_eq!(target("localhost", 80).as_deref(), Some("a:1"));
        assert_eq!(target("10.0.0.1", 80).as_deref(), Some("b:1"));
        assert_eq!(target("127.0.0.1", 80), None, "two have that port");
        assert_eq!(target("", 81).as_deref(), Some("c:1"));
        assert_eq!(target("0.0.0.0", 81).as_deref(), Some("c:1"));
        assert_eq!(target("localhost", 82), None);
        assert!(find(&table, &Origin::Unix { path: "/tmp/x".to_owned() }).is_none());
    }
}
