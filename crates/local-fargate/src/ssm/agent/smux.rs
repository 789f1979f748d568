//! The agent's end of smux version 1, the multiplexer inside of port sessions: it accepts streams and opens none.
//!
//! After xtaci/smux: 8 bytes of header in little-endian order, then at most 65,535 bytes. There is one credit for what all streams have
//! not read yet; when it is used up nothing more is read, of any stream. FIN closes a stream, not one direction of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

const VERSION: u8 = 1;
const SYN: u8 = 0;
const FIN: u8 = 1;
const PSH: u8 = 2;
const NOP: u8 = 3;
/// Most bytes of a frame that we write.
const FRAME_MAX: usize = 32_768;
/// Bytes that all streams together may leave unread.
const BUDGET: i64 = 4 * 1024 * 1024;
/// Streams that nobody has accepted yet.
const BACKLOG: usize = 1024;
/// Frames that wait to be written.
const QUEUE: usize = 16;
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(30);

/// What all streams share.
#[derive(Debug)]
struct Session {
    inboxes: Mutex<HashMap<u32, Arc<Inbox>>>,
    budget: Mutex<i64>,
    /// Told when there is budget again.
    refilled: Notify,
    writes: mpsc::Sender<Vec<u8>>,
}

/// What one stream has not read.
#[derive(Debug, Default)]
struct Inbox {
    unread: Mutex<Unread>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Unread {
    chunks: VecDeque<Bytes>,
    is_finished: bool,
}

/// An accepted stream.
#[derive(Debug)]
pub(super) struct Stream {
    id: u32,
    session: Arc<Session>,
    inbox: Arc<Inbox>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves the other end of `io`: streams come out of the receiver for as long as the future runs. It ends with the bytes, or when
/// a keepalive that is wanted is not answered.
pub(super) fn serve(io: DuplexStream, keepalive: bool) -> (mpsc::Receiver<Stream>, impl Future<Output = ()>) {
    let (reader, writer) = tokio::io::split(io);
    let (accepts, accepted) = mpsc::channel(BACKLOG);
    let (writes, queue) = mpsc::channel(QUEUE);
    let session = Arc::new(Session {
        inboxes: Mutex::default(),
        budget: Mutex::new(BUDGET),
        refilled: Notify::new(),
        writes: writes.clone(),
    });
    let heard = Arc::new(Mutex::new(Instant::now()));
    let run = async move {
        tokio::select! {
            () = read(reader, &session, &accepts, &heard) => {}
            () = write(writer, queue) => {}
            () = keep_alive(&writes, &heard), if keepalive => {}
        }
        for inbox in lock(&session.inboxes).values() {
            inbox.finish();
        }
    };
    (accepted, run)
}

async fn read(
    mut io: ReadHalf<DuplexStream>,
    session: &Arc<Session>,
    accepts: &mpsc::Sender<Stream>,
    heard: &Mutex<Instant>,
) {
    loop {
        session.afford().await;
        let mut header = [0; 8];
        if io.read_exact(&mut header).await.is_err() {
            return;
        }
        let [version, command, l0, l1, i0, i1, i2, i3] = header;
        let (length, id) = (u16::from_le_bytes([l0, l1]), u32::from_le_bytes([i0, i1, i2, i3]));
        if version != VERSION || command > NOP {
            tracing::debug!(version, command, "not smux: nothing more is read of this session");
            // The bytes are never taken again, and the session stands still: so does the real one.
            return std::future::pending().await;
        }
        *lock(heard) = Instant::now();
        let mut data = vec![0; usize::from(length)];
        if io.read_exact(&mut data).await.is_err() {
            return;
        }
        match command {
            SYN => {
                if let Some(stream) = session.open(id)
                    && accepts.send(stream).await.is_err()
                {
                    return;
                }
            }
            FIN => session.with(id, |inbox| inbox.finish()),
            PSH if !data.is_empty() => session.push(id, data.into()),
            _ => {}
        }
    }
}

async fn write(mut io: WriteHalf<DuplexStream>, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = queue.recv().await {
        if io.write_all(&frame).await.is_err() {
            return;
        }
    }
}

async fn keep_alive(writes: &mpsc::Sender<Vec<u8>>, heard: &Mutex<Instant>) {
    loop {
        tokio::time::sleep(KEEPALIVE).await;
        // A queue that is full says that we are heard from.
        let _ = writes.try_send(frame(NOP, 0, &[]));
        let is_dead = lock(heard).elapsed() >= KEEPALIVE_TIMEOUT;
        if is_dead {
            return;
        }
    }
}

fn frame(command: u8, id: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    [&[VERSION, command][..], &length.to_le_bytes(), &id.to_le_bytes(), data].concat()
}

impl Session {
    /// Waits until something may be read.
    async fn afford(&self) {
        loop {
            let refilled = self.refilled.notified();
            if *lock(&self.budget) > 0 {
                return;
            }
            refilled.await;
        }
    }

    fn spend(&self, bytes: usize) {
        *lock(&self.budget) -= i64::try_from(bytes).unwrap_or(i64::MAX);
    }

    fn refill(&self, bytes: usize) {
        *lock(&self.budget) += i64::try_from(bytes).unwrap_or(i64::MAX);
        self.refilled.notify_one();
    }

    /// A new stream; `None` if there is one of this id already.
    fn open(self: &Arc<Self>, id: u32) -> Option<Stream> {
        let mut inboxes = lock(&self.inboxes);
        if inboxes.contains_key(&id) {
            return None;
        }
        let inbox = Arc::new(Inbox::default());
        inboxes.insert(id, Arc::clone(&inbox));
        Some(Stream { id, session: Arc::clone(self), inbox })
    }

    fn with(&self, id: u32, act: impl FnOnce(&Inbox)) {
        if let Some(inbox) = lock(&self.inboxes).get(&id) {
            act(inbox);
        }
    }

    /// Data for a stream that is not known is dropped without a word.
    fn push(&self, id: u32, data: Bytes) {
        self.with(id, |inbox| {
            self.spend(data.len());
            lock(&inbox.unread).chunks.push_back(data);
            inbox.changed.notify_one();
        });
    }
}

impl Inbox {
    fn finish(&self) {
        lock(&self.unread).is_finished = true;
        self.changed.notify_one();
    }
}

impl Stream {
    /// What comes next; `None` after the other end's FIN, or the end of the session.
    pub(super) async fn read(&self) -> Option<Bytes> {
        loop {
            let changed = self.inbox.changed.notified();
            {
                let mut unread = lock(&self.inbox.unread);
                if let Some(chunk) = unread.chunks.pop_front() {
                    drop(unread);
                    self.session.refill(chunk.len());
                    return Some(chunk);
                }
                if unread.is_finished {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Writes all of it; `false` when the session is over.
    pub(super) async fn write(&self, data: &[u8]) -> bool {
        for part in data.chunks(FRAME_MAX) {
            if self.session.writes.send(frame(PSH, self.id, part)).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Sends FIN and forgets the stream with everything that it has not read.
    pub(super) async fn close(self) {
        // A session that is over needs no FIN.
        let _ = self.session.writes.send(frame(FIN, self.id, &[])).await;
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        lock(&self.session.inboxes).remove(&self.id);
        let left: usize = lock(&self.inbox.unread).chunks.drain(..).map(|chunk| chunk.len()).sum();
        self.session.refill(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand: version, command, length, id, data.
    const SYN_3: [u8; 8] = [1, 0, 0, 0, 3, 0, 0, 0];
    const PSH_3: [u8; 10] = [1, 2, 2, 0, 3, 0, 0, 0, b'h', b'i'];
    const FIN_3: [u8; 8] = [1, 1, 0, 0, 3, 0, 0, 0];

    #[tokio::test]
    async fn a_stream_is_accepted_read_answered_and_closed() {
        let (mut ours, theirs) = tokio::io::duplex(1024);
        let (mut accepted, run) = serve(theirs, false);
        let server = tokio::spawn(run);
        ours.write_all(&[&SYN_3[..], &PSH_3, &FIN_3].concat()).await.expect("written");
        let stream = accepted.recv().await.expect("a stream");
        assert_eq!(stream.read().await.as_deref(), Some(&b"hi"[..]));
        assert_eq!(stream.read().await, None);
        assert!(stream.write(b"hi").await);
        stream.close().await;
        let mut answer = [0; 18];
        ours.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(answer, *[&PSH_3[..], &FIN_3].concat());
        drop(ours);
        server.await.expect("it ends with the bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_when_the_budget_is_used_up_and_again_when_it_is_not() {
        let (mut ours, theirs) = tokio::io::duplex(1024);
        let (mut accepted, run) = serve(theirs, false);
        let server = tokio::spawn(run);
        ours.write_all(&SYN_3).await.expect("written");
        let stream = accepted.recv().await.expect("a stream");
        let full = frame(PSH, 3, &vec![0; 0xffff]);
        let filled = async {
            for _ in 0..1000 {
                ours.write_all(&full).await.expect("written");
            }
        };
        // Time is paused: it goes on only when nobody can do anything any more.
        assert!(tokio::time::timeout(Duration::from_secs(1), filled).await.is_err(), "somebody took 64 MB");
        let mut read = 0;
        while let Ok(Some(chunk)) = tokio::time::timeout(Duration::from_secs(1), stream.read()).await {
            read += i64::try_from(chunk.len()).expect("a length");
        }
        assert!((BUDGET..BUDGET + 3 * 0xffff).contains(&read), "{read}");
        server.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_are_not_smux_stop_the_session_without_a_word() {
        let (mut ours, theirs) = tokio::io::duplex(64);
        let (_accepted, run) = serve(theirs, false);
        let server = tokio::spawn(run);
        ours.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.expect("written");
        let more = tokio::time::timeout(Duration::from_secs(60), ours.write_all(&[0; 4096])).await;
        assert!(more.is_err(), "somebody reads on");
        assert!(!server.is_finished());
        server.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_keepalive_that_nobody_answers_ends_the_session() {
        let (mut ours, theirs) = tokio::io::duplex(1024);
        let (_accepted, run) = serve(theirs, true);
        let server = tokio::spawn(run);
        let mut nop = [0; 8];
        ours.read_exact(&mut nop).await.expect("a NOP");
        assert_eq!(nop, [1, 3, 0, 0, 0, 0, 0, 0]);
        server.await.expect("it ends");
    }
}
