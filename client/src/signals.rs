//! SIGINT, SIGTERM, SIGHUP and SIGQUIT as two wishes: the first is to stop and clean up, the second is to leave at once.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Signals that may wait to be handed on.
const DIVERTED: usize = 16;

/// What the user wishes so far.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Cancelled by the first signal.
    pub first: CancellationToken,
    /// Cancelled by the second signal.
    pub second: CancellationToken,
    number: Arc<AtomicI32>,
    /// Who has the signals for now.
    diverted: Arc<Mutex<Option<mpsc::Sender<Signal>>>>,
}

/// Signals that are for somebody else until this is dropped.
#[derive(Debug)]
pub struct Diverted {
    signals_rx: mpsc::Receiver<Signal>,
    diverted: Arc<Mutex<Option<mpsc::Sender<Signal>>>>,
}

impl Diverted {
    /// The next signal. Cancel-safe.
    pub async fn recv(&mut self) -> Signal {
        match self.signals_rx.recv().await {
            Some(signal) => signal,
            // The sender stands in `diverted` for as long as this lives.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Diverted {
    fn drop(&mut self) {
        lock(&self.diverted).take();
    }
}

fn lock(diverted: &Mutex<Option<mpsc::Sender<Signal>>>) -> MutexGuard<'_, Option<mpsc::Sender<Signal>>> {
    diverted.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stop {
    /// Takes the signals over for the rest of the process. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the process may not install signal handlers.
    pub fn install() -> std::io::Result<Self> {
        let stop = Self::default();
        // Two signals are all that matters to us; more find the channel full.
        let (signals_tx, signals_rx) = mpsc::channel(2);
        for kind in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
            let mut stream = signal(SignalKind::from_raw(kind as i32))?;
            let signals_tx = signals_tx.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    let _ = signals_tx.try_send(kind);
                }
            });
        }
        tokio::spawn(stop.clone().listen(signals_rx));
        Ok(stop)
    }

    /// Exit status of a run that a signal ended: 128 + n. `None` when no signal came.
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        let number = self.number.load(Ordering::Acquire);
        u8::try_from(128 + number).ok().filter(|_| number > 0)
    }

    /// Name of the first signal, for the user.
    #[must_use]
    pub fn signal_name(&self) -> &'static str {
        Signal::try_from(self.number.load(Ordering::Acquire)).map_or("signal", Signal::as_str)
    }

    /// Has the signals handed on instead of taken as wishes, while somebody else is who they are for. `None` when there was a wish
    /// already.
    #[must_use]
    pub fn divert(&self) -> Option<Diverted> {
        let (signals_tx, signals_rx) = mpsc::channel(DIVERTED);
        *lock(&self.diverted) = Some(signals_tx);
        let diverted = Diverted { signals_rx, diverted: Arc::clone(&self.diverted) };
        (!self.first.is_cancelled()).then_some(diverted)
    }

    async fn listen(self, mut signals_rx: mpsc::Receiver<Signal>) {
        while let Some(signal) = signals_rx.recv().await {
            if let Some(signals_tx) = &*lock(&self.diverted) {
                // Whoever is behind by so many has heard that it is to end.
                let _ = signals_tx.try_send(signal);
            } else if self.first.is_cancelled() {
                self.second.cancel();
            } else {
                self.number.store(signal as i32, Ordering::Release);
                self.first.cancel();
            }
        }
    }
}
