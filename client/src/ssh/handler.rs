//! What the server may say outside of our channels: its host key, a banner, goodbye.

use russh::client::{self, ChannelOpenHandle, DisconnectReason, Msg, Session};
use russh::{Channel, ChannelId, ChannelOpenFailure, keys::PublicKeyOrCertificate};
use ssh_flow::Link;
use tokio::sync::{broadcast, watch};

use super::SshError;
use super::channels::{Door, Origin, Words, words};
use super::host_key::HostKey;

/// Verifies the host, hands on channels that the server opens for our forwards, refuses the others, and remembers why the connection
/// ended. Never waits: russh stands still while a handler runs.
#[derive(Debug)]
pub(super) struct ClientHandler {
    host_key: HostKey,
    ended_tx: watch::Sender<Option<SshError>>,
    link: Link,
    refusals: broadcast::Sender<Words>,
    door: Door,
}

impl ClientHandler {
    /// The handler, and where it says why the connection ended.
    pub(super) fn new(
        host_key: HostKey,
        link: Link,
        refusals: broadcast::Sender<Words>,
        door: Door,
    ) -> (Self, watch::Receiver<Option<SshError>>) {
        let (ended_tx, ended_rx) = watch::channel(None);
        (Self { host_key, ended_tx, link, refusals, door }, ended_rx)
    }
}

impl client::Handler for ClientHandler {
    type Error = SshError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, SshError> {
        self.host_key.verify(&shown.public_key()).map(|()| true)
    }

    async fn auth_banner(&mut self, banner: &str, _session: &mut Session) -> Result<(), SshError> {
        // Debug formatting escapes what a terminal would obey.
        tracing::info!(?banner, "the server says");
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<SshError>) -> Result<(), SshError> {
        let end = match reason {
            DisconnectReason::ReceivedDisconnect(info) => SshError::disconnected(&info),
            DisconnectReason::Error(error) => error,
        };
        tracing::debug!(%end, "the connection ended");
        self.ended_tx.send_replace(Some(end));
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _channel: ChannelId,
        reason: ChannelOpenFailure,
        description: &str,
        _language: &str,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        // Nobody may be waiting for it any more.
        let _ = self.refusals.send(words(&reason, description));
        Ok(())
    }

    // russh accepts what is not refused here. Dropping `_reply` refuses.

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        connected_address: &str,
        connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        let origin = Origin::Tcp { address: connected_address.to_owned(), port: connected_port };
        self.door.hand_on(origin, channel, reply, &self.link);
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        socket_path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        self.door.hand_on(Origin::Unix { path: socket_path.to_owned() }, channel, reply, &self.link);
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        self.door.hand_on(Origin::Agent, channel, reply, &self.link);
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), SshError> {
        Ok(())
    }
}
