//! The byte stream by itself: writes never wait, reading sends, shutting down loses nothing that can still be sent.

use std::io::ErrorKind;
use std::time::Duration;

use ssh_flow::{Link, Tuning};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

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
        let peer = async {
            let read = far.read_to_end(&mut seen).await;
            drop(far);
            read
        };
        let (shut, read) = tokio::join!(near.shutdown(), peer);
        shut.expect("shut down");
        read.expect("to the end");
        assert!(seen == sent);
        assert_eq!(link.usage().unsent, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_gives_up_on_a_peer_that_takes_nothing_or_stays() {
    let (near, far) = tokio::io::duplex(100);
    let tuning = Tuning { shutdown: Duration::from_secs(7), farewell: Duration::from_secs(2), ..Tuning::default() };
    let (mut near, _link) = Link::wrap_with(near, tuning);
    near.write_all(&[0; 1000]).await.expect("taken at once");
    let begun = tokio::time::Instant::now();
    near.shutdown().await.expect("nothing that fails now is of interest");
    assert_eq!(begun.elapsed(), Duration::from_secs(9));
    drop(far);
}

#[tokio::test]
async fn a_transport_that_cannot_be_written_fails_the_read_as_well() {
    let (near, far) = tokio::io::duplex(100);
    let (near, _link) = Link::wrap(near);
    let (mut read, mut write) = tokio::io::split(near);
    let reading = tokio::spawn(async move { read.read_u8().await });
    tokio::task::yield_now().await;
    drop(far);
    write.write_all(&[0; 1000]).await.expect("whoever reads is told");
    assert!(patiently(reading).await.expect("no panic").is_err());
}

/// A peer's last words, then a connection that is reset: closed while something of ours was unread.
#[tokio::test]
async fn what_a_peer_said_before_it_reset_the_connection_is_heard() {
    patiently(async {
        let (near, mut far) = sockets().await;
        let (mut near, _link) = Link::wrap(near);
        near.write_all(b"unread").await.expect("taken at once");
        far.write_all(b"goodbye").await.expect("room");
        far.readable().await.expect("what is left unread");
        drop(far);
        // Every write fails from the second on.
        for _ in 0..3 {
            near.write_all(b"more").await.expect("whoever reads is told");
            near.flush().await.expect("as with a write");
        }
        let mut heard = [0; 7];
        near.read_exact(&mut heard).await.expect("what came before");
        assert_eq!(&heard, b"goodbye");
        assert!(near.read_u8().await.is_err());
        near.shutdown().await.expect("nothing that fails now is of interest");
    })
    .await;
}

/// And the other end does not let it come to that.
#[tokio::test]
async fn a_shutdown_reads_what_is_unread_so_that_nothing_is_reset() {
    patiently(async {
        let (near, mut far) = sockets().await;
        let (mut near, _link) = Link::wrap(near);
        far.write_all(&vec![0; SIZE]).await.expect("room");
        near.write_all(b"goodbye").await.expect("taken at once");
        let peer = async move {
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).await.map(|_| heard)
        };
        let (shut, heard) = tokio::join!(near.shutdown(), peer);
        shut.expect("shut down");
        drop(near);
        assert_eq!(heard.expect("no reset"), b"goodbye");
    })
    .await;
}

/// A server that looks before it chooses: what russh then sends of the identification string is there already.
#[tokio::test]
async fn a_greeting_is_sent_once_however_russh_cuts_it() {
    patiently(async {
        for cut in [1, 9, 17, 19, 30] {
            let (near, mut far) = tokio::io::duplex(1000);
            let (mut near, _link) = Link::wrap(near);
            far.write_all(b"SSH-2.0-peer\r\nmore").await.expect("room");
            assert_eq!(near.greet("SSH-2.0-own_server").await.expect("a peer").as_deref(), Some("SSH-2.0-peer"));
            let (first, second) = b"SSH-2.0-own_server\r\nand what follows".split_at(cut);
            near.write_all(first).await.expect("taken");
            near.write_all(second).await.expect("taken");
            let mut heard = [0; 36];
            far.read_exact(&mut heard).await.expect("all of it");
            assert_eq!(&heard, b"SSH-2.0-own_server\r\nand what follows");
            let mut read = [0; 18];
            near.read_exact(&mut read).await.expect("left to be read");
            assert_eq!(&read, b"SSH-2.0-peer\r\nmore");
            near.write_all(b"!").await.expect("taken");
            assert_eq!(far.read_u8().await.expect("one"), b'!');
        }
        let (near, mut far) = tokio::io::duplex(1000);
        let (mut near, _link) = Link::wrap(near);
        far.write_all(b"SSH-2.0-peer\r\n").await.expect("room");
        near.greet("SSH-2.0-own").await.expect("a peer");
        let error = near.write_all(b"SSH-2.0-other\r\n").await.expect_err("another than was sent");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    })
    .await;
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    (near.expect("connected"), far.expect("connected").0)
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
