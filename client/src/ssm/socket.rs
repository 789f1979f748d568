//! The WebSocket under a data channel: dialled, encrypted and upgraded, and afterwards read and written without either waiting
//! for the other.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::address::Address;
use super::error::SsmError;
use super::sign::Signer;
use super::{proxy, tls};

/// From the first SYN to the upgrade.
const DIAL_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest message that is taken; agents send 1 KiB.
const MESSAGE_MAX: usize = 1 << 20;
/// Writes are collected up to this length, so that a burst of acknowledgements is one segment.
const WRITE_BUFFER: usize = 16 << 10;
/// What the socket says back when it is asked for longer than this is nobody's reading.
const WORDS_MAX_CHARS: usize = 300;

/// A connected socket, and what is to be sent over it.
pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn tls::Transport>>,
    queue: VecDeque<Message>,
    unflushed: bool,
}

/// What comes of waiting.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A message; text is taken as if it were binary.
    Message(Bytes),
    /// A ping or a pong: the other end lives.
    Sign,
    /// The connection is over.
    Cut(String),
}

impl Socket {
    /// One attempt at a connection.
    pub(crate) async fn dial(address: &Address, signer: Option<&Signer>) -> Result<Self, SsmError> {
        let headers = match signer {
            Some(signer) => signer.headers(address.url()).await?,
            None => Vec::new(),
        };
        let cause = |cause: String| SsmError::Unreachable { host: address.host().to_owned(), cause };
        match timeout(DIAL_TIMEOUT, upgrade(address, headers)).await {
            Ok(connected) => connected,
            Err(_) => Err(cause(format!("no answer within {} s", DIAL_TIMEOUT.as_secs()))),
        }
    }

    /// A connection that needs no dialling.
    #[cfg(test)]
    pub(crate) async fn over(transport: Box<dyn tls::Transport>) -> Self {
        let role = tokio_tungstenite::tungstenite::protocol::Role::Client;
        let stream = WebSocketStream::from_raw_socket(transport, role, None).await;
        Self { stream, queue: VecDeque::new(), unflushed: false }
    }

    /// Has a message sent, in order, as soon as the connection takes it.
    pub(crate) fn queue(&mut self, message: Message) {
        self.queue.push_back(message);
    }

    /// Messages that the connection has not taken.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Sends what is queued and, if `reading`, waits for what comes. Ends only with news, or when nothing is left to be sent and
    /// `reading` is false never. May be dropped and called again.
    pub(crate) async fn turn(&mut self, reading: bool) -> Heard {
        poll_fn(|context| self.poll_turn(context, reading)).await
    }

    /// Sends what is queued, for at most `limit`, and says goodbye.
    pub(crate) async fn close(mut self, limit: Duration) {
        self.queue(Message::Close(None));
        // Nothing depends on the goodbye.
        let _ = timeout(limit, poll_fn(|context| self.poll_write(context))).await;
    }

    fn poll_turn(&mut self, context: &mut Context<'_>, reading: bool) -> Poll<Heard> {
        if let Err(error) = self.write_queued(context) {
            return Poll::Ready(cut(&error));
        }
        if reading {
            match Pin::new(&mut self.stream).poll_next(context) {
                Poll::Ready(Some(Ok(message))) => return Poll::Ready(heard(message)),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(cut(&error)),
                Poll::Ready(None) => return Poll::Ready(Heard::Cut("the connection was closed".to_owned())),
                Poll::Pending => {}
            }
        }
        match self.poll_flush(context) {
            Poll::Ready(Err(error)) => Poll::Ready(cut(&error)),
            _ => Poll::Pending,
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.write_queued(context).is_err() {
            return Poll::Ready(());
        }
        match self.poll_flush(context) {
            Poll::Ready(Ok(())) if !self.queue.is_empty() => Poll::Pending,
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    }

    fn write_queued(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        while !self.queue.is_empty() {
            match Pin::new(&mut self.stream).poll_ready(context) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => return Ok(()),
            }
            if let Some(message) = self.queue.pop_front() {
                self.unflushed = true;
                Pin::new(&mut self.stream).start_send(message)?;
            }
        }
        Ok(())
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.unflushed = false;
        }
        flushed
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("queued", &self.queue.len()).finish_non_exhaustive()
    }
}

async fn upgrade(address: &Address, headers: Vec<(&'static str, String)>) -> Result<Socket, SsmError> {
    let unreachable = |cause: String| SsmError::Unreachable { host: address.host().to_owned(), cause };
    let tcp = match proxy::of_environment(address) {
        Some(proxy) => proxy::connect(&proxy, address).await,
        None => TcpStream::connect((address.host(), address.port())).await.map_err(|error| error.to_string()),
    };
    let tcp = tcp.map_err(unreachable)?;
    // Keystrokes are single small messages, and so are their acknowledgements: with Nagle's algorithm they wait for each other.
    tcp.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
    let transport: Box<dyn tls::Transport> = match address.is_tls() {
        true => Box::new(tls::connect(address.host(), tcp).await.map_err(unreachable)?),
        false => Box::new(tcp),
    };
    let mut request = address.url().into_client_request().map_err(|error| unreachable(error.to_string()))?;
    for (name, value) in headers {
        let value = HeaderValue::try_from(value).map_err(|error| SsmError::Unsigned { cause: error.to_string() })?;
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    let config = WebSocketConfig::default()
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    match tokio_tungstenite::client_async_with_config(request, transport, Some(config)).await {
        Ok((stream, _)) => Ok(Socket { stream, queue: VecDeque::new(), unflushed: false }),
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            let words =
                String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).take(WORDS_MAX_CHARS).collect();
            Err(SsmError::Refused { host: address.host().to_owned(), status: response.status().as_u16(), words })
        }
        Err(error) => Err(unreachable(error.to_string())),
    }
}

fn heard(message: Message) -> Heard {
    match message {
        Message::Binary(bytes) => Heard::Message(bytes),
        Message::Text(text) => Heard::Message(text.into()),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Heard::Sign,
        Message::Close(frame) => {
            let words = frame.map(|frame| format!("the service closed it ({})", u16::from(frame.code)));
            Heard::Cut(words.unwrap_or_else(|| "the service closed it".to_owned()))
        }
    }
}

fn cut(error: &Error) -> Heard {
    Heard::Cut(error.to_string())
}
