//! A long line: hands packets from one interface to another after a while, in order, as fast as they come.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::sys::HEADER;

/// What can be under way in one direction, in bytes: several times what TCP's buffers allow two ends, and a multiple of what OpenSSH's
/// windows allow 32 streams. What exceeds it is lost, as in a router's queue.
const ROOM: usize = 256 << 20;
/// The same in packets: acknowledgements are small.
const PACKETS: usize = 1 << 17;
/// Largest packet that a read may bring, in bytes: IPv4's largest.
const LARGEST: usize = HEADER + 0xffff;

struct Packet {
    due: Instant,
    bytes: Box<[u8]>,
}

/// Starts two threads that hand on what `from` sends, as long as this process lives.
pub(crate) fn start(from: Arc<File>, to: Arc<File>, delay: Duration) {
    let (sender, receiver) = sync_channel(PACKETS);
    let held = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&held);
    thread::spawn(move || take(&from, &sender, delay, &held));
    thread::spawn(move || give(&to, &receiver, &counted));
}

fn take(mut from: &File, queue: &SyncSender<Packet>, delay: Duration, held: &AtomicUsize) {
    let mut block = vec![0; LARGEST];
    // An interface that is gone ends both threads.
    while let Ok(read) = from.read(&mut block) {
        let due = Instant::now() + delay;
        if held.load(Ordering::Relaxed) + read > ROOM {
            continue;
        }
        held.fetch_add(read, Ordering::Relaxed);
        if queue.try_send(Packet { due, bytes: block[..read].into() }).is_err() {
            held.fetch_sub(read, Ordering::Relaxed);
        }
    }
}

fn give(mut to: &File, queue: &Receiver<Packet>, held: &AtomicUsize) {
    for Packet { due, bytes } in queue {
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            thread::sleep(early);
        }
        // One that the interface does not take is lost, as on a wire.
        let _ = to.write(&bytes);
        held.fetch_sub(bytes.len(), Ordering::Relaxed);
    }
}
