//! A network that is cut: a TCP proxy before the init, at random bytes or when it is told.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Bytes after which a connection is cut, at random: amid output, or (one in [`EARLY_SHARE`]) already in the handshake.
const LATE: std::ops::RangeInclusive<i64> = 48 * 1024..=1024 * 1024;
const EARLY: std::ops::RangeInclusive<i64> = 1..=6000;
const EARLY_SHARE: u32 = 5;

/// The proxy; dropped, it cuts everything.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    stopped: CancellationToken,
}

struct State {
    target: SocketAddr,
    /// Draws when to cut; absent, nothing is cut untold.
    dice: Option<Mutex<StdRng>>,
    /// Cancelled to cut what there is; replaced by then.
    cut: Mutex<CancellationToken>,
    /// Whether new connections are closed at once.
    away: AtomicBool,
    connections: AtomicUsize,
    cuts: AtomicUsize,
    /// Sockets towards the init whose client has gone without a word.
    half_open: Mutex<Vec<TcpStream>>,
}

/// What either end sees of a cut.
#[derive(Clone, Copy)]
enum Style {
    Reset,
    Close,
    /// The init sees nothing.
    HalfOpen,
}

impl Proxy {
    /// A proxy that cuts at random, reproducible by its seed.
    pub(super) async fn at_random(target: SocketAddr, seed: u64) -> Self {
        Self::start(target, Some(Mutex::new(StdRng::seed_from_u64(seed)))).await
    }

    /// A proxy that cuts when it is told.
    pub(super) async fn new(target: SocketAddr) -> Self {
        Self::start(target, None).await
    }

    async fn start(target: SocketAddr, dice: Option<Mutex<StdRng>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State {
            target,
            dice,
            cut: Mutex::default(),
            away: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
            half_open: Mutex::default(),
        });
        let stopped = CancellationToken::new();
        let accepting = accept(listener, Arc::clone(&state));
        let until = stopped.clone();
        tokio::spawn(async move { until.run_until_cancelled(accepting).await });
        Self { address, state, stopped }
    }

    /// Cuts what there is and lets nobody through.
    pub(super) fn go_away(&self) {
        self.state.away.store(true, Ordering::SeqCst);
        self.state.cut_all();
    }

    /// Lets everybody through.
    pub(super) fn come_back(&self) {
        self.state.away.store(false, Ordering::SeqCst);
    }

    /// Connections that were cut so far.
    pub(super) fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopped.cancel();
        self.state.cut_all();
    }
}

impl State {
    fn cut_all(&self) {
        std::mem::take(&mut *self.cut.lock().expect("not poisoned")).cancel();
    }

    /// After how many bytes the next connection is cut, and how. The first is let live until there is a session.
    fn draw(&self) -> (i64, Style) {
        let first = self.connections.fetch_add(1, Ordering::SeqCst) == 0;
        let Some(dice) = &self.dice else { return (i64::MAX, Style::Reset) };
        let mut dice = dice.lock().expect("not poisoned");
        let early = !first && dice.random_ratio(1, EARLY_SHARE);
        let bytes = dice.random_range(if early { EARLY } else { LATE });
        let style = match dice.random_range(0..3) {
            0 => Style::Reset,
            1 => Style::Close,
            _ => Style::HalfOpen,
        };
        (bytes, style)
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        if !state.away.load(Ordering::SeqCst) {
            let state = Arc::clone(&state);
            tokio::spawn(async move { relay(client, &state).await });
        }
    }
}

async fn relay(client: TcpStream, state: &State) -> io::Result<()> {
    let cut = state.cut.lock().expect("not poisoned").child_token();
    let server = TcpStream::connect(state.target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (bytes, style) = state.draw();
    let left = AtomicI64::new(bytes);
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    tokio::join!(
        pass(&mut from_client, &mut to_server, &left, &cut),
        pass(&mut from_server, &mut to_client, &left, &cut),
    );
    let (client, server) = (from_client.reunite(to_client), from_server.reunite(to_server));
    let (client, server) = (client.expect("the same socket"), server.expect("the same socket"));
    if left.into_inner() < 0 {
        state.cuts.fetch_add(1, Ordering::SeqCst);
        match style {
            Style::Close => {}
            Style::Reset => {
                client.set_zero_linger()?;
                server.set_zero_linger()?;
            }
            Style::HalfOpen => state.half_open.lock().expect("not poisoned").push(server),
        }
    }
    Ok(())
}

/// Moves bytes until either end closes or it is time to cut: to the very byte.
async fn pass(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, left: &AtomicI64, cut: &CancellationToken) {
    let mut buffer = vec![0; 16 * 1024];
    let passing = async {
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let wanted = i64::try_from(read).expect("a buffer's length");
            let allowed = left.fetch_sub(wanted, Ordering::SeqCst).clamp(0, wanted);
            let now = &buffer[..usize::try_from(allowed).expect("not negative")];
            if to.write_all(now).await.is_err() || allowed < wanted {
                break;
            }
        }
    };
    cut.run_until_cancelled(passing).await;
    cut.cancel();
}
