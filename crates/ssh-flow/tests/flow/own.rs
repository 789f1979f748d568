//! Between our own ends: credit bounds memory, and a stalled reader stalls itself only.

use bytes::Bytes;
use russh::ChannelMsg;
use ssh_flow::{CREDIT, FlowError, INITIAL_CREDIT, Tuning};

use crate::harness::{Pattern, Setup, echo, patiently, receive, round_trip, send, until};

const MIB: usize = 1024 * 1024;
const SIZE: usize = 64 * MIB;

/// The type code of a credit message.
const CREDIT_CODE: u32 = 0xFE00_0001;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_reader_gets_everything_within_the_credit() {
    patiently(async {
        let mut ends = Setup::own().connect().await;
        assert_eq!(ends.server_link.peer_identification().expect("it passed"), ssh_flow::software_id("client"));
        assert_eq!(ends.client_link.peer_identification().expect("it passed"), ssh_flow::software_id("server"));
        let (near, far) = ends.open().await;
        tokio::spawn(echo(far));
        round_trip(near, 1, SIZE).await;
        for usage in [ends.client_link.usage(), ends.server_link.usage()] {
            assert!(usage.peak_queued <= CREDIT, "{usage:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_local_reader_stops_neither_others_nor_itself_for_good() {
    patiently(async {
        let mut ends = Setup::own().connect().await;
        let ((sender, mut receiver), far) = ends.open().await;
        tokio::spawn(echo(far));
        let sending = tokio::spawn(async move { send(&sender, 2, SIZE).await.map(|()| sender) });
        // Both inboxes are as full as the credit lets them be: everything stands.
        let (client, server) = (ends.client_link.clone(), ends.server_link.clone());
        until(|| client.usage().queued > INITIAL_CREDIT / 4 && server.usage().queued > INITIAL_CREDIT / 4).await;
        ends.assert_lively().await;
        receive(&mut receiver, 2, SIZE).await;
        let exit = receiver.recv().await.expect("no offence");
        assert!(matches!(exit, Some(ChannelMsg::ExitStatus { exit_status: 7 })), "{exit:?}");
        sending.await.expect("no panic").expect("sent");
        assert!(client.usage().peak_queued <= 2 * CREDIT, "{:?}", client.usage());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_remote_reader_stops_no_other_channel() {
    patiently(async {
        let mut ends = Setup::own().connect().await;
        let ((sender, _receiver), (_far_sender, mut far_receiver)) = ends.open().await;
        let sending = tokio::spawn(async move { send(&sender, 3, 8 * MIB).await });
        let server = ends.server_link.clone();
        until(|| server.usage().queued > INITIAL_CREDIT / 4).await;
        ends.assert_lively().await;
        receive(&mut far_receiver, 3, 8 * MIB).await;
        sending.await.expect("no panic").expect("sent");
    })
    .await;
}

#[tokio::test]
async fn a_reply_after_eof_is_whole_and_ends_in_order() {
    patiently(async {
        let mut ends = Setup::own().connect().await;
        let ((sender, mut receiver), (far_sender, mut far_receiver)) = ends.open().await;
        let far = async {
            receive(&mut far_receiver, 4, MIB).await;
            far_sender.extended_data(1, Bytes::from_static(b"warning")).await.expect("sent");
            send(&far_sender, 5, 3 * MIB).await.expect("sent");
            far_sender.requests().exit_status(7).await.expect("sent");
            far_sender.close().await.expect("closed");
        };
        let near = async {
            send(&sender, 4, MIB).await.expect("sent");
            let first = receiver.recv().await.expect("no offence");
            assert!(matches!(first, Some(ChannelMsg::ExtendedData { ext: 1, .. })), "{first:?}");
            receive(&mut receiver, 5, 3 * MIB).await;
        };
        tokio::join!(far, near);
        let exit = receiver.recv().await.expect("no offence");
        assert!(matches!(exit, Some(ChannelMsg::ExitStatus { exit_status: 7 })), "{exit:?}");
        assert!(matches!(receiver.recv().await, Ok(Some(ChannelMsg::Close))));
        assert!(matches!(receiver.recv().await, Ok(None)));
        assert!(matches!(far_receiver.recv().await, Ok(None)));
        assert!(matches!(sender.data(Bytes::from_static(b"late")).await, Err(FlowError::Closed)));
    })
    .await;
}

#[tokio::test]
async fn single_bytes_cost_more_than_their_length() {
    patiently(async {
        let mut ends = Setup::own().connect().await;
        let ((sender, _receiver), (_far_sender, mut far_receiver)) = ends.open().await;
        let sending = tokio::spawn(async move {
            for _ in 0..5000 {
                sender.data(Bytes::from_static(b"x")).await.expect("sent");
            }
            sender.eof().await.expect("sent");
        });
        let server = ends.server_link.clone();
        until(|| server.usage().queued > INITIAL_CREDIT - 65).await;
        assert!(server.usage().queued <= INITIAL_CREDIT);
        let mut seen = 0;
        while let Some(ChannelMsg::Data { data }) = far_receiver.recv().await.expect("no offence") {
            seen += data.len();
        }
        assert_eq!(seen, 5000);
        sending.await.expect("sent");
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_overruns_its_credit_is_cut() {
    patiently(async {
        let mut ends = Setup::own().connect().await;
        let ((_sender, mut receiver), lawless) = ends.open_lawless().await;
        let sent = Pattern::new(6).next(10 * usize::try_from(INITIAL_CREDIT).expect("small"));
        lawless.data_bytes(sent).await.expect("russh takes it");
        let mut seen = 0;
        let offence = loop {
            match receiver.recv().await {
                Ok(Some(ChannelMsg::Data { data })) => seen += data.len() as u64,
                Ok(other) => panic!("{other:?}"),
                Err(offence) => break offence,
            }
        };
        assert!(matches!(offence, FlowError::Overrun { .. }), "{offence}");
        assert!(seen <= INITIAL_CREDIT, "{seen}");
        assert!(matches!(receiver.recv().await, Ok(None)));
        ends.assert_lively().await;
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_grants_nonsense_is_cut() {
    for nonsense in [&b"abc"[..], &[0xFF; 4]] {
        patiently(async {
            let mut ends = Setup::own().connect().await;
            let ((sender, mut receiver), lawless) = ends.open_lawless().await;
            lawless.extended_data_bytes(CREDIT_CODE, nonsense).await.expect("russh takes it");
            assert!(matches!(receiver.recv().await, Err(FlowError::BadCredit)));
            sender.closed().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_cancelled_send_leaks_no_credit() {
    patiently(async {
        let mut ends = Setup::own().connect().await;
        let ((sender, _receiver), (_far_sender, mut far_receiver)) = ends.open().await;
        for _ in 0..200 {
            tokio::select! {
                biased;
                sent = sender.data(Bytes::from(vec![0; 100_000])) => sent.expect("sent"),
                () = tokio::task::yield_now() => {}
            }
        }
        let reading = tokio::spawn(async move {
            let mut seen = 0;
            while let Some(ChannelMsg::Data { data }) = far_receiver.recv().await.expect("no offence") {
                seen += data.len();
            }
            seen
        });
        for _ in 0..100 {
            sender.data(Bytes::from(vec![1; 100_000])).await.expect("sent");
        }
        sender.eof().await.expect("sent");
        assert!(reading.await.expect("no panic") >= 10_000_000);
    })
    .await;
}

#[tokio::test]
async fn a_send_that_is_cancelled_while_the_connection_is_full_leaks_no_credit() {
    patiently(async {
        // Nothing may be unsent and the transport holds little: most sends have their credit and wait for their turn.
        let client = Tuning { unsent: 0, ..Tuning::default() };
        let mut ends = Setup { client, duplex: Some(256), ..Setup::own() }.connect().await;
        let ((sender, _receiver), (_far_sender, mut far_receiver)) = ends.open().await;
        let reading = tokio::spawn(async move {
            while let Some(ChannelMsg::Data { .. }) = far_receiver.recv().await.expect("no offence") {}
        });
        let mut cancelled = 0;
        while cancelled < 200 {
            tokio::select! {
                biased;
                sent = sender.data(Bytes::from(vec![0; 20_000])) => sent.expect("sent"),
                () = tokio::task::yield_now() => cancelled += 1,
            }
        }
        for _ in 0..20 {
            sender.data(Bytes::from(vec![1; 20_000])).await.expect("sent");
        }
        sender.eof().await.expect("sent");
        reading.await.expect("no panic");
    })
    .await;
}

#[tokio::test]
async fn a_dropped_reader_lets_the_peer_go_on() {
    patiently(async {
        let mut ends = Setup::own().connect().await;
        let ((sender, mut receiver), (far_sender, far_receiver)) = ends.open().await;
        drop(far_receiver);
        send(&sender, 8, 4 * MIB).await.expect("sent");
        far_sender.data(Bytes::from_static(b"still here")).await.expect("sent");
        assert!(matches!(receiver.recv().await, Ok(Some(ChannelMsg::Data { .. }))));
    })
    .await;
}

#[tokio::test]
async fn a_reader_dropped_with_a_full_inbox_lets_the_peer_go_on() {
    patiently(async {
        let mut ends = Setup::own().connect().await;
        let ((sender, _receiver), (_far_sender, far_receiver)) = ends.open().await;
        let sending = tokio::spawn(async move { send(&sender, 9, 4 * MIB).await });
        let server = ends.server_link.clone();
        until(|| server.usage().queued > INITIAL_CREDIT / 4).await;
        drop(far_receiver);
        sending.await.expect("no panic").expect("sent");
        assert_eq!(server.usage().queued, 0);
    })
    .await;
}

#[tokio::test]
async fn dropping_both_halves_closes_the_channel_and_the_last_one_ends_the_session() {
    patiently(async {
        let mut ends = Setup::own().connect().await;
        let (near, (_far_sender, mut far_receiver)) = ends.open().await;
        drop(near);
        assert!(matches!(far_receiver.recv().await, Ok(Some(ChannelMsg::Close))));
        ends.client_link.finished().await;
        drop(ends.handle);
        // The client is gone without a goodbye, which russh calls an error or not, as it likes.
        drop(ends.session.await.expect("no panic"));
        ends.server_link.finished().await;
    })
    .await;
}

#[tokio::test]
async fn closing_ends_a_send_that_waits_for_credit() {
    patiently(async {
        let mut ends = Setup::own().connect().await;
        let ((sender, mut receiver), (_far_sender, mut far_receiver)) = ends.open().await;
        let (sent, closed) = tokio::join!(sender.data(Bytes::from(vec![0; MIB])), async {
            until(|| ends.server_link.usage().queued > INITIAL_CREDIT / 4).await;
            sender.close().await
        });
        assert!(matches!(sent, Err(FlowError::Closed)));
        closed.expect("closed");
        assert!(matches!(receiver.recv().await, Ok(None)));
        let mut last = None;
        while let Some(message) = far_receiver.recv().await.expect("no offence") {
            last = Some(message);
        }
        assert!(matches!(last, Some(ChannelMsg::Close)), "{last:?}");
    })
    .await;
}
