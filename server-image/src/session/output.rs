//! What the process writes, on its way to the client.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use russh::server::Msg;
use ssh_flow::{ChannelSender, FlowError};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{ChildStderr, ChildStdout};

use super::STDERR;
use super::terminal::Terminal;
use crate::lifetime::Activity;

/// Bytes read at once: what a pipe holds by default, and where reading measured fastest.
const CHUNK: usize = 64 * 1024;

/// The process's standard output and error.
pub(super) enum Outputs {
    Pipes {
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
    },
    /// Both in one.
    Terminal(Arc<Terminal>),
}

impl Outputs {
    /// Moves output until the process's side of it is closed everywhere, or the client takes no more.
    pub(super) async fn pump(self, sender: &ChannelSender<Msg>, activity: &Activity) {
        match self {
            Self::Pipes { stdout, stderr } => {
                let out = pump_pipe(stdout, activity, |data| sender.data(data));
                let err = pump_pipe(stderr, activity, |data| sender.extended_data(STDERR, data));
                tokio::join!(out, err);
            }
            Self::Terminal(terminal) => {
                let mut buffer = BytesMut::new();
                // A terminal that hung up fails to read: its end of file.
                while let Ok(1..) = read_terminal(&terminal, &mut buffer).await {
                    activity.touch();
                    if sender.data(buffer.split().freeze()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

async fn pump_pipe<P, F>(pipe: Option<P>, activity: &Activity, send: impl Fn(Bytes) -> F)
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
            Ok(_) => activity.touch(),
        }
        if send(buffer.split().freeze()).await.is_err() {
            return;
        }
    }
}

/// Reads what a terminal has, into a buffer of [`CHUNK`]; 0 is its end, as is an error.
pub(super) async fn read_terminal(terminal: &Terminal, buffer: &mut BytesMut) -> io::Result<usize> {
    buffer.resize(CHUNK, 0);
    let length = terminal.read(buffer).await?;
    buffer.truncate(length);
    Ok(length)
}
