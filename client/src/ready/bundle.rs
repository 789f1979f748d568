//! A connection over as many sessions of Systems Manager as it has use for: it begins with one, and gets others while what comes from
//! the task fills those that it has. An agent holds back each of its sessions, and not all of them together.

mod meter;

use std::io;
use std::task::{Context, Poll};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::Bytes;
use fargate_contract::{BundleId, JoinRequest};
use ssh_flow::{Bundle, Joiner};
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::sync::watch;

use super::dial::DialFailure;
use super::sessions::{Dial, Hello, Port};
use super::stream::{Beginning, Link};
use meter::Meter;

/// Pauses after a session that came to nothing: StartSession is limited to some calls a second for the whole account. After as many
/// failures as there are pauses and one more, the connection goes on with what it has.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(2);
const PAUSES: usize = 2;

/// A connection over sessions that may become more.
#[derive(Debug)]
pub struct Bundled {
    beginning: Beginning,
    bundle: Bundle<Link>,
    meter: Meter,
}

impl Bundled {
    /// Makes a connection of its first session, which said `beginning` for itself. `most`: sessions at most.
    ///
    /// # Errors
    /// [`DialFailure::Silent`], when the session is gone already.
    pub(super) async fn begin(
        port: &Port,
        dial: Dial,
        mut first: Link,
        beginning: Bytes,
        most: u8,
    ) -> Result<Self, DialFailure> {
        let id = BundleId::new(rand::random());
        let request = JoinRequest { id: id.clone(), number: 0 };
        first.write_all(request.encode().as_bytes()).await.map_err(|_| DialFailure::Silent)?;
        let (bundle, joiner) = Bundle::new(first);
        let (meter, filled) = Meter::new();
        port.sessions.spawn(widen(port.clone(), dial, id, most, joiner, filled));
        Ok(Self { beginning: Beginning::new(beginning), bundle, meter })
    }

    pub(super) fn writer(&mut self) -> &mut Bundle<Link> {
        &mut self.bundle
    }

    pub(super) fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.beginning.read(buffer) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = std::pin::Pin::new(&mut self.bundle).poll_read(context, buffer);
        self.meter.count(buffer.filled().len() - before, self.bundle.links());
        read
    }
}

/// Adds sessions while those that there are, are full: as many again each time. Ends with the connection.
async fn widen(
    port: Port,
    dial: Dial,
    id: BundleId,
    most: u8,
    joiner: Joiner<Link>,
    mut filled: watch::Receiver<usize>,
) {
    let mut pauses = ExponentialBuilder::default().with_min_delay(PAUSE).with_max_times(PAUSES).build();
    let (mut number, mut links) = (1, 1);
    while number < most {
        // Fails when nobody reads any more.
        if filled.wait_for(|filled| *filled >= links).await.is_err() {
            return;
        }
        let as_many = links;
        for _ in 0..as_many {
            if number == most {
                return;
            }
            let request = JoinRequest { id: id.clone(), number };
            number += 1;
            let added = tokio::select! {
                added = port.open(dial.clone(), Hello::Another(request)) => added,
                () = joiner.closed() => return,
            };
            match added {
                Ok((link, _)) => match joiner.join(link).await {
                    Ok(()) => links += 1,
                    Err(_) => return,
                },
                Err(failure) => {
                    tracing::warn!(%failure, "no other session for this connection");
                    let Some(pause) = pauses.next() else { return };
                    tokio::select! {
                        () = tokio::time::sleep(pause) => break,
                        () = joiner.closed() => return,
                    }
                }
            }
        }
    }
}
