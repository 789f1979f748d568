//! One proxy at the keeper's: it hears how the start goes, then has a connection of its own to the task, byte for byte.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::door::{Door, Presence, State, Way, is_over};
use super::frame::{self, Frame};
use crate::error::EXIT_FAILURE;
use crate::login::LoginError;
use crate::ready::dial::DialFailure;
use crate::ready::stream::Stream;

/// What OpenSSH says before the task answers: its identification string, and at most its first key exchange packet.
const EARLY_MAX: usize = 64 * 1024;
/// Bytes that are read from the task at once.
const CHUNK: usize = 64 * 1024;
/// A task that answered before is dialled again for this long: a network may come back, an address may be slow.
const DIAL_AGAIN: Duration = Duration::from_secs(15);
const DIAL_PAUSE: Duration = Duration::from_millis(500);
/// A task's last words after OpenSSH has hung up.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Sees to one proxy until either end has enough.
pub async fn attend(stream: UnixStream, door: Door, _presence: Presence) {
    let (from_proxy, to_proxy) = stream.into_split();
    let heard = door.audience().attend();
    let mut visit = Visit { from_proxy, to_proxy, heard, early: Vec::new() };
    let outcome = visit.take_place(&door).await;
    let last = match outcome {
        Ok(Outcome::Left) | Err(_) => return,
        Ok(Outcome::Last(frame)) => frame,
    };
    // A proxy that is gone needs no last word.
    let _ = frame::write(&mut visit.to_proxy, &last).await;
}

enum Outcome {
    /// The proxy is gone.
    Left,
    /// What there is left to say to it.
    Last(Frame),
}

struct Visit {
    from_proxy: OwnedReadHalf,
    to_proxy: OwnedWriteHalf,
    heard: mpsc::Receiver<Frame>,
    /// What the proxy has sent so far.
    early: Vec<u8>,
}

impl Visit {
    async fn take_place(&mut self, door: &Door) -> std::io::Result<Outcome> {
        let way = match self.wait(door).await? {
            Some(State::Open(way)) => way,
            Some(State::Over { had_begun: true, .. }) => return Ok(Outcome::Last(Frame::Again)),
            // Whoever came while the task was starting has heard why there is none.
            Some(State::Over { code, .. }) => return Ok(Outcome::Last(Frame::End(code))),
            Some(State::Starting) | None => return Ok(Outcome::Left),
        };
        let dialled = match door.take_first() {
            Some(stream) => Ok(stream),
            None => dial_again(&way).await,
        };
        let failure = match dialled {
            Ok(task) => return self.relay(task, door).await,
            Err(failure) => failure,
        };
        if !door.doubt(Some(failure.clone())).await {
            return Ok(Outcome::Last(Frame::Again));
        }
        let told = crate::ui::render(&LoginError::Unreachable(failure));
        frame::write(&mut self.to_proxy, &Frame::Line(told)).await?;
        Ok(Outcome::Last(Frame::End(EXIT_FAILURE)))
    }

    /// Waits for the task's answer or the run's end, tells what is said meanwhile, and keeps what the proxy sends. `None` when it left.
    async fn wait(&mut self, door: &Door) -> std::io::Result<Option<State>> {
        let mut state = door.state();
        loop {
            let room = EARLY_MAX - self.early.len();
            let mut chunk = (&mut self.from_proxy).take(u64::try_from(room).unwrap_or(0));
            tokio::select! {
                biased;
                Some(said) = self.heard.recv() => frame::write(&mut self.to_proxy, &said).await?,
                settled = settled(&mut state) => return Ok(settled),
                read = chunk.read_buf(&mut self.early), if room > 0 => if read? == 0 {
                    return Ok(None);
                },
            }
        }
    }

    async fn relay(&mut self, task: Stream, door: &Door) -> std::io::Result<Outcome> {
        let (mut from_task, mut to_task) = tokio::io::split(task);
        let Self { from_proxy, to_proxy, heard, early } = self;
        let up = async {
            to_task.write_all(early).await?;
            tokio::io::copy(from_proxy, &mut to_task).await?;
            to_task.shutdown().await?;
            // Whoever has hung up hears the rest, if it comes soon.
            tokio::time::sleep(LAST_WORDS).await;
            std::io::Result::Ok(())
        };
        let down = async {
            let mut chunk = vec![0; CHUNK];
            loop {
                let read = tokio::select! {
                    read = from_task.read(&mut chunk) => read,
                    Some(said) = heard.recv() => {
                        frame::write(to_proxy, &said).await?;
                        continue;
                    }
                };
                match read {
                    Ok(0) | Err(_) => return std::io::Result::Ok(()),
                    Ok(length) => {
                        let bytes = Bytes::copy_from_slice(chunk.get(..length).unwrap_or_default());
                        frame::write(to_proxy, &Frame::Bytes(bytes)).await?;
                    }
                }
            }
        };
        let mut state = door.state();
        tokio::select! {
            _ = up => return Ok(Outcome::Left),
            hung_up = down => hung_up?,
            // Even if its task goes on, because nobody could stop it.
            () = is_over(&mut state) => return Ok(Outcome::Last(Frame::End(EXIT_FAILURE))),
        }
        self.hung_up(door).await
    }

    /// The task hung up first, perhaps because it has ended: a proxy that stays hears why. OpenSSH leaves after every goodbye.
    async fn hung_up(&mut self, door: &Door) -> std::io::Result<Outcome> {
        let mut rest = tokio::io::sink();
        let left = tokio::io::copy(&mut self.from_proxy, &mut rest);
        let judged = tokio::time::timeout(LAST_WORDS, door.doubt(None));
        let goes_on = tokio::select! {
            biased;
            _ = left => return Ok(Outcome::Left),
            judged = judged => judged.unwrap_or(true),
        };
        while let Ok(said) = self.heard.try_recv() {
            frame::write(&mut self.to_proxy, &said).await?;
        }
        Ok(Outcome::Last(Frame::End(if goes_on { 0 } else { EXIT_FAILURE })))
    }
}

async fn settled(state: &mut watch::Receiver<State>) -> Option<State> {
    state.wait_for(|state| *state != State::Starting).await.ok().map(|state| state.clone())
}

async fn dial_again(way: &Way) -> Result<Stream, DialFailure> {
    let until = Instant::now() + DIAL_AGAIN;
    loop {
        match way.route.dial(way.connect_timeout).await {
            Ok(stream) => return Ok(stream),
            // Nobody listens there any more.
            Err(failure @ DialFailure::Refused) => return Err(failure),
            Err(failure) if failure.is_final() => return Err(failure),
            Err(failure) if Instant::now() > until => return Err(failure),
            Err(_) => tokio::time::sleep(DIAL_PAUSE).await,
        }
    }
}
