//! Bytes between a local connection and its connection to the far port.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::forward::stream::Stream;

/// Bytes that are taken at once of what an agent sends, which is one kibibyte in a millisecond.
const CHUNK: usize = 8 * 1024;
/// Time for the local end to close after the far one. What it still sends has nowhere to go; to close at once would reset it, and take
/// from it what it has not read yet.
const LINGER: Duration = Duration::from_secs(5);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Either end has closed it.
    Closed,
    /// The far port was not to be had.
    Refused,
    /// The session ended amid it, or the run.
    Cut,
}

/// How the way to the far port ended.
enum Up {
    /// The local end has said all.
    Said,
    /// The far end takes no more; the other way knows why.
    Untaken,
    /// The local end was reset.
    Reset,
}

/// Relays until the connection ends, or the run does. The far end cannot close one direction alone: its end is that of the connection. A
/// connection that was refused or cut is reset.
pub(super) async fn relay(stream: Stream, port: impl AsyncRead + AsyncWrite, ended: &CancellationToken) -> End {
    let relayed = ended.run_until_cancelled(both_ways(&stream, port)).await;
    let (end, local) = relayed.unwrap_or((End::Cut, Up::Untaken));
    match (end, local) {
        (End::Closed, Up::Untaken) => {
            stream.finish();
            let rest = async { while matches!(stream.read().await, Ok(Some(_))) {} };
            // Whoever keeps it open longer is closed on.
            let _ = timeout(LINGER, rest).await;
        }
        (End::Closed, Up::Said) => stream.finish(),
        (End::Closed, Up::Reset) => {}
        (End::Refused | End::Cut, _) => stream.abort(),
    }
    end
}

/// Relays until the connection ends: how, and how far the local end was.
async fn both_ways(stream: &Stream, port: impl AsyncRead + AsyncWrite) -> (End, Up) {
    let (mut reader, mut writer) = split(port);
    let up = async {
        loop {
            match stream.read().await {
                Ok(Some(bytes)) if writer.write_all(&bytes).await.is_err() => return Up::Untaken,
                Ok(Some(_)) => {}
                Ok(None) if writer.shutdown().await.is_err() => return Up::Untaken,
                Ok(None) => return Up::Said,
                Err(_) => return Up::Reset,
            }
        }
    };
    let down = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            match reader.read(&mut buffer).await {
                Ok(0) => return End::Closed,
                Ok(read) => {
                    if stream.write_all(buffer.get(..read).unwrap_or_default()).await.is_err() {
                        return End::Closed;
                    }
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return End::Refused,
                Err(_) => return End::Cut,
            }
        }
    };
    tokio::pin!(up, down);
    let up = tokio::select! {
        // What has come goes out before anything else is noticed.
        biased;
        end = &mut down => return (end, Up::Untaken),
        up = &mut up => up,
    };
    match up {
        Up::Reset => (End::Closed, Up::Reset),
        Up::Said | Up::Untaken => (down.await, up),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::ReadBuf;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A far end whose reads fail like this.
    struct Failing(ErrorKind);

    impl AsyncRead for Failing {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(self.0.into()))
        }
    }

    impl AsyncWrite for Failing {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn pair() -> (TcpStream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let near = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("listening");
        let (far, _) = listener.accept().await.expect("a connection");
        (near, Stream::Tcp(far))
    }

    #[tokio::test]
    async fn what_is_refused_or_cut_is_reset() {
        for (kind, expected) in [
            (ErrorKind::ConnectionRefused, End::Refused),
            (ErrorKind::ConnectionReset, End::Cut),
            (ErrorKind::ConnectionAborted, End::Cut),
        ] {
            let (mut near, stream) = pair().await;
            assert_eq!(relay(stream, Failing(kind), &CancellationToken::new()).await, expected);
            let error = near.read(&mut [0]).await.expect_err("reset");
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
    }

    #[tokio::test]
    async fn the_answer_after_the_end_of_a_request_is_waited_for() {
        let (mut near, stream) = pair().await;
        let (port, mut server) = tokio::io::duplex(1024);
        let relayed = tokio::spawn(async move { relay(stream, port, &CancellationToken::new()).await });
        near.write_all(b"question").await.expect("written");
        near.shutdown().await.expect("half closed");
        let mut asked = Vec::new();
        server.read_to_end(&mut asked).await.expect("an end");
        assert_eq!(asked, b"question");
        server.write_all(b"answer").await.expect("written");
        drop(server);
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.expect("an answer");
        assert_eq!((&answer[..], relayed.await.expect("no panic")), (&b"answer"[..], End::Closed));
    }

    #[tokio::test]
    async fn an_answer_that_comes_early_is_not_lost_to_what_is_still_being_sent() {
        let (mut near, stream) = pair().await;
        let (port, mut server) = tokio::io::duplex(64);
        let relayed = tokio::spawn(async move { relay(stream, port, &CancellationToken::new()).await });
        server.write_all(b"no").await.expect("written");
        drop(server);
        near.write_all(&[7; 100_000]).await.expect("taken");
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.expect("a plain end");
        drop(near);
        assert_eq!((&answer[..], relayed.await.expect("no panic")), (&b"no"[..], End::Closed));
    }
}
