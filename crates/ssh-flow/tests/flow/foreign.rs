//! Towards a foreign peer: no credit is sent, and what its reader has not taken overflows into a file.

use bytes::Bytes;
use russh::ChannelMsg;
use ssh_flow::{FlowError, Tuning};

use crate::harness::{Pattern, Setup, patiently, receive, round_trip, send, until};

const KIB: u64 = 1024;
const MIB: usize = 1024 * 1024;
const SIZE: usize = 16 * MIB;

fn small() -> Tuning {
    Tuning { memory: 256 * KIB, ..Tuning::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stalled_reader_leaves_overflows_and_arrives_in_order() {
    patiently(async {
        let mut ends = Setup { client: small(), ..Setup::foreign() }.connect().await;
        let ((_sender, mut receiver), (far_sender, _far_receiver)) = ends.open().await;
        send(&far_sender, 1, SIZE).await.expect("nothing holds it back");
        far_sender.requests().exit_status(7).await.expect("sent");
        far_sender.close().await.expect("closed");
        let client = ends.client_link.clone();
        until(|| client.moved() == SIZE as u64).await;
        ends.assert_lively().await;
        assert!(client.usage().spilled >= SIZE as u64 - 256 * KIB, "{:?}", client.usage());
        receive(&mut receiver, 1, SIZE).await;
        assert!(matches!(receiver.recv().await, Ok(Some(ChannelMsg::ExitStatus { exit_status: 7 }))));
        assert!(matches!(receiver.recv().await, Ok(Some(ChannelMsg::Close))));
        assert!(matches!(receiver.recv().await, Ok(None)));
        let usage = client.usage();
        assert_eq!((usage.queued, usage.spilled), (0, 0));
        // The stalled channel's memory, and the little that the lively one moved.
        assert!(usage.peak_queued <= 256 * KIB + 128 * KIB, "{usage:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_output_and_error_keep_their_order_through_the_file() {
    patiently(async {
        let mut ends = Setup { client: Tuning { memory: KIB, ..small() }, ..Setup::foreign() }.connect().await;
        let ((_sender, mut receiver), (far_sender, _far_receiver)) = ends.open().await;
        for line in 0_u32..2000 {
            let text = Bytes::from(format!("line {line}\n"));
            match line % 3 {
                0 => far_sender.extended_data(1, text).await.expect("sent"),
                _ => far_sender.data(text).await.expect("sent"),
            }
        }
        far_sender.eof().await.expect("sent");
        for line in 0_u32..2000 {
            let text = format!("line {line}\n");
            match receiver.recv().await.expect("no offence") {
                Some(ChannelMsg::ExtendedData { data, ext: 1 }) if line % 3 == 0 => assert_eq!(data, text),
                Some(ChannelMsg::Data { data }) if line % 3 != 0 => assert_eq!(data, text),
                other => panic!("{other:?} for {line}"),
            }
        }
        assert!(matches!(receiver.recv().await, Ok(Some(ChannelMsg::Eof))));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_a_little_behind_uses_the_file_as_a_ring() {
    patiently(async {
        let tuning = Tuning { memory: 64 * KIB, overflow: 4 * MIB as u64, ..Tuning::default() };
        let mut ends = Setup { client: tuning, ..Setup::foreign() }.connect().await;
        let ((_sender, mut receiver), (far_sender, _far_receiver)) = ends.open().await;
        let mut sent = Pattern::new(2);
        let mut seen = Pattern::new(2);
        // The reader always leaves a megabyte behind, so that the file never empties while 16 of them pass through it.
        while seen.seen < SIZE {
            while sent.seen < SIZE && sent.seen < seen.seen + MIB {
                far_sender.data(sent.next(100_000)).await.expect("sent");
            }
            match receiver.recv().await.expect("within the limit") {
                Some(ChannelMsg::Data { data }) => seen.check(&data),
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_the_limit_the_channel_ends_and_no_other() {
    patiently(async {
        let tuning = Tuning { overflow: MIB as u64, ..small() };
        let mut ends = Setup { client: tuning, ..Setup::foreign() }.connect().await;
        let ((sender, mut receiver), (far_sender, _far_receiver)) = ends.open().await;
        // The channel may be cut before all of it was sent.
        drop(send(&far_sender, 3, SIZE).await);
        sender.closed().await;
        let mut pattern = Pattern::new(3);
        let failure = loop {
            match receiver.recv().await {
                Ok(Some(ChannelMsg::Data { data })) => pattern.check(&data),
                Ok(other) => panic!("{other:?}"),
                Err(failure) => break failure,
            }
        };
        assert!(matches!(failure, FlowError::Overflow { limit } if limit == MIB as u64), "{failure}");
        assert!(pattern.seen > MIB, "{}", pattern.seen);
        ends.assert_lively().await;
    })
    .await;
}

#[tokio::test]
async fn no_credit_is_sent_to_a_peer_that_announced_none() {
    for (client_id, server_id) in [
        (ssh_flow::software_id("client"), "SSH-2.0-OpenSSH_9.2p1 Debian-2".to_owned()),
        ("SSH-2.0-client".to_owned(), ssh_flow::software_id("server")),
    ] {
        patiently(async {
            let mut ends = Setup { client_id, server_id, ..Setup::own() }.connect().await;
            assert!(!ends.client_link.has_credit() && !ends.server_link.has_credit());
            let ((sender, mut receiver), mut lawless) = ends.open_lawless().await;
            lawless.data_bytes(Pattern::new(4).next(MIB / 2)).await.expect("sent");
            lawless.eof().await.expect("sent");
            receive(&mut receiver, 4, MIB / 2).await;
            sender.close().await.expect("closed");
            while let Some(message) = lawless.wait().await {
                assert!(
                    matches!(message, ChannelMsg::Close | ChannelMsg::WindowAdjusted { .. }),
                    "{message:?} to a foreign peer"
                );
            }
        })
        .await;
    }
}

#[tokio::test]
async fn where_only_one_end_announced_nothing_waits_for_credit() {
    patiently(async {
        let setup = Setup { server_id: "SSH-2.0-server".to_owned(), ..Setup::own() };
        let mut ends = setup.connect().await;
        let (near, far) = ends.open().await;
        tokio::spawn(crate::harness::echo(far));
        round_trip(near, 5, 4 * MIB).await;
    })
    .await;
}

#[tokio::test]
async fn a_dropped_reader_drops_its_file() {
    patiently(async {
        let mut ends = Setup { client: small(), ..Setup::foreign() }.connect().await;
        let ((_sender, receiver), (far_sender, _far_receiver)) = ends.open().await;
        send(&far_sender, 6, 4 * MIB).await.expect("sent");
        let client = ends.client_link.clone();
        until(|| client.usage().spilled > 2 * MIB as u64).await;
        drop(receiver);
        until(|| client.moved() == 4 * MIB as u64).await;
        assert_eq!((client.usage().queued, client.usage().spilled), (0, 0));
    })
    .await;
}
