//! A connection that came to something of ours in the container, offered to the client as a channel (RFC 4254, section 7.2).

use std::net::SocketAddr;
use std::sync::Arc;

use russh::server::Handle;
use ssh_flow::split_forward;
use tokio::sync::OwnedSemaphorePermit;

use super::relay::Stream;
use super::{Connection, Kind, Named, clipped};
use crate::log::Event;

/// What the connection came to.
#[derive(Clone, Debug)]
pub(super) enum Offer {
    /// The address as the client asked for it, which it knows it by again, and the port.
    Tcp {
        address: String,
        port: u32,
    },
    /// The path as the client asked for it.
    Unix {
        path: String,
    },
    Agent,
}

impl Offer {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Tcp { .. } => Kind::ForwardedTcpip,
            Self::Unix { .. } => Kind::ForwardedStreamlocal,
            Self::Agent => Kind::Agent,
        }
    }

    /// Whether only one of the two can be listened on: a port stands for its addresses, which overlap in more ways than their words tell.
    pub(super) fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp { port, .. }, Self::Tcp { port: other, .. }) => port == other,
            (Self::Unix { path }, Self::Unix { path: other }) => path == other,
            _ => false,
        }
    }

    fn target(&self) -> String {
        match self {
            Self::Tcp { address, port } => clipped(&super::address_text(address, *port)),
            Self::Unix { path } => clipped(path),
            Self::Agent => String::new(),
        }
    }
}

/// Starts forwarding `stream`, if there is a place for it.
pub(super) fn begin(connection: &Arc<Connection>, handle: &Handle, offer: Offer, stream: Stream) {
    match connection.place() {
        Ok(place) => {
            let (connection, handle) = (Arc::clone(connection), handle.clone());
            let tasks = connection.server.forwarding.tasks.clone();
            tasks.spawn(serve(connection, handle, offer, stream, place));
        }
        Err(refusal) => connection.refuse(offer.kind(), &offer.target(), &refusal),
    }
}

/// Never cancelled while the channel is being opened: russh ends the whole connection over an answer that nobody awaits.
async fn serve(
    connection: Arc<Connection>,
    handle: Handle,
    offer: Offer,
    stream: Stream,
    _place: OwnedSemaphorePermit,
) {
    let origin = match &stream {
        Stream::Tcp(stream) => stream.peer_addr().ok(),
        Stream::Unix(_) => None,
    };
    let opened = match &offer {
        Offer::Tcp { address, port } => {
            let (host, from) = origin.map_or_else(Default::default, |origin| (host_of(origin), origin.port()));
            handle.channel_open_forwarded_tcpip(address.clone(), *port, host, u32::from(from)).await
        }
        Offer::Unix { path } => handle.channel_open_forwarded_streamlocal(path.clone()).await,
        Offer::Agent => handle.channel_open_agent().await,
    };
    let target = offer.target();
    match opened {
        Ok(channel) => {
            let (sender, receiver) = split_forward(channel, &connection.link);
            let origin = origin.map(|origin| origin.to_string()).unwrap_or_default();
            connection.run(&Named { kind: offer.kind(), target, origin }, &stream, &sender, receiver).await;
        }
        Err(error) => {
            let reason = format!("the client does not take it: {error}");
            let kind = offer.kind().name();
            let event = Event::ForwardRefused { kind, target: &target, peer: connection.peer, reason: &reason };
            connection.server.log.write(&event);
        }
    }
}

fn host_of(address: SocketAddr) -> String {
    address.ip().to_canonical().to_string()
}
