//! Standard input and output as one connection that the task makes: `-W`, and what `ssh` wants of a ProxyCommand.

use std::io::{self, ErrorKind};

use russh::ChannelMsg;
use rustix::fs::{Mode, OFlags};

use super::ForwardError;
use super::spec::Target;
use crate::session::input::Input;
use crate::session::output::Output;
use crate::session::{ExitStatus, Stdio};
use crate::ssh::Connection;
use crate::ssh::channels::{Halves, OpenError};

/// Where our own connection comes from, for the target's side: it has no address (RFC 4254 wants one).
const ORIGINATOR: (&str, u16) = ("127.0.0.1", 0);

/// How one way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// With the end of its data: the other way goes on.
    Whole,
    /// Nobody takes anything any more, either way.
    Over,
}

/// Connects to the target and relays until both ways have ended, or the target has closed. `release` gives our own standard output up
/// once everything is written: its reader learns that this was all, while we go on reading.
///
/// # Errors
/// [`ForwardError`].
pub async fn run(
    connection: &Connection,
    target: &Target,
    stdio: Stdio,
    release: fn() -> io::Result<()>,
) -> Result<ExitStatus, ForwardError> {
    let failed = |stream| move |cause| ForwardError::Stdio { stream, cause };
    let mut input = Input::open(stdio.stdin).map_err(failed("input"))?;
    let output = Output::start("stdout", stdio.stdout).map_err(failed("output"))?;
    let (sender, mut receiver) = open(connection, target).await?;
    let to_channel = async {
        loop {
            let read = tokio::select! {
                read = input.next() => read.map_err(failed("input"))?,
                // Who has closed the channel takes nothing more.
                () = sender.closed() => return Ok(Way::Whole),
            };
            let Some(bytes) = read else {
                // A channel that is closed has its end.
                let _ = sender.eof().await;
                return Ok(Way::Whole);
            };
            if sender.data(bytes).await.is_err() {
                return Ok(Way::Whole);
            }
            sender.taken().await;
        }
    };
    let to_output = async {
        let way = loop {
            match receiver.recv().await {
                Ok(Some(ChannelMsg::Data { data })) => {
                    if output.write(data).await.is_err() {
                        break Way::Over;
                    }
                }
                Ok(Some(ChannelMsg::Eof)) => break Way::Whole,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) if connection.is_closed() => return Err(connection.closed().await.into()),
                Ok(None) | Err(_) => break Way::Over,
            }
        };
        match output.finish().await {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(failed("output")(error)),
            _ => release().map_err(failed("output")).map(|()| way),
        }
    };
    let ended = both(to_channel, to_output).await;
    // A channel that is lost is closed.
    let _ = sender.close().await;
    ended.map(|()| ExitStatus::Code(0))
}

async fn open(connection: &Connection, target: &Target) -> Result<Halves, ForwardError> {
    let opener = connection.opener();
    let opened = match target {
        Target::Tcp { host, port } => opener.direct_tcpip(host, *port, ORIGINATOR).await,
        Target::Unix(path) => opener.direct_streamlocal(&path.to_string_lossy()).await,
    };
    match opened {
        Ok(halves) => Ok(halves),
        Err(OpenError::Lost) => Err(connection.closed().await.into()),
        Err(cause) => Err(ForwardError::Open { target: target.to_string(), cause }),
    }
}

async fn both(
    one: impl Future<Output = Result<Way, ForwardError>>,
    other: impl Future<Output = Result<Way, ForwardError>>,
) -> Result<(), ForwardError> {
    tokio::pin!(one, other);
    let (first, one_ended) = tokio::select! {
        way = &mut one => (way?, true),
        way = &mut other => (way?, false),
    };
    match (first, one_ended) {
        (Way::Over, _) => Ok(()),
        (Way::Whole, true) => other.await.map(drop),
        (Way::Whole, false) => one.await.map(drop),
    }
}

/// Puts nothing in the place of our standard output.
///
/// # Errors
/// When there is no `/dev/null`.
pub fn release_stdout() -> io::Result<()> {
    let nowhere = rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(rustix::stdio::dup2_stdout(&nowhere)?)
}
