//! How long one channel waits for others on its connection: 64 bytes there and back through a command, beside readers that have stalled
//! and beside forwards that are busy both ways; the longest wait, each pair of client and server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::route::{Route, Routes};
use super::statistics::{Figure, percentile};

/// A question, in bytes; the command sends it back.
const QUESTION: usize = 64;
/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(2);
/// How long questions are asked of each pair beside each load.
const ASKING: Duration = Duration::from_secs(3);
/// How long a load has for what it puts into every buffer on its way, before the first question.
const SETTLING: Duration = Duration::from_millis(500);
/// Bytes read or written at once by what makes a load.
const BLOCK: usize = 64 * 1024;
/// What is sent to somebody who reads nothing, in bytes: more than any window or credit, and little enough for a disk.
const UNREAD: usize = 64 << 20;

/// What goes on beside the questions.
#[derive(Clone, Copy)]
enum Load {
    Nothing,
    /// A forwarded connection that is sent much, and read by nobody here.
    UnreadHere,
    /// The same the other way.
    UnreadThere,
    /// So many forwarded connections that are written and read at once, all the time.
    Busy(usize),
}

/// With their names.
const LOADS: [(&str, Load); 6] = [
    ("nothing else", Load::Nothing),
    ("a reader stalled here", Load::UnreadHere),
    ("a reader stalled there", Load::UnreadThere),
    ("8 busy forwards", Load::Busy(8)),
    ("32 busy forwards", Load::Busy(32)),
    ("200 busy forwards", Load::Busy(200)),
];

/// Measures all pairs, load by load in turns. Nothing, where a program that this needs is not there.
pub(crate) fn waits() -> Vec<Figure> {
    let Some(routes) = Routes::start() else { return Vec::new() };
    // Of its own, so that the clients of a load cannot hold up its servers.
    let servers = runtime();
    let targets = Targets::start(&servers);
    LOADS.into_iter().flat_map(|(name, load)| compared(name, load, &routes, &targets)).collect()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

fn compared(beside: &str, load: Load, routes: &Routes, targets: &Targets) -> Vec<Figure> {
    let waits = routes.all.each_ref().map(|route| {
        let mut waits = Session::start(route, targets.of(load)).beside(load);
        [percentile(&mut waits, 0.5), percentile(&mut waits, 1.0)]
    });
    let [ours, peer, to_sshd, from_ssh] = waits;
    let [first, second, third, fourth] = routes.all.each_ref().map(Route::name);
    let rows = [(first, ours), (third, to_sshd), (fourth, from_ssh)].into_iter().flat_map(|(name, waits)| {
        let row = move |what, index: usize| {
            Figure::new(format!("{what} beside {beside}, {name}"), waits[index], "ms").against(second, peer[index])
        };
        [row("median", 0), row("longest", 1)]
    });
    rows.collect()
}

/// A login whose command sends back what it is sent, with a forward beside it.
struct Session {
    client: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    forward: u16,
}

impl Session {
    fn start(route: &Route, target: u16) -> Self {
        let (mut command, forward) = route.exec_beside_forward(target, "echo up; exec cat");
        let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the client starts");
        let input = client.stdin.take().expect("a pipe");
        let mut output = BufReader::new(client.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("text");
        assert_eq!(line, "up\n", "{}", route.name());
        Self { client, input, output, forward }
    }

    /// How long each question took while the load went on.
    fn beside(mut self, load: Load) -> Vec<Duration> {
        let clients = runtime();
        let loading = clients.spawn(make(load, self.forward));
        thread::sleep(SETTLING);
        let (mut waits, began) = (Vec::new(), Instant::now());
        while began.elapsed() < ASKING {
            let (question, mut answer) = ([b'?'; QUESTION], [0; QUESTION]);
            let asked = Instant::now();
            self.input.write_all(&question).expect("a reader");
            self.output.read_exact(&mut answer).expect("an answer");
            waits.push(asked.elapsed());
            assert_eq!(answer, question);
            thread::sleep(PAUSE);
        }
        assert!(!loading.is_finished(), "the load went on to the end");
        clients.shutdown_background();
        // `ssh` would wait for the forwards that nobody reads; ours stops its task.
        let pid = i32::try_from(self.client.id()).map(nix::unistd::Pid::from_raw);
        let _ = pid.map(|pid| nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM));
        let _ = self.client.wait();
        waits
    }
}

/// What stands behind the forwards.
struct Targets {
    pouring: u16,
    deaf: u16,
    echoing: u16,
}

impl Targets {
    fn start(servers: &Runtime) -> Self {
        let pouring = listen(servers, |mut stream| async move { pour(&mut stream, UNREAD).await });
        let deaf = listen(servers, |stream| async move { hold(stream).await });
        let echoing = listen(servers, |stream| async move {
            let (mut from, mut to) = stream.into_split();
            let mut block = vec![0; BLOCK];
            while let Ok(read @ 1..) = from.read(&mut block).await {
                if to.write_all(&block[..read]).await.is_err() {
                    return;
                }
            }
        });
        Self { pouring, deaf, echoing }
    }

    const fn of(&self, load: Load) -> u16 {
        match load {
            Load::UnreadHere => self.pouring,
            Load::UnreadThere => self.deaf,
            Load::Nothing | Load::Busy(_) => self.echoing,
        }
    }
}

/// Serves every connection to a new port, which is the answer.
fn listen<F: Future<Output = ()> + Send + 'static>(servers: &Runtime, serve: fn(TcpStream) -> F) -> u16 {
    let listener = servers.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    servers.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// Goes on until it is dropped.
async fn make(load: Load, forward: u16) {
    let forward = SocketAddr::from((Ipv4Addr::LOCALHOST, forward));
    let connect = || async move { TcpStream::connect(forward).await.expect("the forward listens") };
    match load {
        Load::Nothing => std::future::pending().await,
        Load::UnreadHere => hold(connect().await).await,
        Load::UnreadThere => {
            let mut stream = connect().await;
            pour(&mut stream, UNREAD).await;
            hold(stream).await;
        }
        Load::Busy(connections) => {
            let mut busy = JoinSet::new();
            for _ in 0..connections {
                let (mut from, mut to) = connect().await.into_split();
                busy.spawn(async move { pour(&mut to, usize::MAX).await });
                busy.spawn(async move {
                    let mut block = vec![0; BLOCK];
                    while let Ok(1..) = from.read(&mut block).await {}
                });
            }
            // None of them ends, unless the forward does.
            busy.join_next().await;
        }
    }
}

/// Keeps a connection that nobody reads.
async fn hold(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

/// Writes that many bytes, unless nobody takes them.
async fn pour(sink: &mut (impl tokio::io::AsyncWrite + Unpin), mut bytes: usize) {
    let block = vec![0; BLOCK];
    while bytes > 0 {
        let part = bytes.min(BLOCK);
        if sink.write_all(&block[..part]).await.is_err() {
            return;
        }
        bytes -= part;
    }
}
