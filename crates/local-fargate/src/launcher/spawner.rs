//! The thread that forks: `PR_SET_PDEATHSIG` fires when the forking thread ends, so that thread lives as long as the process.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;

use tokio::sync::{mpsc, oneshot};

/// Starts that wait for their turn; a start takes about a millisecond.
const QUEUE: usize = 16;

/// What a child leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leader {
    /// A session without a terminal.
    OfSession,
    /// A session whose terminal is its standard input.
    OfTerminal,
}

struct Job {
    command: Command,
    reply: oneshot::Sender<io::Result<Held>>,
}

/// A child that nobody has taken yet; dropped, it is ended: nobody else knows of it.
struct Held(Option<Child>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

/// Starts a program, contained.
pub(super) async fn spawn(mut command: Command, leader: Leader) -> io::Result<Child> {
    crate::sys::contain(&mut command, leader == Leader::OfTerminal);
    let (reply, answer) = oneshot::channel();
    let gone = |_| io::Error::other("the thread that starts processes has ended");
    thread()?.send(Job { command, reply }).await.map_err(|_| io::Error::other("no thread starts processes"))?;
    let mut held = answer.await.map_err(gone)??;
    // Taken here only.
    held.0.take().ok_or_else(|| io::Error::other("there is no process"))
}

fn thread() -> io::Result<mpsc::Sender<Job>> {
    static THREAD: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    if let Some(jobs) = THREAD.get() {
        return Ok(jobs.clone());
    }
    let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
    // Of two threads that get here at once, the one whose sender is dropped ends without having forked.
    std::thread::Builder::new().name("local-fargate-fork".to_owned()).spawn(move || {
        while let Some(mut job) = queue.blocking_recv() {
            // Whoever asked may have gone: then it is dropped, and so ended.
            let _ = job.reply.send(job.command.spawn().map(|child| Held(Some(child))));
        }
    })?;
    Ok(THREAD.get_or_init(|| jobs).clone())
}
