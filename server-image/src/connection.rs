//! One TCP connection: a bounded time to authenticate in, then SSH until either end has enough.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fargate_contract::limits::LOGIN_GRACE;
use russh::Disconnect;
use russh::server::{RunningSession, run_stream};
use ssh_flow::Link;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use crate::handler::Handler;
use crate::lifetime::Happening;
use crate::links::{First, Sockets, Standing, Transport};
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
    Authenticated(RunningSession<Handler>, Option<Standing>),
    /// It is a link, of the connection whose first link comes from there.
    Joined(u8, SocketAddr),
    Dropped(&'static str),
}

/// Serves one connection to its end, or until it is a link of another. `place` is given back once it is authenticated, or, where that
/// gives it nothing but a session of an earlier connection, once it has that.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, server: Arc<Server>, place: Place) {
    server.log.write(&Event::Accept { peer });
    let came = Instant::now();
    let Ok((stream, sockets)) = prepare(stream) else {
        server.log.write(&Event::Dropped { peer, reason: "its socket failed" });
        return;
    };
    let local = stream.local_addr().unwrap_or(peer);
    let (told, tie) = Tie::new();
    match startup(stream, &sockets, Endpoints { peer, local }, &server, tie.clone(), &place).await {
        Startup::Dropped(reason) => {
            server.log.write(&Event::Dropped { peer, reason });
            // Ends russh's task too, wherever it is: it holds the other end of this socket.
            sockets.cut();
        }
        Startup::Joined(link, first) => server.log.write(&Event::Joined { peer, link, first }),
        Startup::Authenticated(session, standing) => {
            drop(place);
            standing.iter().for_each(Standing::open);
            let (parting, reason) = attend(session, &server, &tie).await;
            told.send_replace(Some(parting));
            // Nobody joins what is cut.
            drop(standing);
            sockets.cut();
            let duration_ms = milliseconds(came.elapsed());
            server.log.write(&Event::Disconnect { peer, duration_ms, reason });
            // Nobody listens any more when the container ends anyway.
            let gone = if parting == Parting::Clean { Happening::Disconnected } else { Happening::Lost };
            let _ = server.happenings.send(gone).await;
        }
    }
}

/// The stream for russh, and a second handle of its socket.
fn prepare(stream: TcpStream) -> std::io::Result<(TcpStream, Sockets)> {
    // russh cannot reach the socket behind its stream, and without this each keystroke waits for an acknowledgement.
    stream.set_nodelay(true)?;
    let socket = stream.into_std()?;
    Ok((TcpStream::from_std(socket.try_clone()?)?, Sockets::new(socket)))
}

async fn startup(
    stream: TcpStream,
    sockets: &Sockets,
    ends: Endpoints,
    server: &Arc<Server>,
    tie: Tie,
    place: &Place,
) -> Startup {
    let attempt = async {
        let (transport, read, standing) = if server.links.are_granted() {
            match server.links.welcome(stream).await {
                Err(_) => return Startup::Dropped(NO_SSH),
                Ok(First::Ssh(stream, read)) => (Either::Left(stream), Some(read), None),
                Ok(First::Link(stream, request)) if request.number > 0 => {
                    return match server.links.join(&request, stream, sockets).await {
                        Ok(first) => Startup::Joined(request.number, first),
                        Err(reason) => Startup::Dropped(reason),
                    };
                }
                Ok(First::Link(stream, request)) => match server.links.begin(request.id, stream, ends.peer, sockets) {
                    Ok((bundle, standing)) => (Either::Right(bundle), Some(Vec::new()), Some(standing)),
                    Err(reason) => return Startup::Dropped(reason),
                },
            }
        } else {
            (Either::Left(stream), None, None)
        };
        tokio::select! {
            biased;
            outcome = authenticate(transport, read, ends, server, tie) => match outcome {
                Ok(session) => Startup::Authenticated(session, standing),
                Err(reason) => Startup::Dropped(reason),
            },
            () = server.admission.burnt() => Startup::Dropped("the key was used already"),
        }
    };
    tokio::select! {
        biased;
        outcome = attempt => outcome,
        () = sleep(LOGIN_GRACE) => Startup::Dropped("it did not authenticate in time"),
        () = place.lost() => Startup::Dropped(GAVE_WAY),
        () = server.closing.cancelled() => Startup::Dropped(CONTAINER_ENDS),
    }
}

/// Speaks SSH until the client has logged in. `read`: what was read of its words, if ours have been sent.
async fn authenticate(
    transport: Transport,
    read: Option<Vec<u8>>,
    ends: Endpoints,
    server: &Arc<Server>,
    tie: Tie,
) -> Result<RunningSession<Handler>, &'static str> {
    let authenticated = CancellationToken::new();
    let (mut stream, link) = Link::wrap(transport);
    let handler = Handler::new(Arc::clone(server), ends, link, tie, authenticated.clone());
    let greeted = match read {
        None => stream.greet(&identification()).await,
        Some(read) => {
            stream.was_greeted(&identification(), &read);
            stream.identification().await
        }
    };
    let client = greeted.map_err(|_| NO_SSH)?;
    let config = server.configs.of(client.as_deref());
    let mut session = run_stream(config, stream, handler).await.map_err(|_| NO_SSH)?;
    tokio::select! {
        biased;
        () = authenticated.cancelled() => Ok(session),
        _ = &mut session => Err("it left before it authenticated"),
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
