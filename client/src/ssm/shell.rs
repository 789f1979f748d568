//! A session with a shell or a command: what is typed goes there, what is printed comes back.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::channel::{Channel, Event, Outbound, Ready, Services};
use super::error::SsmError;
use super::handshake::SessionKind;
use super::session::Session;

/// The size of a terminal that is none: no line is broken that need not be.
const NO_TERMINAL: (u32, u32) = (300, 100);

/// A shell or command session that has started.
///
/// Dropping it cuts the channel and leaves the session to its idle limit: [`Shell::terminate`] ends it.
#[derive(Debug)]
pub struct Shell {
    channel: Channel,
    greeting: Option<String>,
    kind: Option<SessionKind>,
    exit_code: Option<i32>,
}

/// What the session prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output; with a terminal, all of it. Characters of several bytes may be cut in two.
    StdOut(Bytes),
    /// Standard error of a command without a terminal.
    StdErr(Bytes),
}

/// Where a session is typed to.
#[derive(Clone, Debug)]
pub struct Input(mpsc::Sender<Outbound>);

impl Shell {
    /// Opens the session's channel and waits until it has started. That is when it prints something, unless it begins with a
    /// handshake, as encrypted ones do: a shell's prompt takes a second, and a command that prints nothing is waited for as long
    /// as it runs, since before there is no telling whether what is typed must be encrypted. `size` is that of the terminal, in
    /// columns and rows; without one it is 300 by 100, as with AWS's own client.
    ///
    /// # Errors
    /// [`SsmError`]: no connection, no key for an encrypted session, or a session that is not one of a shell or command.
    pub async fn start(session: Session, services: Services, size: Option<(u32, u32)>) -> Result<Self, SsmError> {
        let mut channel = Channel::open(session, services, Some(size.unwrap_or(NO_TERMINAL))).await?;
        let Ready { kind, greeting, .. } = channel.ready().await?;
        if let Some(port @ SessionKind::Port(_)) = &kind {
            let got = port.name().to_owned();
            // The wrong session should not stand for long; that it was wrong is what matters.
            let _ = channel.terminate().await;
            return Err(SsmError::WrongKind { wanted: "Standard_Stream", got });
        }
        let shell = Self { channel, greeting, kind, exit_code: None };
        // What was sent before a handshake is thrown away.
        if let (Some(_), Some((cols, rows))) = (&shell.kind, size) {
            shell.input().resize(cols, rows).await?;
        }
        Ok(shell)
    }

    /// Where to type.
    #[must_use]
    pub fn input(&self) -> Input {
        Input(self.channel.outbound())
    }

    /// What the agent calls the session; `None` when it did not say, as with shells and commands on a terminal.
    #[must_use]
    pub const fn kind(&self) -> Option<&SessionKind> {
        self.kind.as_ref()
    }

    /// Words that the session's owner wants to be shown, if any.
    #[must_use]
    pub fn greeting(&self) -> Option<&str> {
        self.greeting.as_deref()
    }

    /// What is printed next; `None` at the end, which [`Shell::end`] explains. May be dropped and called again. Who does not
    /// call it holds the session up, and in the end what runs in it.
    pub async fn next(&mut self) -> Option<Output> {
        loop {
            match self.channel.next().await? {
                Event::Output(bytes) => return Some(Output::StdOut(bytes)),
                Event::StdErr(bytes) => return Some(Output::StdErr(bytes)),
                Event::ExitCode(code) => self.exit_code = Some(code),
                Event::Ready(_) | Event::ConnectRefused => {}
            }
        }
    }

    /// Waits for the end of the session, passing over what it still prints. Yields the exit code of a command without a
    /// terminal; with a terminal the agent tells none.
    ///
    /// # Errors
    /// [`SsmError`], unless it ended without words.
    pub async fn end(mut self) -> Result<Option<i32>, SsmError> {
        while self.next().await.is_some() {}
        self.channel.ended().await.map(|()| self.exit_code)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// [`SsmError::NotTerminated`].
    pub async fn terminate(self) -> Result<(), SsmError> {
        self.channel.terminate().await
    }
}

impl Input {
    /// Types bytes. Waits while as much is on its way as may be.
    ///
    /// # Errors
    /// [`SsmError::Over`] when the session has ended.
    pub async fn send(&self, bytes: Bytes) -> Result<(), SsmError> {
        self.0.send(Outbound::Input(bytes)).await.map_err(|_| SsmError::Over)
    }

    /// Tells the terminal's size, in characters.
    ///
    /// # Errors
    /// [`SsmError::Over`] when the session has ended.
    pub async fn resize(&self, cols: u32, rows: u32) -> Result<(), SsmError> {
        self.0.send(Outbound::Size(cols, rows)).await.map_err(|_| SsmError::Over)
    }
}
