//! The connection of the moment, for whoever opens channels: there is none before the first stands, and none while one is lost.

use tokio::sync::watch;

use super::spec::Target;
use crate::ssh::channels::{Halves, OpenError, Opener};

/// Who tells which connection it is.
#[derive(Debug)]
pub(super) struct Gatekeeper(watch::Sender<Option<Opener>>);

/// Who wants to know. Clones are the same gate.
#[derive(Clone, Debug)]
pub(super) struct Gate(watch::Receiver<Option<Opener>>);

impl Gatekeeper {
    pub(super) fn new() -> (Self, Gate) {
        let (opener_tx, opener_rx) = watch::channel(None);
        (Self(opener_tx), Gate(opener_rx))
    }

    /// This connection stands.
    pub(super) fn open(&self, opener: Opener) {
        self.0.send_replace(Some(opener));
    }

    /// There is no connection now.
    pub(super) fn shut(&self) {
        self.0.send_replace(None);
    }
}

impl Gate {
    /// Waits until there is a connection.
    pub(super) async fn passable(&mut self) {
        // The gatekeeper lives as long as anybody waits; without one, waiting is all that is left.
        if self.0.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Opens a channel to the target, over whichever connection takes it: one that is lost on the way is waited for.
    ///
    /// # Errors
    /// [`OpenError::Refused`].
    pub(super) async fn open(&mut self, target: &Target, originator: (&str, u16)) -> Result<Halves, OpenError> {
        loop {
            self.passable().await;
            let Some(opener) = self.0.borrow_and_update().clone() else { continue };
            let opened = match target {
                Target::Tcp { host, port } => opener.direct_tcpip(host, *port, originator).await,
                Target::Unix(path) => opener.direct_streamlocal(&path.to_string_lossy()).await,
            };
            match opened {
                Err(OpenError::Lost) => {
                    // Whoever told us of this connection tells of its loss as well.
                    drop(opener);
                    if self.0.changed().await.is_err() {
                        return Err(OpenError::Lost);
                    }
                }
                other => return other,
            }
        }
    }
}
