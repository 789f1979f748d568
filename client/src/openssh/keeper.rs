//! The keeper: the process that owns a host's run from its first connection until a while after its last.
//!
//! Its standard input is the socket that proxies come to, bound before it was started: whoever has connected is never refused. It
//! belongs to no terminal, so that closing one ends OpenSSH and the proxies, and only then the run.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::audience::Audience;
use super::directory::{self, is_ours};
use super::door::Door;
use super::visitor;
use crate::error::EXIT_FAILURE;
use crate::options::{Errand, Options, ProxyOptions};
use crate::signals::Stop;
use crate::ui::Ui;

/// Time for proxies to take what there is left to say.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Runs the host's task by `log_in` until everybody has left. Returns the exit status of the program, which nobody sees but a test.
pub async fn run(options: ProxyOptions, stop: &Stop, log_in: impl AsyncFnOnce(Options, &Ui) -> u8) -> u8 {
    // Fails only for the leader of a process group, which then has no terminal to lose either.
    let _ = nix::unistd::setsid();
    let audience = Audience::default();
    let door = Door::new(options.host, audience.clone());
    let listener = match inherited() {
        Ok(listener) => listener,
        Err(error) => {
            audience.warn(&format!("no socket to listen on: {error}"));
            return EXIT_FAILURE;
        }
    };
    let ui = Ui::for_audience(options.login.quiet, audience);
    let login = Options { errand: Errand::OpenSsh(door.clone()), ..options.login };
    let visitors = TaskTracker::new();
    let done = CancellationToken::new();
    let owned = async {
        let code = Box::pin(log_in(login, &ui)).await;
        done.cancel();
        code
    };
    let (code, ()) = tokio::join!(owned, receive(listener, &door, &visitors, stop, &done));
    // Only now that nobody can come to us any more: whoever hears of it may start the next keeper.
    door.over(code);
    visitors.close();
    // One that does not take its last words goes without.
    let _ = tokio::time::timeout(LAST_WORDS, visitors.wait()).await;
    let place = door.host().directory.clone();
    let _lock = lock(&place).await;
    directory::end(&place);
    code
}

/// The socket that the proxy bound for us.
fn inherited() -> std::io::Result<StdUnixListener> {
    let fd: OwnedFd = std::io::stdin().as_fd().try_clone_to_owned()?;
    let listener = StdUnixListener::from(fd);
    // Anything but a listening socket has no address of a socket's.
    listener.local_addr()?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Lets proxies in until nobody has been there for the host's time, or the run is over.
async fn receive(
    listener: StdUnixListener,
    door: &Door,
    visitors: &TaskTracker,
    stop: &Stop,
    done: &CancellationToken,
) {
    let mut listener = match UnixListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            door.audience().warn(&format!("no socket to listen on: {error}"));
            stop.first.cancel();
            return;
        }
    };
    loop {
        let deserted = loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => welcome(stream, door, visitors),
                    Err(error) => {
                        // Out of descriptors or memory: connections that end give some back.
                        tracing::warn!(%error, "no proxy was let in");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                () = door.deserted() => break true,
                () = done.cancelled() => break false,
            }
        };
        match close(listener, door, visitors, deserted).await {
            None => break,
            Some(open) => listener = open,
        }
    }
    // Wherever the run is, there is nobody left to go on for.
    door.close();
    stop.first.cancel();
}

fn welcome(stream: UnixStream, door: &Door, visitors: &TaskTracker) {
    if is_ours(&stream) {
        let presence = door.enter();
        visitors.spawn(visitor::attend(stream, door.clone(), presence));
    }
}

/// Closes the socket, unless somebody came in the meantime who would have us stay. Nobody can be on the way to it: proxies connect with
/// the lock that we hold.
async fn close(listener: UnixListener, door: &Door, visitors: &TaskTracker, may_stay: bool) -> Option<UnixListener> {
    let place = door.host().directory.clone();
    let lock = lock(&place).await;
    let mut came = false;
    let listener = listener.into_std().ok()?;
    while let Ok((stream, _)) = listener.accept() {
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = UnixStream::from_std(stream)
        {
            came = true;
            welcome(stream, door, visitors);
        }
    }
    if came && may_stay {
        return UnixListener::from_std(listener).ok();
    }
    directory::leave(&place);
    drop(listener);
    drop(lock);
    None
}

/// The lock of the base directory. Without it (the directory has been taken away) nobody can come either.
async fn lock(directory: &Path) -> Option<File> {
    let directory = directory.to_owned();
    tokio::task::spawn_blocking(move || directory::lock(&directory)).await.ok().and_then(Result::ok)
}
