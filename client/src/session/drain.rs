//! From the channel to our outputs, until the channel is closed.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;

use russh::{ChannelMsg, Sig};
use ssh_flow::ChannelReceiver;
use tokio_util::sync::CancellationToken;

use super::ask::Asked;
use super::output::Output;
use super::{Ended, ExitStatus, LAST_WORDS, SessionError};
use crate::ssh::Connection;

/// Extended data that is standard error (RFC 4254, section 5.2).
const STDERR: u32 = 1;

/// Standard output and standard error.
#[derive(Debug)]
pub(super) struct Outputs {
    pub(super) stdout: Output,
    pub(super) stderr: Output,
}

/// Takes everything the channel brings. An exit status is no end: data may follow it.
///
/// # Errors
/// [`SessionError`]: a request was refused, the connection was lost, or there is no exit status.
pub(super) async fn drain(
    mut receiver: ChannelReceiver,
    mut asked: VecDeque<Asked>,
    outputs: &Outputs,
    connection: &Connection,
) -> Result<Ended, SessionError> {
    let (mut status, mut eof) = (None, false);
    let closed = loop {
        match receiver.recv().await? {
            Some(ChannelMsg::Data { data }) => {
                if outputs.stdout.write(data).await.is_err() {
                    return Ok(Ended::OutputClosed);
                }
            }
            Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => {
                // Without a reader of its errors a program goes on, as it would on a closed terminal.
                let _ = outputs.stderr.write(data).await;
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => status = Some(ExitStatus::Code(exit_status)),
            Some(ChannelMsg::ExitSignal { signal_name, core_dumped, error_message, .. }) => {
                status = Some(ExitStatus::Signal { name: name(signal_name), core_dumped, message: error_message });
            }
            Some(ChannelMsg::Success) => {
                asked.pop_front();
            }
            Some(ChannelMsg::Failure) => match asked.pop_front() {
                Some(Asked::Pty) => return Err(SessionError::PtyRefused),
                Some(Asked::Start) => return Err(SessionError::CommandRefused),
                None => {}
            },
            Some(ChannelMsg::Eof) => eof = true,
            Some(ChannelMsg::Close) => break true,
            Some(_) => {}
            None => break false,
        }
    };
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
    pub(super) fn start(stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Self> {
        Ok(Self { stdout: Output::start("stdout", stdout)?, stderr: Output::start("stderr", stderr)? })
    }

    /// Writes out what is queued and says how the session ended, all told.
    ///
    /// # Errors
    /// The session's own; [`SessionError::Output`] when what it brought could not be written; [`SessionError::Cancelled`]
    /// while waiting for a slow reader.
    pub(super) async fn finish(
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
