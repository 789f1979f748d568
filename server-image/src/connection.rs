//! One TCP connection: a bounded time to authenticate in, then SSH until either end has enough.

use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fargate_contract::limits::LOGIN_GRACE;
use russh::Disconnect;
use russh::server::{RunningSession, run_stream};
use ssh_flow::Link;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::handler::Handler;
use crate::lifetime::Happening;
use crate::log::{Event, milliseconds};
use crate::serve::Server;
use crate::settings::identification;
use crate::startups::Place;

/// Time in which a client leaves once all its sessions have ended, and again to take our goodbye.
pub(crate) const GOODBYE: Duration = Duration::from_millis(500);

/// Why a connection lost its [`Place`].
pub(crate) const GAVE_WAY: &str = "too many have not authenticated yet: it waited longest";

/// Why a connection ends that never became one.
const NO_SSH: &str = "it spoke no SSH";

/// How a connection ends whose client says goodbye.
const LEFT: &str = "the client left";

/// How a connection ends that we end.
pub(crate) const CONTAINER_ENDS: &str = "the container ends";

/// Addresses of a connection's two ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoints {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// How an authenticated connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parting {
    /// The client said goodbye, or we did.
    Clean,
    /// It broke, fell silent, or was superseded by the client's next one.
    Lost,
}

/// A connection as its sessions know it.
#[derive(Clone, Debug)]
pub(crate) struct Tie {
    parting: watch::Receiver<Option<Parting>>,
    superseded: CancellationToken,
}

impl Tie {
    fn new() -> (watch::Sender<Option<Parting>>, Self) {
        let (told, parting) = watch::channel(None);
        (told, Self { parting, superseded: CancellationToken::new() })
    }

    /// Waits for the connection's end.
    pub(crate) async fn parting(&mut self) -> Parting {
        match self.parting.wait_for(Option::is_some).await {
            Ok(parting) => parting.unwrap_or(Parting::Lost),
            // Its task went without a word.
            Err(_) => Parting::Lost,
        }
    }

    /// Ends the connection: its client has come back by another, whether this one knows already that it is dead or not.
    pub(crate) fn supersede(&self) {
        self.superseded.cancel();
    }
}

/// How a connection's unauthenticated part ended.
enum Startup {
    Authenticated(RunningSession<Handler>),
    Dropped(&'static str),
}

/// Serves one connection to its end. `place` is given back once it is authenticated, or, where that gives it nothing but a
/// session of an earlier connection, once it has that.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, server: Arc<Server>, place: Place) {
    server.log.write(&Event::Accept { peer });
    let came = Instant::now();
    let Ok((stream, socket)) = prepare(stream) else {
        server.log.write(&Event::Dropped { peer, reason: "its socket failed" });
        return;
    };
    let local = stream.local_addr().unwrap_or(peer);
    let (told, tie) = Tie::new();
    match startup(stream, Endpoints { peer, local }, &server, tie.clone(), &place).await {
        Startup::Dropped(reason) => {
            server.log.write(&Event::Dropped { peer, reason });
            // Ends russh's task too, wherever it is: it holds the other end of this socket.
            let _ = socket.shutdown(Shutdown::Both);
        }
        Startup::Authenticated(session) => {
            drop(place);
            let (parting, reason) = attend(session, &server, &tie).await;
            told.send_replace(Some(parting));
            let _ = socket.shutdown(Shutdown::Both);
            let duration_ms = milliseconds(came.elapsed());
            server.log.write(&Event::Disconnect { peer, duration_ms, reason });
            // Nobody listens any more when the container ends anyway.
            let gone = if parting == Parting::Clean { Happening::Disconnected } else { Happening::Lost };
            let _ = server.happenings.send(gone).await;
        }
    }
}

/// The stream for russh, and a second handle of its socket that can cut it off at any time.
fn prepare(stream: TcpStream) -> std::io::Result<(TcpStream, std::net::TcpStream)> {
    // russh cannot reach the socket behind its stream, and without this each keystroke waits for an acknowledgement.
    stream.set_nodelay(true)?;
    let socket = stream.into_std()?;
    Ok((TcpStream::from_std(socket.try_clone()?)?, socket))
}

async fn startup(stream: TcpStream, ends: Endpoints, server: &Arc<Server>, tie: Tie, place: &Place) -> Startup {
    let authenticated = CancellationToken::new();
    let (mut stream, link) = Link::wrap(stream);
    let handler = Handler::new(Arc::clone(server), ends, link, tie, authenticated.clone());
    let attempt = async {
        let Ok(identification) = stream.greet(&identification()).await else { return Startup::Dropped(NO_SSH) };
        let config = server.configs.of(identification.as_deref());
        let Ok(mut session) = run_stream(config, stream, handler).await else { return Startup::Dropped(NO_SSH) };
        tokio::select! {
            biased;
            () = authenticated.cancelled() => Startup::Authenticated(session),
            _ = &mut session => Startup::Dropped("it left before it authenticated"),
        }
    };
    tokio::select! {
        biased;
        outcome = attempt => outcome,
        () = sleep(LOGIN_GRACE) => Startup::Dropped("it did not authenticate in time"),
        () = place.lost() => Startup::Dropped(GAVE_WAY),
        () = server.closing.cancelled() => Startup::Dropped(CONTAINER_ENDS),
        () = server.admission.burnt() => Startup::Dropped("the key was used already"),
    }
}

/// Waits for an authenticated session's end, or ends it when the container does. Answers how it ended, for the sessions and for the
/// log.
async fn attend(mut session: RunningSession<Handler>, server: &Server, tie: &Tie) -> (Parting, &'static str) {
    tokio::select! {
        // russh returns without an error only after a SSH_MSG_DISCONNECT.
        ended = &mut session => {
            return if ended.is_ok() { (Parting::Clean, LEFT) } else { (Parting::Lost, "it was lost") };
        }
        () = tie.superseded.cancelled() => return (Parting::Lost, "its client came back by another"),
        () = server.closing.cancelled() => {}
    }
    // A client leaves by itself when its last channel closes; cut short, it would report our goodbye and not the exit status.
    if timeout(GOODBYE, &mut session).await.is_ok() {
        return (Parting::Clean, LEFT);
    }
    let handle = session.handle();
    let goodbye = async {
        let told = "the container ends".to_owned();
        let _ = handle.disconnect(Disconnect::ByApplication, told, String::new()).await;
        let _ = (&mut session).await;
    };
    let _ = timeout(GOODBYE, goodbye).await;
    (Parting::Clean, CONTAINER_ENDS)
}
