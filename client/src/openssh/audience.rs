//! Who hears what the keeper says: every proxy that is there, and the log in the host's directory when nobody is.

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::frame::Frame;

/// Lines on their way to one proxy. One that does not take them misses some: talk never waits.
const QUEUE: usize = 64;

/// The proxies that are there. Clones are the same audience.
#[derive(Clone, Debug, Default)]
pub struct Audience(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    phase: Option<String>,
    listeners: Vec<mpsc::Sender<Frame>>,
}

impl Audience {
    /// One more listener, who first hears which phase it is.
    #[must_use]
    pub fn attend(&self) -> mpsc::Receiver<Frame> {
        let (told, heard) = mpsc::channel(QUEUE);
        let mut inner = self.lock();
        if let Some(phase) = &inner.phase {
            // The queue is new and empty.
            let _ = told.try_send(Frame::Phase(phase.clone()));
        }
        inner.listeners.push(told);
        heard
    }

    /// A phase begins.
    pub fn phase(&self, text: &str) {
        let mut inner = self.lock();
        inner.phase = Some(text.to_owned());
        tell(&mut inner, &Frame::Phase(text.to_owned()));
    }

    /// A line for whoever is there.
    pub fn note(&self, text: &str) {
        tell(&mut self.lock(), &Frame::Line(text.to_owned()));
    }

    /// A line that somebody has to read: if nobody is there, whoever comes next.
    pub fn warn(&self, text: &str) {
        if tell(&mut self.lock(), &Frame::Line(text.to_owned())) == 0 {
            // The keeper's stderr is the log in the host's directory.
            let _ = writeln!(anstream::AutoStream::never(std::io::stderr()).lock(), "{text}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many took it.
fn tell(inner: &mut Inner, frame: &Frame) -> usize {
    inner.listeners.retain(|listener| !listener.is_closed());
    inner.listeners.iter().filter(|listener| listener.try_send(frame.clone()).is_ok()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_who_is_there_hears_it_and_a_newcomer_the_phase() {
        let audience = Audience::default();
        let mut first = audience.attend();
        audience.phase("RunTask");
        let mut second = audience.attend();
        audience.note("a line");
        for listener in [&mut first, &mut second] {
            assert_eq!(listener.recv().await, Some(Frame::Phase("RunTask".to_owned())));
            assert_eq!(listener.recv().await, Some(Frame::Line("a line".to_owned())));
        }
        drop(first);
        audience.note("another");
        assert_eq!(audience.lock().listeners.len(), 1);
    }
}
