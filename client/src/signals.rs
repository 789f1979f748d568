//! SIGINT, SIGTERM, SIGHUP and SIGQUIT as two wishes: the first is to stop and clean up, the second is to leave at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What the user wishes so far.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Cancelled by the first signal.
    pub first: CancellationToken,
    /// Cancelled by the second signal.
    pub second: CancellationToken,
    number: Arc<AtomicI32>,
}

impl Stop {
    /// Takes the signals over for the rest of the process. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the process may not install signal handlers.
    pub fn install() -> std::io::Result<Self> {
        let stop = Self::default();
        // Two signals are all that matters; more find the channel full or gone.
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

    async fn listen(self, mut signals_rx: mpsc::Receiver<Signal>) {
        if let Some(first) = signals_rx.recv().await {
            self.number.store(first as i32, Ordering::Release);
            self.first.cancel();
        }
        if signals_rx.recv().await.is_some() {
            self.second.cancel();
        }
    }
}
