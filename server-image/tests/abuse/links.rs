//! Links of a connection: who does not know its id joins nothing, and costs nobody anything.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use fargate_contract::links::JOINED;
use fargate_contract::{BundleId, JoinRequest, grant};
use ssh_flow::{Bundle, Joiner};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::container::{Container, PORT, seed};
use crate::{assert_serves, assert_small, told_of};

/// Long enough for anything; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(60);

/// A connection that was greeted, and the identification string.
async fn greeted(container: &Container) -> (TcpStream, String) {
    let mut stream = BufReader::new(TcpStream::connect((container.address, PORT)).await.expect("a connection"));
    let (mut greeting, mut identification) = (String::new(), String::new());
    stream.read_line(&mut greeting).await.expect("a line");
    stream.read_line(&mut identification).await.expect("a line");
    assert!(greeting.starts_with("fargate-login links=") && identification.starts_with("SSH-2.0-"), "{greeting}");
    assert!(stream.buffer().is_empty(), "nothing else before the client's answer");
    (stream.into_inner(), identification)
}

/// Says this instead of an identification string; answers why it is refused.
async fn refused(container: &mut Container, words: &str) -> String {
    let (mut stream, _) = greeted(container).await;
    stream.write_all(words.as_bytes()).await.expect("taken");
    let mut answer = Vec::new();
    // A reset is an end as well: the init need not have read all of it.
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut answer)).await.expect("in time");
    assert_eq!(String::from_utf8_lossy(&answer), "", "{words}");
    container.until("dropped")["reason"].as_str().expect("text").to_owned()
}

/// A port of this machine that leads to the container by a bundle, and what adds links to that.
async fn bridge(container: &Container, id: &BundleId) -> (u16, Joiner<TcpStream>) {
    let (mut first, identification) = greeted(container).await;
    first.write_all(JoinRequest { id: id.clone(), number: 0 }.encode().as_bytes()).await.expect("taken");
    let (mut bundle, joiner) = Bundle::new(first);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let (mut visitor, _) = listener.accept().await.expect("a visitor");
        visitor.write_all(identification.as_bytes()).await.expect("taken");
        copy_bidirectional(&mut visitor, &mut bundle).await
    });
    (port, joiner)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_who_does_not_know_the_bundle() {
    let mut container = Container::start(&[(grant::LINKS, "3")]);
    let known = format!("* {}\n", seed().public_key().to_openssh().expect("a key"));
    container.write("known_hosts", known.as_bytes());
    let id = BundleId::new(0x5eed);
    let (port, joiner) = bridge(&container, &id).await;
    let request = |number| JoinRequest { id: id.clone(), number }.encode();
    assert_eq!(refused(&mut container, &request(1)).await, "it names no bundle", "nobody has logged in yet");
    assert_eq!(refused(&mut container, &request(0)).await, "its bundle has a first link");

    let options = ["-p", &port.to_string(), "-o", "HostName=127.0.0.1"];
    let mut held = container.ssh(&options, &["cat"]).stdin(Stdio::piped()).spawn().expect("ssh");
    container.until("session_start");
    let other = JoinRequest { id: BundleId::new(0xbad), number: 1 }.encode();
    assert_eq!(refused(&mut container, &other).await, "it names no bundle");
    assert_eq!(refused(&mut container, &request(3)).await, "it is one link too many");
    for words in ["join \r\n", "join 5eed 1\r\n", &format!("join {}", "0".repeat(200))] {
        assert_eq!(refused(&mut container, words).await, "it spoke no SSH", "{words}");
    }
    assert_eq!(refused(&mut container, "SSH-2.0-late\r\n").await, "the key was used already");

    let (mut link, _) = greeted(&container).await;
    link.write_all(request(2).as_bytes()).await.expect("taken");
    let mut answer = vec![0; JOINED.len()];
    link.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(answer, JOINED.as_bytes());
    joiner.join(link).await.expect("a bundle");
    let joined = container.until("joined");
    assert_eq!(joined["link"], 2);
    assert_eq!(refused(&mut container, &request(2)).await, "its bundle has such a link");

    let sent = "over both links\n".repeat(10_000);
    let mut input = held.stdin.take().expect("a pipe");
    let text = sent.clone();
    let feeding = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let done = held.wait_with_output().expect("ssh");
    feeding.join().expect("no panic").expect("a reader");
    assert_eq!((done.status.code(), done.stdout.len()), (Some(0), sent.len()), "{done:?}");
    assert!(done.stdout == sent.as_bytes());
    assert_eq!(container.ended(), 0, "with the last connection, which was the first");
    assert_eq!(container.last("disconnect")["peer"], joined["first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_come_to_nothing_keep_nobody_out() {
    let mut container = Container::start(&[(grant::LINKS, "16"), (grant::CONNECTIONS, "many")]);
    let mut held = container.hold();
    let mut waiting = Vec::new();
    for number in 0..100_u8 {
        let (mut stream, _) = greeted(&container).await;
        let id = BundleId::new(number.into());
        // Half of them are bundles whose client never logs in, the others half a line.
        let words = JoinRequest { id, number: 0 }.encode();
        let length = if number % 2 == 0 { words.len() } else { 20 };
        stream.write_all(&words.as_bytes()[..length]).await.expect("taken");
        waiting.push(stream);
    }
    // To clients that know nothing of links, the greeting is a line before the identification string.
    assert_serves(&container, &[]);
    assert_small(&container);
    drop(waiting);
    drop(held.stdin.take());
    assert_eq!(held.wait().expect("ssh").code(), Some(0), "who was there before stays");
    assert_eq!(container.ended(), 0);
    assert_eq!(told_of(&container, "accept"), 102);
    assert_eq!(told_of(&container, "dropped"), 100);
}
