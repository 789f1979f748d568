//! One session: a shell or command from its start to its exit status, with or without a terminal.

mod child;
mod kept;
mod meter;
mod outbox;
mod outcome;
mod output;
mod recording;
pub(crate) mod signals;
mod stdin;
mod terminal;
mod words;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use russh::server::Msg;
use ssh_flow::{ChannelReceiver, ChannelSender};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::accounts::User;
use crate::environment;
use crate::forward::{AgentRoute, AgentSocket};
use crate::lifetime::Happening;
use crate::resumable::{Attachment, Standing};
use crate::serve::{SESSION_GRACE, Server};
pub(crate) use child::name_of;
use child::{SpawnError, Spawned};
use meter::Meter;
pub(crate) use outbox::Outbox;
pub(crate) use outcome::Outcome;
use stdin::Ended;
pub(crate) use terminal::{TerminalRequest, WindowSize};

/// Extended data of this type is standard error (RFC 4254, section 5.2).
const STDERR: u32 = 1;

/// The subsystem that a client asks for to transfer files.
pub(crate) const SFTP: &str = "sftp";

/// Signals that may wait for delivery, which takes no time.
const SIGNALS: usize = 16;

/// What sessions are told when the container ends under them.
pub(crate) const STOPPING: &str = "fargate-login: the container is being stopped";

/// Time for a process that was killed to be reaped, and for its last output to be read.
pub(crate) const KILLED: Duration = Duration::from_millis(500);

/// What a client asks to run.
#[derive(Debug)]
pub(crate) enum Program {
    /// The login shell.
    Shell,
    /// A command for the shell.
    Command(Vec<u8>),
    /// Our own file server.
    Sftp,
}

/// How to reach a running session past the data that may be stuck before it. Clones reach the same one.
#[derive(Clone)]
pub(crate) struct Controls {
    size: Option<watch::Sender<WindowSize>>,
    signals: mpsc::Sender<Signal>,
    /// Where the client's agent is reached, for a session that has a socket for it.
    pub(crate) agent: Option<AgentRoute>,
}

/// The other end of [`Controls`].
pub(crate) struct Requests {
    size: Option<watch::Receiver<WindowSize>>,
    signals: mpsc::Receiver<Signal>,
}

impl Controls {
    /// Both ends. A session without a terminal has no size.
    pub(crate) fn new(size: Option<WindowSize>, agent: Option<AgentRoute>) -> (Self, Requests) {
        let (size_tx, size_rx) = size.map(watch::channel).unzip();
        let (signals_tx, signals_rx) = mpsc::channel(SIGNALS);
        (Self { size: size_tx, signals: signals_tx, agent }, Requests { size: size_rx, signals: signals_rx })
    }

    /// Whether there was a terminal to resize.
    pub(crate) fn resize(&self, size: WindowSize) -> bool {
        self.size.as_ref().is_some_and(|sender| sender.send(size).is_ok())
    }

    /// Whether the session has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.signals.is_closed()
    }

    /// Whether the signal was taken.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        self.signals.try_send(signal).is_ok()
    }
}

/// Where a session comes from and where its bytes go.
pub(crate) struct Origin {
    pub(crate) server: Arc<Server>,
    pub(crate) user: User,
    pub(crate) attachment: Attachment,
    pub(crate) requests: Requests,
    /// Present for a session that its client may ask for again.
    pub(crate) standing: Option<Standing>,
    /// Where its programs reach the client's agent; gone with the session.
    pub(crate) agent: Option<AgentSocket>,
}

/// Runs a session to its end and tells the client how it ended.
pub(crate) async fn run(
    origin: Origin,
    terminal: Option<TerminalRequest>,
    from_client: Vec<(String, String)>,
    program: Program,
) {
    let Origin { server, user, attachment, requests, standing, agent } = origin;
    if standing.is_some() {
        // Before the connection can be lost over what the program does.
        let _ = server.happenings.send(Happening::Held).await;
    }
    let ends = attachment.ends;
    // A file server's bytes are not for a terminal's hands.
    let terminal = terminal.filter(|_| !matches!(program, Program::Sftp));
    let meter = Meter::begin(&server, &user, ends.peer, &program, terminal.as_ref());
    let environment = |terminal: Option<(&str, &std::path::Path)>| {
        let login = environment::Session {
            user: &user,
            from_client: &from_client,
            peer: ends.peer,
            local: ends.local,
            terminal,
            agent: agent.as_ref().map(AgentSocket::path),
        };
        environment::of_session(&server.environment, &login)
    };
    let spawned = child::spawn(&user, program, terminal, environment, &server, meter.session);
    match standing {
        None => run_once(spawned, &server, &meter, attachment, requests).await,
        Some(mut standing) => {
            let end = match spawned {
                Ok(Spawned { terminal: Some(terminal), child, group, stdin, outputs }) => {
                    let spawned = Spawned { terminal: None, child, group, stdin, outputs };
                    kept::run(spawned, terminal, &server, &meter, attachment, requests, &mut standing).await
                }
                // There is nothing to come back to.
                other => {
                    run_once(other, &server, &meter, attachment, requests).await;
                    kept::End::Done
                }
            };
            drop(standing);
            let happening = if end == kept::End::GivenUp { Happening::GivenUp } else { Happening::Released };
            // Nobody listens any more when the container ends anyway.
            let _ = server.happenings.send(happening).await;
        }
    }
}

/// Runs a session that ends with its channel.
async fn run_once(
    spawned: Result<Spawned, SpawnError>,
    server: &Server,
    meter: &Meter<'_>,
    attachment: Attachment,
    requests: Requests,
) {
    let Attachment { handle, channel, sender, receiver, .. } = attachment;
    let has_terminal = matches!(&spawned, Ok(spawned) if spawned.terminal.is_some());
    let outcome = match spawned {
        Ok(spawned) => attend(spawned, server, meter, &sender, receiver, requests).await,
        Err(error) => {
            say(&sender, false, &format!("fargate-login: {error}")).await;
            Outcome::Exited(error.code())
        }
    };
    server.notice.take_back(&sender, has_terminal).await;
    meter.ended(outcome);
    outcome.tell(&sender, &handle, channel).await;
}

/// Moves bytes, window sizes and signals until the process has ended and its output is drained, or its time is up.
async fn attend(
    spawned: Spawned,
    server: &Server,
    meter: &Meter<'_>,
    sender: &ChannelSender<Msg>,
    receiver: ChannelReceiver,
    requests: Requests,
) -> Outcome {
    let Spawned { mut child, group, stdin, outputs, terminal } = spawned;
    let has_terminal = terminal.is_some();
    let has_reports = outputs.has_reports();
    let exited = OnceLock::new();
    let gone = CancellationToken::new();
    let process = async {
        let status = child.wait().await;
        let _ = exited.set(status.map_or(Outcome::Unknown, Outcome::from));
        gone.cancel();
    };
    // OpenSSH waits for both, too: without a terminal, a background process that holds standard output holds the session; with
    // one, the kernel hangs the terminal up when its leader ends.
    let ending = async { tokio::join!(process, outputs.pump(sender, meter)) };
    let asked = async {
        let told = server.notice.tell(sender, has_terminal);
        let resized = resize(terminal, requests.size, meter);
        tokio::join!(resized, deliver(group, requests.signals), told, meter.keep_record())
    };
    let mut fed = Box::pin(stdin::feed(stdin, receiver, meter));
    tokio::pin!(ending, asked);
    let mut input_ended = false;
    let line = loop {
        tokio::select! {
            _ = &mut ending => return outcome(&exited),
            _ = &mut asked => {}
            ended = &mut fed, if !input_ended => match ended {
                Ended::Closed => input_ended = true,
                Ended::Broken(error) => break Some(format!("fargate-login: {error}")),
            },
            () = sender.closed() => break None,
            () = server.stopping.cancelled() => break Some(STOPPING.to_owned()),
        }
    };
    let farewell = async {
        if let Some(line) = line {
            let _ = timeout(KILLED, say(sender, has_terminal, &line)).await;
        }
        // The terminal hangs up by itself once it is closed; whoever shares the process group has to be told.
        signal_group(group, Signal::SIGHUP);
        signal_group(group, Signal::SIGCONT);
        // Behind the signal: whoever lets it pass has no more input.
        drop(fed);
        std::future::pending::<()>().await;
    };
    let last_words = async {
        tokio::select! {
            _ = &mut ending => {}
            _ = &mut asked => {}
            () = farewell => {}
            // A closed channel takes no output, but the log takes what a file server reports; a stopping container still sends the
            // last words.
            () = closed_and(sender, &gone), if !has_reports => {}
        }
    };
    let _ = timeout(SESSION_GRACE - KILLED, last_words).await;
    if exited.get().is_none() {
        signal_group(group, Signal::SIGKILL);
        let _ = timeout(KILLED, &mut ending).await;
    }
    outcome(&exited)
}

async fn closed_and(sender: &ChannelSender<Msg>, gone: &CancellationToken) {
    sender.closed().await;
    gone.cancelled().await;
}

fn outcome(exited: &OnceLock<Outcome>) -> Outcome {
    exited.get().copied().unwrap_or(Outcome::Unknown)
}

/// One line of ours: on standard error, or on the terminal where the client has nothing else.
pub(crate) async fn say(sender: &ChannelSender<Msg>, terminal: bool, line: &str) {
    // Nobody to say it to is no reason to stay.
    if terminal {
        let _ = sender.data(Bytes::from(format!("\r\n{line}\r\n"))).await;
    } else {
        let _ = sender.extended_data(STDERR, Bytes::from(format!("{line}\n"))).await;
    }
}

async fn resize(
    terminal: Option<Arc<terminal::Terminal>>,
    sizes: Option<watch::Receiver<WindowSize>>,
    meter: &Meter<'_>,
) {
    if let (Some(terminal), Some(mut sizes)) = (terminal, sizes) {
        while sizes.changed().await.is_ok() {
            let size = *sizes.borrow_and_update();
            terminal.resize(size);
            meter.resized(size);
        }
    }
    std::future::pending().await
}

async fn deliver(group: Pid, mut signals: mpsc::Receiver<Signal>) {
    while let Some(signal) = signals.recv().await {
        signal_group(group, signal);
    }
    std::future::pending().await
}

/// Signals the session's process group. Its number cannot be another's while a member of it lives; an empty one is an error
/// that nobody misses.
fn signal_group(group: Pid, signal: Signal) {
    let _ = killpg(group, signal);
}
