//! The bytes of one forward: each direction to its own end, so that a reply after the end of the question arrives whole.

use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use nix::sys::socket::{Shutdown, shutdown};
use russh::ChannelMsg;
use russh::server::Msg;
use ssh_flow::{ChannelReceiver, ChannelSender, FlowError};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::refusal::in_words;
use crate::chunk::{CHUNK, take};
use crate::lifetime::Activity;

/// Time in which the client closes a channel that has ended both ways. OpenSSH does so at once; russh forgets a channel wholly only
/// where the peer closes it first.
const FAREWELL: Duration = Duration::from_secs(3);

/// Time for the target to take what came before the client closed the channel; and before the connection ended, which the end of the
/// container may be waiting for.
const DRAIN: Duration = Duration::from_secs(10);
const LAST_DRAIN: Duration = Duration::from_secs(1);

/// The other end of a forward.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What a forward moved and why it ended.
#[derive(Debug)]
pub(super) struct Relayed {
    /// Bytes from the client.
    pub(super) received: u64,
    /// Bytes to the client.
    pub(super) sent: u64,
    pub(super) reason: String,
}

/// How a channel stopped bringing data.
enum Ended {
    ByClient,
    WithConnection,
    Broken(FlowError),
}

/// Moves bytes both ways until both directions have ended or one has broken. The channel may have to be closed then.
pub(super) async fn relay(
    stream: &Stream,
    sender: &ChannelSender<Msg>,
    receiver: ChannelReceiver,
    activity: &Activity,
    connection_ended: &CancellationToken,
) -> Relayed {
    let (mut received, mut sent) = (0, 0);
    let (input_over, output_over) = (CancellationToken::new(), AtomicBool::new(false));
    let reason = {
        let input = to_target(stream, receiver, activity, &mut received, &input_over);
        let output = async {
            match to_client(stream, sender, activity, &mut sent).await {
                Ok(()) => {
                    output_over.store(true, Ordering::Relaxed);
                    input_over.cancelled().await;
                    sleep(FAREWELL).await;
                    "both ends have closed it".to_owned()
                }
                Err(Some(error)) => format!("it broke: {}", in_words(&error)),
                // The other direction knows why.
                Err(None) => std::future::pending().await,
            }
        };
        let drained = async {
            sender.closed().await;
            tokio::select! {
                () = sleep(DRAIN) => "the client closed it",
                () = after(connection_ended, LAST_DRAIN) => "the connection ended",
            }
        };
        tokio::select! {
            biased;
            ended = input => match ended {
                Ended::ByClient if input_over.is_cancelled() && output_over.load(Ordering::Relaxed) => {
                    "both ends have closed it".to_owned()
                }
                Ended::ByClient => "the client closed it".to_owned(),
                Ended::WithConnection => "the connection ended".to_owned(),
                Ended::Broken(error) => error.to_string(),
            },
            reason = output => reason,
            reason = drained => reason.to_owned(),
        }
    };
    Relayed { received, sent, reason }
}

async fn after(token: &CancellationToken, time: Duration) {
    token.cancelled().await;
    sleep(time).await;
}

/// Moves the client's data until the channel is closed. A target that takes no more does not end its own direction.
async fn to_target(
    stream: &Stream,
    mut receiver: ChannelReceiver,
    activity: &Activity,
    received: &mut u64,
    over: &CancellationToken,
) -> Ended {
    loop {
        match receiver.recv().await {
            Ok(Some(ChannelMsg::Data { data })) if !over.is_cancelled() => {
                activity.touch();
                match stream.write_all(&data).await {
                    Ok(()) => *received += data.len() as u64,
                    Err(_) => over.cancel(),
                }
            }
            Ok(Some(ChannelMsg::Eof)) => {
                stream.end_output();
                over.cancel();
            }
            Ok(Some(ChannelMsg::Close)) => return Ended::ByClient,
            Ok(Some(_)) => {}
            Ok(None) => return Ended::WithConnection,
            Err(error) => return Ended::Broken(error),
        }
    }
}

/// Moves the target's data up to its end, which the client learns. Fails without an error when the channel is closed.
async fn to_client(
    stream: &Stream,
    sender: &ChannelSender<Msg>,
    activity: &Activity,
    sent: &mut u64,
) -> Result<(), Option<io::Error>> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        match stream.try_read(&mut buffer) {
            Ok(0) => return sender.eof().await.map_err(|_| None),
            Ok(length) => {
                activity.touch();
                *sent += length as u64;
                sender.data(take(&mut buffer)).await.map_err(|_| None)?;
                sender.taken().await;
            }
            Err(nothing) if nothing.kind() == io::ErrorKind::WouldBlock => {
                // A thousand forwards that stand still need no buffers.
                buffer = BytesMut::new();
                stream.readable().await.map_err(Some)?;
            }
            Err(error) => return Err(Some(error)),
        }
    }
}

impl Stream {
    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read_buf(buffer),
            Self::Unix(stream) => stream.try_read_buf(buffer),
        }
    }

    async fn write_all(&self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let written = match self {
                Self::Tcp(stream) => stream.try_write(data),
                Self::Unix(stream) => stream.try_write(data),
            };
            match written {
                Ok(length) => data = &data[length..],
                Err(full) if full.kind() == io::ErrorKind::WouldBlock => match self {
                    Self::Tcp(stream) => stream.writable().await?,
                    Self::Unix(stream) => stream.writable().await?,
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says that no more comes. One that is closed already need not be told.
    fn end_output(&self) {
        let descriptor = match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        };
        let _ = shutdown(descriptor, Shutdown::Write);
    }
}
