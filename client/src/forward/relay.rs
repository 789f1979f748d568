//! Bytes between a local connection and its channel, each way until its own end.

use bytes::Bytes;
use russh::ChannelMsg;

use super::stream::Stream;
use crate::ssh::channels::Halves;

/// How one way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// With the end of its data, which was passed on: the other way goes on.
    Whole,
    /// With something missing.
    Cut,
}

/// Relays until both ways have ended, or one has in the midst; `first` are bytes of the local end's that have been read already. Either
/// end hears of the other's end of data, and of a connection that broke by its own breaking.
pub(super) async fn relay(stream: Stream, halves: Halves, first: Bytes) {
    let (sender, mut receiver) = halves;
    let to_channel = async {
        if !first.is_empty() && sender.data(first).await.is_err() {
            return Way::Cut;
        }
        loop {
            let read = tokio::select! {
                read = stream.read() => read,
                // Who has closed the channel takes nothing more; what it sent before is for the other way to end with.
                () = sender.closed() => return Way::Whole,
            };
            match read {
                Ok(Some(bytes)) => {
                    if sender.data(bytes).await.is_err() {
                        return Way::Whole;
                    }
                    sender.taken().await;
                }
                Ok(None) => {
                    // A channel that is closed has its end.
                    let _ = sender.eof().await;
                    return Way::Whole;
                }
                Err(_) => return Way::Cut,
            }
        }
    };
    let to_stream = async {
        loop {
            match receiver.recv().await {
                Ok(Some(ChannelMsg::Data { data })) => {
                    if stream.write_all(&data).await.is_err() {
                        return Way::Cut;
                    }
                }
                Ok(Some(ChannelMsg::Eof)) => {
                    stream.finish();
                    return Way::Whole;
                }
                Ok(Some(_)) => {}
                // Closed, or lost, before the end of the data.
                Ok(None) | Err(_) => return Way::Cut,
            }
        }
    };
    let whole = both(to_channel, to_stream).await;
    // A channel that is lost is closed.
    let _ = sender.close().await;
    if whole == Way::Cut {
        stream.abort();
    }
}

/// Waits for both ways, or for the first that is cut.
async fn both(one: impl Future<Output = Way>, other: impl Future<Output = Way>) -> Way {
    tokio::pin!(one, other);
    let (first, one_ended) = tokio::select! {
        way = &mut one => (way, true),
        way = &mut other => (way, false),
    };
    match (first, one_ended) {
        (Way::Cut, _) => Way::Cut,
        (Way::Whole, true) => other.await,
        (Way::Whole, false) => one.await,
    }
}
