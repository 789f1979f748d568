//! A session that outlives its connection: its program belongs to no channel, and channels come and go.

mod link;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::child::Spawned;
use super::meter::Meter;
use super::outbox::Outbox;
use super::output::read_terminal;
use super::terminal::Terminal;
use super::{KILLED, Outcome, Requests, STOPPING, deliver, resize, signal_group};
use crate::log::{Event, milliseconds};
use crate::resumable::{Attachment, Standing};
use crate::serve::{SESSION_GRACE, Server};
use link::Parted;

/// Input that the program has not taken, besides the chunk under way: the rest waits in the channel, under its credit.
const INPUT: usize = 1;

/// How a session's talk with its client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client has everything and knows how the program ended, or has gone on purpose.
    Done,
    /// The connection was lost, and the client did not come back in time.
    GivenUp,
}

/// What the channels of a session share.
struct Kept<'a> {
    server: &'a Server,
    meter: &'a Meter<'a>,
    outbox: &'a Outbox,
    input: mpsc::Sender<Bytes>,
    /// Cancelled when the program has ended and its output is read.
    over: CancellationToken,
}

/// Runs a session with a terminal to its end, which the log learns here.
pub(super) async fn run(
    spawned: Spawned,
    terminal: Arc<Terminal>,
    server: &Server,
    meter: &Meter<'_>,
    first: Attachment,
    requests: Requests,
    standing: &mut Standing,
) -> End {
    let Spawned { mut child, group, .. } = spawned;
    let outbox = Arc::clone(&standing.outbox);
    let (input, mut typed) = mpsc::channel(INPUT);
    let over = CancellationToken::new();
    let ending = async {
        let (status, ()) = tokio::join!(child.wait(), read(&terminal, &outbox, meter));
        ended(server, meter, &outbox, status.map_or(Outcome::Unknown, Outcome::from));
        over.cancel();
    };
    let asked = async {
        let noticed = async { outbox.push(server.notice.shown().await.as_bytes()) };
        let resized = resize(Some(Arc::clone(&terminal)), requests.size, meter);
        tokio::join!(resized, deliver(group, requests.signals), noticed, meter.keep_record());
    };
    // Never done: input and requests may come at any time.
    let machinery = async { tokio::join!(ending, write(&terminal, &mut typed), asked) };
    let kept = Kept { server, meter, outbox: &outbox, input, over: over.clone() };
    let talk = kept.talk(first, &mut standing.arrivals);
    tokio::pin!(machinery, talk);
    let end = tokio::select! {
        end = &mut talk => Some(end),
        _ = &mut machinery => None,
        () = server.stopping.cancelled() => None,
    };
    match end {
        Some(end) if over.is_cancelled() => return end,
        // A program that writes until it ends is not held up.
        Some(_) => outbox.abandon(),
        // Among the output, so that it has a position.
        None => outbox.push(format!("\r\n{STOPPING}\r\n").as_bytes()),
    }
    hang_up(group);
    let last_words = async {
        if end.is_none() {
            let _ = (&mut talk).await;
        }
        over.cancelled().await;
    };
    let last_words = async {
        tokio::select! {
            _ = &mut machinery => {}
            () = last_words => {}
        }
    };
    let _ = timeout(SESSION_GRACE - KILLED, last_words).await;
    if !over.is_cancelled() {
        signal_group(group, Signal::SIGKILL);
        let killed = async {
            tokio::select! {
                _ = &mut machinery => {}
                () = over.cancelled() => {}
            }
        };
        let _ = timeout(KILLED, killed).await;
    }
    if !over.is_cancelled() {
        ended(server, meter, &outbox, Outcome::Unknown);
    }
    end.unwrap_or(End::Done)
}

/// The log and the container's exit code know of the program's end before the client does.
fn ended(server: &Server, meter: &Meter<'_>, outbox: &Outbox, outcome: Outcome) {
    meter.ended(outcome);
    if let Some(back) = server.notice.shown_back() {
        outbox.push(back.as_bytes());
    }
    outbox.finish(outcome);
}

/// The terminal hangs up by itself once it is closed; whoever shares the process group has to be told.
fn hang_up(group: Pid) {
    signal_group(group, Signal::SIGHUP);
    signal_group(group, Signal::SIGCONT);
}

/// Takes output as long as there is room for it. A terminal that hung up fails to read: its end of file.
async fn read(terminal: &Terminal, outbox: &Outbox, meter: &Meter<'_>) {
    let mut buffer = BytesMut::new();
    loop {
        outbox.room().await;
        match read_terminal(terminal, &mut buffer).await {
            Ok(1..) => outbox.push(&buffer),
            _ => return,
        }
        meter.sent(&buffer);
    }
}

/// Data behind the end of a process that no longer reads goes nowhere.
async fn write(terminal: &Terminal, typed: &mut mpsc::Receiver<Bytes>) {
    while let Some(data) = typed.recv().await {
        let _ = terminal.write_all(&data).await;
    }
    std::future::pending().await
}

impl Kept<'_> {
    /// Serves one channel after the other.
    async fn talk(&self, first: Attachment, arrivals: &mut mpsc::Receiver<Attachment>) -> End {
        let mut attachment = first;
        loop {
            match self.serve(&mut attachment, arrivals).await {
                Parted::Done => return End::Done,
                Parted::Replaced(next) => {
                    // It may be half-open, and would look alive for a minute.
                    attachment.tie.supersede();
                    attachment = *next;
                }
                Parted::Lost => {
                    drop(attachment);
                    match self.wait(arrivals).await {
                        Some(next) => attachment = next,
                        None => return End::GivenUp,
                    }
                }
            }
        }
    }

    /// Waits for the client, whose connection was lost.
    async fn wait(&self, arrivals: &mut mpsc::Receiver<Attachment>) -> Option<Attachment> {
        let grace = self.server.reconnect_grace;
        self.server.log.write(&Event::SessionKept { session: self.meter.session, grace_ms: milliseconds(grace) });
        let stopped = async {
            self.server.stopping.cancelled().await;
            self.over.cancelled().await;
        };
        tokio::select! {
            next = arrivals.recv() => next,
            () = sleep(grace) => None,
            () = stopped => None,
        }
    }
}
