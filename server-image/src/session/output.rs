//! What the process writes, on its way to the client.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use russh::server::Msg;
use ssh_flow::{ChannelSender, FlowError};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{ChildStderr, ChildStdout};
use tokio_util::sync::CancellationToken;

use super::STDERR;
use super::meter::Meter;
use super::terminal::Terminal;
use crate::chunk::{CHUNK, take};
use crate::sftp::report::Reports;

/// The process's standard output and error.
pub(super) enum Outputs {
    Pipes {
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
    },
    /// A file server's: replies for the client, reports for the log.
    Sftp {
        stdout: Option<ChildStdout>,
        reports: Reports,
    },
    /// Both in one.
    Terminal(Arc<Terminal>),
}

impl Outputs {
    /// Whether some of it is for the log, whoever may still take the rest.
    pub(super) fn has_reports(&self) -> bool {
        matches!(self, Self::Sftp { .. })
    }

    /// Moves output until the process's side of it is closed everywhere, or the client takes no more.
    pub(super) async fn pump(self, sender: &ChannelSender<Msg>, meter: &Meter<'_>) {
        match self {
            Self::Pipes { stdout, stderr } => {
                let out = pump_pipe(stdout, meter, sender, |data| sender.data(data));
                let err = pump_pipe(stderr, meter, sender, |data| sender.extended_data(STDERR, data));
                tokio::join!(out, err);
            }
            Self::Sftp { stdout, reports } => {
                let no_more_replies = CancellationToken::new();
                let replies = async {
                    pump_pipe(stdout, meter, sender, |data| sender.data(data)).await;
                    no_more_replies.cancel();
                };
                tokio::join!(replies, reports.write_to_log(&no_more_replies));
            }
            Self::Terminal(terminal) => {
                let mut buffer = BytesMut::new();
                // A terminal that hung up fails to read: its end of file.
                while let Ok(1..) = read_terminal(&terminal, &mut buffer).await {
                    meter.sent(&buffer);
                    if sender.data(take(&mut buffer)).await.is_err() {
                        return;
                    }
                    sender.taken().await;
                }
            }
        }
    }
}

async fn pump_pipe<P, F>(pipe: Option<P>, meter: &Meter<'_>, sender: &ChannelSender<Msg>, send: impl Fn(Bytes) -> F)
where
    P: AsyncRead + Unpin,
    F: Future<Output = Result<(), FlowError>>,
{
    let Some(mut pipe) = pipe else { return };
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        match pipe.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => meter.sent(&buffer),
        }
        if send(take(&mut buffer)).await.is_err() {
            return;
        }
        sender.taken().await;
    }
}

/// Reads what a terminal has, into a buffer of [`CHUNK`]; 0 is its end, as is an error.
pub(super) async fn read_terminal(terminal: &Terminal, buffer: &mut BytesMut) -> io::Result<usize> {
    buffer.resize(CHUNK, 0);
    let length = terminal.read(buffer).await?;
    buffer.truncate(length);
    Ok(length)
}
