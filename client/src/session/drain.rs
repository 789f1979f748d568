//! From the channel to our outputs, until the channel is closed.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;

use russh::{ChannelMsg, Sig};
use ssh_flow::ChannelReceiver;
use tokio_util::sync::CancellationToken;

use super::ask::Asked;
use super::output::{Closed, Output};
use super::{Ended, ExitStatus, LAST_WORDS, SessionError};
use crate::recording::{Recorder, Stream};
use crate::ssh::Connection;

/// Extended data that is standard error (RFC 4254, section 5.2).
const STDERR: u32 = 1;

/// Standard output and standard error.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
}

/// What has come of a session so far, over all its channels.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes of standard output taken: what a lost connection took along is asked for from here on.
    pub(super) received: u64,
    /// Whether the session can be asked for when its connection is lost.
    pub(super) kept: bool,
}

/// Takes everything the channel brings. An exit status is no end: data may follow it. Where the server keeps the session, it
/// waits for us to close the channel: end of data and exit status together are the end.
///
/// # Errors
/// [`SessionError`]: a request was refused, the connection was lost, or there is no exit status.
pub(super) async fn drain(
    mut receiver: ChannelReceiver,
    mut asked: VecDeque<Asked>,
    outputs: &Outputs,
    connection: &Connection,
    progress: &mut Progress,
) -> Result<Ended, SessionError> {
    let (mut status, mut eof) = (None::<ExitStatus>, false);
    let closed = loop {
        if let (true, true, Some(status)) = (progress.kept, eof, &status) {
            return Ok(Ended::Closed(status.clone()));
        }
        // What is kept for us is taken only when there is a place for it: a reader that is slow must not hide a lost connection.
        let place = if progress.kept {
            tokio::select! {
                biased;
                place = outputs.stdout.reserve() => Some(place),
                cause = connection.closed() => return Err(cause.into()),
            }
        } else {
            None
        };
        match (receiver.recv().await?, place) {
            (Some(ChannelMsg::Data { .. }), Some(Err(Closed))) => return Ok(Ended::OutputClosed),
            (Some(ChannelMsg::Data { data }), Some(Ok(place))) => {
                progress.received += data.len() as u64;
                place.send(data);
            }
            (Some(ChannelMsg::Data { data }), None) => {
                progress.received += data.len() as u64;
                if outputs.stdout.write(data).await.is_err() {
                    return Ok(Ended::OutputClosed);
                }
            }
            (Some(ChannelMsg::ExtendedData { data, ext: STDERR }), _) => {
                // Without a reader of its errors a program goes on, as it would on a closed terminal.
                let _ = outputs.stderr.write(data).await;
            }
            (Some(ChannelMsg::ExitStatus { exit_status }), _) => status = Some(ExitStatus::Code(exit_status)),
            (Some(ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, .. }), _) => {
                status = Some(ExitStatus::Signal { name: name(signal_name), core_dumped, message: error_message });
            }
            (Some(ChannelMsg::Success), _) => progress.kept |= asked.pop_front() == Some(Asked::Resume),
            (Some(ChannelMsg::Failure), _) => match asked.pop_front() {
                // The server knows of no such thing: the session ends with its connection.
                Some(Asked::Resume) => {}
                Some(Asked::Pty) => return Err(SessionError::PtyRefused),
                Some(Asked::Start) => return Err(SessionError::CommandRefused),
                None => {}
            },
            (Some(ChannelMsg::Eof), _) => eof = true,
            (Some(ChannelMsg::Close), _) => break true,
            (Some(_), _) => {}
            (None, _) => break false,
        }
    };
    if progress.kept && !closed {
        return Err(connection.closed().await.into());
    }
    // A connection that broke before the end of the data may have taken some of it along.
    let whole = closed || eof || !connection.is_closed();
    match status {
        Some(status) if whole => Ok(Ended::Closed(status)),
        None if closed || !connection.is_closed() => Err(SessionError::NoStatus),
        _ => Err(connection.closed().await.into()),
    }
}

/// A signal's name on the wire.
fn name(signal: Sig) -> String {
    match signal {
        Sig::Custom(name) => name,
        // The variants are named as the signals are.
        known => format!("{known:?}"),
    }
}

impl Outputs {
    pub(crate) fn start(stdout: OwnedFd, stderr: OwnedFd, recorder: Option<&Recorder>) -> io::Result<Self> {
        let [stdout, stderr] = [("stdout", stdout), ("stderr", stderr)].map(|(name, fd)| Output::start(name, fd));
        Ok(Self {
            stdout: stdout?.recorded(recorder.cloned(), Stream::Stdout),
            stderr: stderr?.recorded(recorder.cloned(), Stream::Stderr),
        })
    }

    /// Writes out what is queued and says how the session ended, all told.
    ///
    /// # Errors
    /// The session's own; [`SessionError::Output`] when what it brought could not be written; [`SessionError::Cancelled`]
    /// while waiting for a slow reader.
    pub(crate) async fn finish(
        self,
        ended: Result<Ended, SessionError>,
        cancel: &CancellationToken,
    ) -> Result<ExitStatus, SessionError> {
        let hasty = matches!(ended, Ok(Ended::Left) | Err(SessionError::Cancelled));
        let all = async {
            let stdout = self.stdout.finish().await;
            // Errors that nobody reads are nobody's errors.
            let _ = self.stderr.finish().await;
            stdout
        };
        let written = tokio::select! {
            written = all => written,
            () = tokio::time::sleep(LAST_WORDS), if hasty => Ok(()),
            () = cancel.cancelled(), if !hasty => return Err(SessionError::Cancelled),
        };
        match (ended?, written) {
            (_, Err(error)) if error.kind() != ErrorKind::BrokenPipe => Err(SessionError::Output(error)),
            // The reader had what it wanted; the remote's own word still counts if it was said.
            (Ended::Closed(status), _) => Ok(status),
            (Ended::OutputClosed, _) => Ok(ExitStatus::broken_pipe()),
            (Ended::Left, _) => Ok(ExitStatus::Left),
        }
    }
}
