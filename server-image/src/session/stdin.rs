//! What the client types, on its way to the process.

use std::io;
use std::sync::Arc;

use russh::ChannelMsg;
use ssh_flow::{ChannelReceiver, FlowError};
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;

use super::meter::Meter;
use super::terminal::Terminal;

/// The process's standard input.
pub(super) enum Stdin {
    /// A pipe; `None` once it is closed.
    Pipe(Option<ChildStdin>),
    Terminal(Arc<Terminal>),
}

/// Why no more input comes.
pub(super) enum Ended {
    /// The channel is closed.
    Closed,
    /// The client broke flow control, or sent more than could be kept for a process that does not read.
    Broken(FlowError),
}

/// Moves input until the channel closes. Data behind the end of a process that no longer reads goes nowhere.
pub(super) async fn feed(mut stdin: Stdin, mut receiver: ChannelReceiver, meter: &Meter<'_>) -> Ended {
    loop {
        match receiver.recv().await {
            Ok(Some(ChannelMsg::Data { data })) => {
                meter.received(data.len());
                if stdin.write(&data).await.is_err() {
                    stdin.close();
                }
            }
            Ok(Some(ChannelMsg::Eof)) => stdin.close(),
            // Requests were answered by the handler.
            Ok(Some(_)) => {}
            Ok(None) => return Ended::Closed,
            Err(error) => return Ended::Broken(error),
        }
    }
}

impl Stdin {
    async fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Pipe(Some(pipe)) => pipe.write_all(data).await,
            Self::Pipe(None) => Ok(()),
            Self::Terminal(terminal) => terminal.write_all(data).await,
        }
    }

    /// Ends a pipe's input. A terminal has no end of input but what is typed, as with OpenSSH.
    fn close(&mut self) {
        if let Self::Pipe(pipe) = self {
            *pipe = None;
        }
    }
}
