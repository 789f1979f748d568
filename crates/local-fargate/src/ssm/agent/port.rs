//! Port sessions: one TCP connection after the other (basic), or many at once inside of smux.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::handshake::is_at_least;
use super::smux::{self, Stream};
use super::talk::{CHUNK, Input, Pace, Talk};
use super::{Agents, Order, Reach};
use crate::ssm::document::Port;
use crate::ssm::payload::{FLAG, Flag, OUTPUT};

/// The type of session that takes many connections.
const LOCAL_PORT_FORWARDING: &str = "LocalPortForwarding";
/// First agent that multiplexes.
const AGENT_MUX_SINCE: [u64; 4] = [3, 0, 196, 1];
/// First client that multiplexes, and the first one that wants no keepalive.
const MUX_SINCE: [u64; 3] = [1, 1, 70];
const QUIET_SINCE: [u64; 4] = [1, 2, 331, 1];
/// What fits between the conversation and smux, as in the socket pair of the real one.
const PIPE: usize = 208 * 1024;
/// Bytes read at once from a connection inside of smux.
const COPY: usize = 32 * 1024;

/// Serves until the client ends the session or, where that ends it, the remote end closes.
pub(super) async fn serve(
    order: &Order,
    port: &Port,
    talk: &Arc<Talk>,
    agents: &Agents,
    client_version: &str,
) -> Result<(), String> {
    if let Some(refusal) = order.reach.refusal(&port.host, agents.refuse_loopback).await {
        return Err(refusal);
    }
    let is_forwarding = port.session_type == LOCAL_PORT_FORWARDING;
    let both_multiplex = is_at_least(&agents.version, &AGENT_MUX_SINCE) && is_at_least(client_version, &MUX_SINCE);
    if is_forwarding && both_multiplex {
        mux(order, port, talk, !is_at_least(client_version, &QUIET_SINCE)).await;
        return Ok(());
    }
    basic(order, port, talk, is_forwarding).await
}

async fn dial(reach: &Reach, port: &Port) -> Result<TcpStream, String> {
    if port.host.is_empty() { reach.dial_own(port.port).await } else { reach.dial(&port.host, port.port).await }
}

/// One connection, dialled before anything is taken; with `redials`, another one whenever data comes and there is none.
async fn basic(order: &Order, port: &Port, talk: &Talk, redials: bool) -> Result<(), String> {
    let failed = |error: String| format!("Unable to connect to specified port: {error}");
    let first = dial(&order.reach, port).await.map_err(failed)?;
    let mut inputs = talk.activate();
    let mut connection = Some(first.into_split());
    let mut pace = Pace::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        let event = match &mut connection {
            Some((reader, _)) => next(&mut inputs, reader, &mut buffer).await,
            None => Event::Input(inputs.recv().await),
        };
        match event {
            Event::Input(None | Some(Input::Flag(Flag::TerminateSession))) => return Ok(()),
            Event::Input(Some(Input::Data(data))) => {
                if connection.is_none() {
                    connection = Some(dial(&order.reach, port).await.map_err(failed)?.into_split());
                }
                if let Some((_, writer)) = &mut connection
                    && writer.write_all(&data).await.is_err()
                {
                    connection = None;
                }
            }
            Event::Input(Some(Input::Flag(Flag::DisconnectToPort))) if redials => connection = None,
            Event::Input(Some(_)) => {}
            Event::Read(0) if redials => connection = None,
            Event::Read(0) => return Ok(()),
            Event::Read(read) => {
                let data = Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default());
                talk.send_paced(OUTPUT, data, &mut pace).await;
            }
        }
    }
}

enum Event {
    Input(Option<Input>),
    /// So many bytes, none at the end.
    Read(usize),
}

async fn next(inputs: &mut mpsc::Receiver<Input>, reader: &mut OwnedReadHalf, buffer: &mut [u8]) -> Event {
    tokio::select! {
        input = inputs.recv() => Event::Input(input),
        // A connection that was reset has ended.
        read = reader.read(buffer) => Event::Read(read.unwrap_or_default()),
    }
}

/// Many connections: the conversation's bytes are those of smux, whatever the frames are.
async fn mux(order: &Order, port: &Port, talk: &Arc<Talk>, keepalive: bool) {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let (mut accepted, served) = smux::serve(theirs, keepalive);
    let (mut reader, mut writer) = tokio::io::split(ours);
    let mut inputs = talk.activate();
    let upward = async {
        while let Some(input) = inputs.recv().await {
            match input {
                // Waits, and everything with it, when smux has no budget left.
                Input::Data(data) if writer.write_all(&data).await.is_err() => return,
                Input::Flag(Flag::TerminateSession) => return,
                _ => {}
            }
        }
    };
    let downward = async {
        let (mut buffer, mut pace) = (vec![0; CHUNK], Pace::default());
        while let Ok(read @ 1..) = reader.read(&mut buffer).await {
            let data = Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default());
            talk.send_paced(OUTPUT, data, &mut pace).await;
        }
    };
    let mut connections = JoinSet::new();
    let accepting = async {
        while let Some(stream) = accepted.recv().await {
            while connections.try_join_next().is_some() {}
            connections.spawn(connect(order.reach.clone(), port.clone(), Arc::clone(talk), stream));
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = upward => {}
        () = downward => {}
        () = served => {}
        () = accepting => {}
    }
}

async fn connect(reach: Reach, port: Port, talk: Arc<Talk>, stream: Stream) {
    match dial(&reach, &port).await {
        Ok(connection) => relay(connection, stream).await,
        Err(error) => {
            tracing::debug!(%error, "a stream's connection fails");
            talk.send(FLAG, Flag::ConnectToPortError.payload()).await;
            stream.close().await;
        }
    }
}

/// Copies both ways until either way ends; then the connection is closed in both directions, and the stream with it.
async fn relay(connection: TcpStream, stream: Stream) {
    let (mut reader, mut writer) = connection.into_split();
    let to_port = async {
        while let Some(data) = stream.read().await {
            if writer.write_all(&data).await.is_err() {
                return;
            }
        }
    };
    let from_port = async {
        let mut buffer = vec![0; COPY];
        while let Ok(read @ 1..) = reader.read(&mut buffer).await {
            if !stream.write(buffer.get(..read).unwrap_or_default()).await {
                return;
            }
        }
    };
    tokio::select! {
        () = to_port => {}
        () = from_port => {}
    }
    stream.close().await;
}
