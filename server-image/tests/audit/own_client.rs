//! A client of our own kind, whose sessions outlive their connection.

use std::sync::Arc;

use fargate_contract::{ResumeId, ResumeRequest, resume};
use russh::client::{self, Handle, Msg};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{ChannelMsg, SshId};
use ssh_flow::{ChannelReceiver, ChannelSender, Link, split};
use tokio::net::TcpStream;

use crate::container::{Container, PORT, seed};

struct Pinned;

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let pinned = seed().public_key();
        Ok(matches!(shown, PublicKeyOrCertificate::PublicKey { key, .. } if key.key_data() == pinned.key_data()))
    }
}

/// An authenticated connection.
pub(crate) struct Login {
    socket: std::net::TcpStream,
    handle: Handle<Pinned>,
    link: Link,
    channel: tokio::sync::Mutex<Option<(ChannelSender<Msg>, ChannelReceiver)>>,
}

/// A session that may be asked for again, and how much of its output has come.
pub(crate) struct Session {
    id: ResumeId,
    received: u64,
}

impl Login {
    pub(crate) async fn new(container: &Container) -> Self {
        let stream = TcpStream::connect((container.address, PORT)).await.expect("a connection");
        let socket = stream.into_std().expect("a socket");
        let stream = TcpStream::from_std(socket.try_clone().expect("a descriptor")).expect("a socket");
        let (stream, link) = Link::wrap(stream);
        let config = client::Config {
            client_id: SshId::Standard(ssh_flow::software_id("test_1").into()),
            window_size: ssh_flow::WINDOW_SIZE,
            preferred: ssh_flow::preferred(),
            ..client::Config::default()
        };
        let mut handle = client::connect_stream(Arc::new(config), stream, Pinned).await.expect("SSH");
        let key = russh::keys::load_secret_key(container.directory.path().join("key"), None).expect("a key");
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
        assert!(handle.authenticate_publickey("root", key).await.expect("an answer").success());
        Self { socket, handle, link, channel: tokio::sync::Mutex::default() }
    }

    /// Loses the connection: nobody says goodbye.
    pub(crate) fn lose(self) {
        self.socket.shutdown(std::net::Shutdown::Both).expect("a connection");
    }

    async fn open(&self) -> (ChannelSender<Msg>, ChannelReceiver) {
        split(self.handle.channel_open_session().await.expect("a channel"), &self.link)
    }

    /// A session with a terminal that has said something.
    pub(crate) async fn kept_session(&self, command: &str) -> Session {
        let (sender, mut receiver) = self.open().await;
        let id = ResumeId::new(0x0123_4567_89ab_cdef);
        sender.requests().set_env(true, resume::ID_VARIABLE, id.encode()).await.expect("sent");
        sender.requests().request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.expect("sent");
        sender.requests().exec(true, command).await.expect("sent");
        let received = loop {
            if let ChannelMsg::Data { data } = receiver.recv().await.expect("flow control").expect("more") {
                break data.len() as u64;
            }
        };
        *self.channel.lock().await = Some((sender, receiver));
        Session { id, received }
    }

    /// Asks for a session that there is not.
    pub(crate) async fn refused_resumption(&self) {
        let (sender, mut receiver) = self.open().await;
        let request = ResumeRequest { id: ResumeId::new(1), received: 0 };
        sender.requests().request_subsystem(true, request.encode()).await.expect("sent");
        assert!(matches!(receiver.recv().await, Ok(Some(ChannelMsg::Failure))));
    }

    /// Goes on with a session.
    pub(crate) async fn resume(&self, session: &Session) {
        let (sender, receiver) = self.open().await;
        let request = ResumeRequest { id: session.id.clone(), received: session.received };
        sender.requests().request_subsystem(true, request.encode()).await.expect("sent");
        *self.channel.lock().await = Some((sender, receiver));
    }

    /// Reads the session to its end, and leaves.
    pub(crate) async fn ended(self) {
        let (_sender, mut receiver) = self.channel.lock().await.take().expect("a session");
        while let Ok(Some(_)) = receiver.recv().await {}
        // The container may have left before.
        let _ = self.handle.disconnect(russh::Disconnect::ByApplication, "", "").await;
    }
}
