//! The thread that starts all processes. `no_new_privs` is a thread's own and passes to what it starts, for ever: the thread that
//! reads the network has it, and sessions must not, because their container does not.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use nix::sys::resource::{Resource, getrlimit};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;

use crate::sys;

/// Its name in `/proc/<pid>/task/*/comm`.
const NAME: &str = "spawner";

/// Starts processes with the rights that the calling process had when [`Spawner::start`] was called. Clones are the same thread,
/// which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Spawner {
    ask: SyncSender<Request>,
    /// Soft and hard limit of open files, as they were.
    open_files: (u64, u64),
}

#[derive(Debug)]
struct Request {
    command: Command,
    /// The runtime that waits for the child.
    runtime: Handle,
    started: SyncSender<io::Result<Child>>,
}

impl Spawner {
    /// Starts the thread. To be called before the caller gives anything up.
    ///
    /// # Errors
    /// The system's, when it has no thread to give.
    pub fn start() -> io::Result<Self> {
        // One at a time: whoever asks waits for the answer.
        let (ask, asked) = sync_channel(1);
        let open_files = getrlimit(Resource::RLIMIT_NOFILE)?;
        std::thread::Builder::new().name(NAME.to_owned()).spawn(move || serve(&asked))?;
        Ok(Self { ask, open_files })
    }

    /// Starts a process and drops its command, and with it our copies of its streams. Takes as long as fork and exec do.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub(crate) fn spawn(&self, mut command: Command) -> io::Result<Child> {
        let (started, told) = sync_channel(1);
        let gone = || io::Error::other("the thread that starts processes has ended");
        sys::give_open_files(&mut command, self.open_files);
        self.ask.send(Request { command, runtime: Handle::current(), started }).map_err(|_| gone())?;
        told.recv().map_err(|_| gone())?
    }
}

fn serve(asked: &Receiver<Request>) {
    while let Ok(Request { mut command, runtime, started }) = asked.recv() {
        let child = {
            let _runtime = runtime.enter();
            command.spawn()
        };
        drop(command);
        // Whoever asked waits.
        let _ = started.send(child);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use nix::sys::prctl;

    use super::*;

    fn flag_of(words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdout(Stdio::piped());
        command
    }

    #[tokio::test]
    async fn what_it_starts_has_the_rights_from_before() {
        let spawner = Spawner::start().expect("a thread");
        // This test's own thread, and no other's.
        prctl::set_no_new_privs().expect("nothing to refuse");
        let words = ["grep", "NoNewPrivs", "/proc/self/status"];
        let ours = flag_of(&words).output().await.expect("grep");
        let started = spawner.spawn(flag_of(&words)).expect("grep").wait_with_output().await.expect("its output");
        assert_eq!(String::from_utf8_lossy(&ours.stdout), "NoNewPrivs:\t1\n");
        assert_eq!(String::from_utf8_lossy(&started.stdout), "NoNewPrivs:\t0\n");
    }

    #[tokio::test]
    async fn what_cannot_be_started_is_told() {
        let spawner = Spawner::start().expect("a thread");
        let error = spawner.spawn(Command::new("/no/such/program")).expect_err("nothing there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(spawner.spawn(Command::new("true")).expect("true").wait().await.expect("an end").success());
    }
}
