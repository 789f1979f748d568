//! OpenSSH's own client against a server on this crate: a foreign peer with a stalled reader.

use std::process::Stdio;
use std::time::Duration;

use russh::{Limits, server};
use ssh_flow::Link;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::harness::{Pattern, Server, echo, patiently, server_config, until};

const SIZE: usize = 64 * 1024 * 1024;

/// Serves one connection whose every command is `cat`.
async fn serve(listener: TcpListener, link: tokio::sync::oneshot::Sender<Link>) {
    let (socket, _) = listener.accept().await.expect("a client");
    socket.set_nodelay(true).expect("nodelay");
    let (stream, own_link) = Link::wrap(socket);
    let (offers, mut offered) = mpsc::channel(8);
    let (raw_offers, _raw) = mpsc::channel(1);
    let config =
        server_config(&ssh_flow::software_id("server"), Limits::new(16 << 20, 16 << 20, Duration::from_secs(60)));
    let handler = Server { link: own_link.clone(), offers, raw_offers };
    link.send(own_link).expect("the test waits for it");
    let session = server::run_stream(config.into(), stream, handler).await.expect("handshake");
    tokio::spawn(session);
    while let Some(pair) = offered.recv().await {
        tokio::spawn(echo(pair));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssh_gets_everything_from_cat_after_its_reader_stalled() {
    patiently(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port().to_string();
        let (told, link) = tokio::sync::oneshot::channel();
        tokio::spawn(serve(listener, told));
        let mut ssh = Command::new("ssh")
            .args(["-F", "none", "-T", "-p", &port, "-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "RekeyLimit=8M"])
            .args(["-o", "PreferredAuthentications=none", "anybody@127.0.0.1", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("OpenSSH's client is installed");
        let mut input = ssh.stdin.take().expect("piped");
        let writing = tokio::spawn(async move {
            let mut pattern = Pattern::new(1);
            while pattern.seen < SIZE {
                let left = SIZE - pattern.seen;
                input.write_all(&pattern.next(left.min(64 * 1024))).await.expect("ssh reads");
            }
        });
        let link = link.await.expect("a connection");
        // All has come to the server, and what its unread output holds back waits in its memory and its file.
        writing.await.expect("written");
        until(|| link.usage().spilled > SIZE as u64 / 4).await;
        assert!(!link.has_credit());
        let mut output = ssh.stdout.take().expect("piped");
        let mut pattern = Pattern::new(1);
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match output.read(&mut buffer).await.expect("read") {
                0 => break,
                len => pattern.check(&buffer[..len]),
            }
        }
        assert_eq!(pattern.seen, SIZE);
        assert_eq!(ssh.wait().await.expect("waited").code(), Some(7));
        assert!(link.usage().peak_queued <= 5 << 20, "{:?}", link.usage());
    })
    .await;
}
