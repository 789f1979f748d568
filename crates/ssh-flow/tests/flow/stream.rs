//! The byte stream by itself: writes never wait, reading sends, shutting down loses nothing that can still be sent.

use std::io::ErrorKind;
use std::time::Duration;

use ssh_flow::{Link, Tuning};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Pattern, patiently};

const SIZE: usize = 500_000;

#[tokio::test]
async fn two_ends_that_write_before_they_read_do_not_wait_for_each_other() {
    patiently(async {
        let (near, far) = tokio::io::duplex(100);
        let (mut near, link) = Link::wrap(near);
        let (mut far, _) = Link::wrap(far);
        let end = |seed| Pattern::new(seed).next(SIZE);
        let (to_far, to_near) = (end(1), end(2));
        near.write_all(&to_far).await.expect("taken at once");
        far.write_all(&to_near).await.expect("taken at once");
        assert_eq!(link.usage().unsent, SIZE as u64 - 100);
        let (mut at_near, mut at_far) = (vec![0; SIZE], vec![0; SIZE]);
        let (read_near, read_far) = tokio::join!(near.read_exact(&mut at_near), far.read_exact(&mut at_far));
        read_near.expect("whole");
        read_far.expect("whole");
        assert!(at_near == to_near && at_far == to_far);
    })
    .await;
}

#[tokio::test]
async fn the_reading_task_sends_what_another_task_wrote() {
    patiently(async {
        let (near, mut far) = tokio::io::duplex(100);
        let (near, _link) = Link::wrap(near);
        let (mut read, mut write) = tokio::io::split(near);
        let reading = tokio::spawn(async move { read.read_u8().await });
        tokio::task::yield_now().await;
        let sent = Pattern::new(3).next(SIZE);
        write.write_all(&sent).await.expect("taken at once");
        let mut seen = vec![0; SIZE];
        far.read_exact(&mut seen).await.expect("whole");
        assert!(seen == sent);
        far.write_u8(9).await.expect("written");
        assert_eq!(reading.await.expect("no panic").expect("read"), 9);
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_drains_the_queue() {
    patiently(async {
        let (near, mut far) = tokio::io::duplex(100);
        let (mut near, link) = Link::wrap(near);
        let sent = Pattern::new(4).next(SIZE);
        near.write_all(&sent).await.expect("taken at once");
        let mut seen = Vec::new();
        let (shut, read) = tokio::join!(near.shutdown(), far.read_to_end(&mut seen));
        shut.expect("shut down");
        read.expect("to the end");
        assert!(seen == sent);
        assert_eq!(link.usage().unsent, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_gives_up_on_a_peer_that_takes_nothing() {
    let (near, _far) = tokio::io::duplex(100);
    let (mut near, _link) = Link::wrap_with(near, Tuning { shutdown: Duration::from_secs(1), ..Tuning::default() });
    near.write_all(&[0; 1000]).await.expect("taken at once");
    assert_eq!(near.shutdown().await.expect_err("nobody reads").kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_transport_that_cannot_be_written_fails_the_read_as_well() {
    let (near, far) = tokio::io::duplex(100);
    let (mut near, _link) = Link::wrap(near);
    drop(far);
    let mut byte = [0; 1];
    let outcome = match near.write_all(&[0; 1000]).await {
        Err(error) => Err(error),
        Ok(()) => near.read_exact(&mut byte).await.map(|_| ()),
    };
    assert!(outcome.is_err());
}

#[tokio::test]
async fn a_peer_that_asks_and_does_not_listen_is_given_up() {
    patiently(async {
        let (near, mut far) = tokio::io::duplex(100);
        let (mut near, link) = Link::wrap_with(near, Tuning { unsent_limit: 100_000, ..Tuning::default() });
        let answer = [0; 1000];
        let mut sent = 0;
        let error = loop {
            match near.write_all(&answer).await {
                Ok(()) => sent += answer.len(),
                Err(error) => break error,
            }
            assert!(sent <= 101_000, "{sent}");
        };
        assert_eq!((error.kind(), link.usage().unsent), (ErrorKind::QuotaExceeded, 0));
        // And nothing more is read from it once what it sent is read.
        far.write_all(b"more").await.expect("room");
        assert_eq!(near.read(&mut [0; 8]).await.expect("what came before"), 4);
        assert_eq!(near.read(&mut [0; 8]).await.expect_err("given up").kind(), ErrorKind::QuotaExceeded);
    })
    .await;
}

#[tokio::test]
async fn the_identification_string_is_shown_and_left_to_be_read() {
    patiently(async {
        let (near, mut far) = tokio::io::duplex(7);
        let (mut near, link) = Link::wrap(near);
        let sent = b"hello\r\nSSH-2.0-OpenSSH_9.2p1\r\nrest";
        let sending = tokio::spawn(async move { far.write_all(sent).await.map(|()| far) });
        assert_eq!(near.identification().await.expect("a peer").as_deref(), Some("SSH-2.0-OpenSSH_9.2p1"));
        let mut seen = vec![0; sent.len()];
        near.read_exact(&mut seen).await.expect("all of it");
        assert_eq!(seen, sent);
        assert_eq!(link.peer_identification().as_deref(), Some("SSH-2.0-OpenSSH_9.2p1"));
        drop(sending.await.expect("no panic").expect("sent"));
        let (mut gone, _) = Link::wrap(tokio::io::duplex(7).0);
        assert_eq!(gone.identification().await.expect_err("an end").kind(), ErrorKind::UnexpectedEof);
    })
    .await;
}
