//! Sessions with a terminal whose connection is cut: our own client and our own init, with a network between them that goes.

mod forwards;
mod init;
mod proxy;

use std::io::{Read as _, Write as _};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use russh::ChannelMsg;
use sha2::{Digest as _, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::tests::{Ends, PATIENCE, Screen, pipes, read_all, shell};
use super::way_back::WayBack as _;
use super::{ExitStatus, SessionError, SessionRequest, Stdio, run_on};
use crate::options::{EscapeChar, Tty};
use crate::recording::Recording;
use crate::session::terminal::TURN;
use crate::ssh::Loss;
use init::Init;
use proxy::Proxy;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// Variable with the seed of a run that shall be repeated.
const SEED: &str = "FARGATE_LOGIN_TEST_SEED";

/// A terminal at the remote for a line of shell, whatever we have.
fn forced(line: &str) -> SessionRequest {
    SessionRequest { tty: Tty::Force, escape: Some(EscapeChar::None), reconnect_grace: LONG, ..shell(line) }
}

/// Starts a session through the proxy.
async fn start(
    init: &Init,
    proxy: &Proxy,
    request: SessionRequest,
    stdio: Stdio,
) -> JoinHandle<Result<ExitStatus, SessionError>> {
    start_until(init, proxy, request, stdio, CancellationToken::new()).await
}

/// The same, until it is cancelled.
async fn start_until(
    init: &Init,
    proxy: &Proxy,
    request: SessionRequest,
    stdio: Stdio,
    cancel: CancellationToken,
) -> JoinHandle<Result<ExitStatus, SessionError>> {
    let way = init.way(proxy.address);
    let mut connection = way.connect().await.expect("a login");
    tokio::spawn(async move {
        let ended = run_on(&mut connection, request, stdio, &way, cancel).await;
        connection.disconnect().await;
        ended
    })
}

async fn ended<T>(session: JoinHandle<T>) -> T {
    tokio::time::timeout(PATIENCE, session).await.expect("an end").expect("no panic")
}

/// Draws a seed, or takes the one that is to be repeated, and tells it.
fn seed() -> u64 {
    let seed = std::env::var(SEED).ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| rand::rng().random());
    // Without it a failure could not be repeated.
    let _ = writeln!(std::io::stderr(), "{SEED}={seed}");
    seed
}

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    rand::rngs::StdRng::seed_from_u64(seed).fill(&mut noise[..]);
    noise
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_output_is_lost_or_doubled_however_often_the_network_cuts() {
    const BYTES: usize = 24 * 1024 * 1024;
    let seed = seed();
    let init = Init::start(LONG).await;
    let proxy = Proxy::at_random(init.address, seed).await;
    let data = noise(seed, BYTES);
    let file = init.home().join("data");
    std::fs::write(&file, &data).expect("our directory");
    let (stdio, Ends { stdin: _stdin, stdout, stderr: _stderr }) = pipes();
    let output = read_all(stdout);
    let line = format!("stty raw -echo; cat {}; exit 7", file.display());
    let session = start(&init, &proxy, forced(&line), stdio).await;
    assert_eq!(ended(session).await.expect("a status"), ExitStatus::Code(7), "seed {seed}");
    let output = spawn_blocking(move || output.join().expect("no panic")).await.expect("no panic");
    assert_eq!((output.len(), digest(&output)), (data.len(), digest(&data)), "seed {seed}");
    assert!(proxy.cuts() >= 20, "seed {seed}: {} cuts", proxy.cuts());
    assert_eq!(ended(init.server).await, 7, "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_input_is_lost_or_doubled_and_it_comes_back_whole() {
    const BYTES: usize = 10 * 1024 * 1024;
    let seed = seed();
    let init = Init::start(LONG).await;
    let proxy = Proxy::at_random(init.address, seed).await;
    let data = noise(seed, BYTES);
    let (stdio, Ends { mut stdin, mut stdout, stderr: _stderr }) = pipes();
    let sent = data.clone();
    let user = std::thread::spawn(move || {
        let mut ready = [0; 5];
        stdout.read_exact(&mut ready).expect("a word");
        assert_eq!(&ready, b"ready");
        let typist = std::thread::spawn(move || stdin.write_all(&sent).map(|()| stdin));
        let mut back = Vec::new();
        stdout.read_to_end(&mut back).expect("readable");
        let _open = typist.join().expect("no panic").expect("written");
        back
    });
    let line = format!("stty raw -echo; printf ready; head -c {BYTES}; exit 8");
    let session = start(&init, &proxy, forced(&line), stdio).await;
    assert_eq!(ended(session).await.expect("a status"), ExitStatus::Code(8), "seed {seed}");
    let back = spawn_blocking(move || user.join().expect("no panic")).await.expect("no panic");
    assert_eq!((back.len(), digest(&back)), (data.len(), digest(&data)), "seed {seed}");
    assert!(proxy.cuts() >= 10, "seed {seed}: {} cuts", proxy.cuts());
    assert_eq!(ended(init.server).await, 8, "seed {seed}");
}

#[tokio::test]
async fn a_reader_that_is_stuck_hides_no_lost_connection_and_the_program_waits() {
    const BYTES: usize = 16 * 1024 * 1024;
    let init = Init::start(LONG).await;
    let proxy = Proxy::new(init.address).await;
    let data = noise(1, BYTES);
    let file = init.home().join("data");
    std::fs::write(&file, &data).expect("our directory");
    let (stdio, Ends { stdin: _stdin, mut stdout, stderr }) = pipes();
    let line = format!("stty raw -echo; cat {}; exit 7", file.display());
    let session = start(&init, &proxy, forced(&line), stdio).await;
    let begun = spawn_blocking(move || stdout.read_exact(&mut [0]).map(|()| stdout));
    let mut stdout = begun.await.expect("no panic").expect("a byte");
    proxy.go_away();
    let heard = spawn_blocking(move || {
        let (mut heard, mut stderr, mut byte) = (Vec::new(), stderr, [0]);
        while !String::from_utf8_lossy(&heard).contains("reconnecting") {
            stderr.read_exact(&mut byte).expect("a word");
            heard.extend(byte);
        }
        stderr
    });
    let _stderr = tokio::time::timeout(PATIENCE, heard).await.expect("noticed").expect("no panic");
    init.logged("session_kept").await;
    proxy.come_back();
    init.logged("session_resumed").await;
    // Nobody could have taken it all.
    assert!(!init.log().contains("session_end"), "{}", init.log());
    let rest = spawn_blocking(move || {
        let mut rest = Vec::new();
        stdout.read_to_end(&mut rest).map(|_| rest)
    });
    assert_eq!(ended(session).await.expect("a status"), ExitStatus::Code(7));
    let rest = rest.await.expect("no panic").expect("readable");
    assert_eq!((rest.len(), digest(&rest)), (BYTES - 1, digest(&data[1..])));
    assert_eq!(ended(init.server).await, 7);
}

#[tokio::test]
async fn a_shell_that_ends_in_the_gap_still_tells_its_status() {
    let init = Init::start(LONG).await;
    let proxy = Proxy::new(init.address).await;
    let (stdio, Ends { stdin: _stdin, mut stdout, stderr }) = pipes();
    let flag = init.home().join("flag");
    let line =
        format!("stty -onlcr; echo ready; while ! test -e {}; do sleep 0.05; done; echo bye; exit 9", flag.display());
    let session = start(&init, &proxy, forced(&line), stdio).await;
    let (first, mut stdout) = spawn_blocking(move || {
        let mut first = [0; 6];
        stdout.read_exact(&mut first).map(|()| (first, stdout))
    })
    .await
    .expect("no panic")
    .expect("a line");
    assert_eq!(&first, b"ready\n");
    proxy.go_away();
    init.logged("session_kept").await;
    std::fs::write(&flag, "").expect("our directory");
    init.logged("session_end").await;
    proxy.come_back();
    assert_eq!(ended(session).await.expect("a status"), ExitStatus::Code(9));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("readable");
    assert_eq!(rest, "bye\n");
    let said = String::from_utf8(read_all(stderr).join().expect("no panic")).expect("UTF-8");
    assert!(said.contains("connection lost; reconnecting...") && said.contains("resumed after "), "{said}");
    assert_eq!(ended(init.server).await, 9);
}

#[tokio::test]
async fn a_recording_goes_on_in_the_same_file() {
    let init = Init::start(LONG).await;
    let proxy = Proxy::new(init.address).await;
    let file = init.home().join("session.cast");
    let recording = Recording::create(&file).expect("a file");
    let (stdio, Ends { mut stdin, mut stdout, stderr: _stderr }) = pipes();
    let line = "stty -echo; echo before; read word; echo \"after $word\"; exit 6";
    let request = SessionRequest { recorder: Some(recording.recorder()), ..forced(line) };
    let session = start(&init, &proxy, request, stdio).await;
    let begun = spawn_blocking(move || stdout.read_exact(&mut [0; 8]).map(|()| stdout)).await.expect("no panic");
    let _stdout = begun.expect("a line");
    proxy.go_away();
    init.logged("session_kept").await;
    stdin.write_all(b"all\n").expect("a reader");
    proxy.come_back();
    assert_eq!(ended(session).await.expect("a status"), ExitStatus::Code(6));
    assert_eq!(recording.finish().await, None);
    let text = std::fs::read_to_string(&file).expect("text");
    for words in ["\"width\":80", "before\\r\\n", "reconnecting", "resumed after", "after all\\r\\n"] {
        assert_eq!(text.matches(words).count(), 1, "{words}: {text}");
    }
    assert_eq!(ended(init.server).await, 6);
}

#[tokio::test]
async fn the_same_shell_goes_on_with_the_size_that_the_terminal_has_by_then() {
    let _turn = TURN.lock().await;
    let init = Init::start(LONG).await;
    let proxy = Proxy::new(init.address).await;
    let (stdio, mut screen) = Screen::new();
    let request = SessionRequest { reconnect_grace: LONG, ..SessionRequest::default() };
    let session = start(&init, &proxy, request, stdio).await;
    let mut screen = spawn_blocking(move || {
        screen.type_in("kept=\"the same\"; stty size\r");
        screen.wait_for("30 100");
        screen
    })
    .await
    .expect("shown");
    proxy.go_away();
    let mut screen = spawn_blocking(move || {
        screen.wait_for("reconnecting... (~. ends the session)");
        screen.resize(40, 120);
        // What is typed meanwhile is not lost.
        screen.type_in("stty size; echo \"<$kept>\"; exit 5\r");
        screen
    })
    .await
    .expect("shown");
    init.logged("session_kept").await;
    proxy.come_back();
    let screen = spawn_blocking(move || {
        screen.wait_for("resumed after ");
        screen.wait_for("40 120");
        screen.wait_for("<the same>");
        screen
    });
    assert_eq!(ended(session).await.expect("a status"), ExitStatus::Code(5));
    let _screen = screen.await.expect("shown");
    assert_eq!(ended(init.server).await, 5);
}

#[tokio::test]
async fn the_escape_ends_a_session_whose_connection_is_lost() {
    let _turn = TURN.lock().await;
    let init = Init::start(Duration::from_millis(500)).await;
    let proxy = Proxy::new(init.address).await;
    let (stdio, mut screen) = Screen::new();
    let request = SessionRequest { reconnect_grace: LONG, ..SessionRequest::default() };
    let session = start(&init, &proxy, request, stdio).await;
    let mut screen = spawn_blocking(move || {
        screen.type_in("echo rea\"dy\"\r");
        screen.wait_for("ready");
        screen
    })
    .await
    .expect("shown");
    proxy.go_away();
    let screen = spawn_blocking(move || {
        screen.wait_for("reconnecting");
        screen.type_in("\r~.");
        screen.wait_for("left by escape");
        screen
    });
    assert_eq!(ended(session).await.expect("no error"), ExitStatus::Left);
    let _screen = screen.await.expect("shown");
    assert_eq!(ended(init.server).await, 121, "the init ends by its own rule");
}

#[tokio::test]
async fn a_signal_ends_the_waiting() {
    let init = Init::start(Duration::from_millis(500)).await;
    let proxy = Proxy::new(init.address).await;
    let (stdio, Ends { stdin: _stdin, mut stdout, stderr: _stderr }) = pipes();
    let cancel = CancellationToken::new();
    let request = forced("echo ready; exec sleep 1000");
    let session = start_until(&init, &proxy, request, stdio, cancel.clone()).await;
    spawn_blocking(move || stdout.read_exact(&mut [0; 5])).await.expect("no panic").expect("a line");
    proxy.go_away();
    init.logged("session_kept").await;
    cancel.cancel();
    let cancelled = ended(session).await;
    assert!(matches!(cancelled, Err(SessionError::Cancelled)), "{cancelled:?}");
    assert_eq!(ended(init.server).await, 121);
}

#[tokio::test]
async fn both_ends_give_up_when_the_grace_is_over() {
    const GRACE: Duration = Duration::from_millis(700);
    let init = Init::start(GRACE).await;
    let proxy = Proxy::new(init.address).await;
    let (stdio, Ends { stdin: _stdin, mut stdout, stderr: _stderr }) = pipes();
    let request = SessionRequest { reconnect_grace: GRACE, ..forced("echo ready; exec sleep 1000") };
    let session = start(&init, &proxy, request, stdio).await;
    spawn_blocking(move || stdout.read_exact(&mut [0; 5])).await.expect("no panic").expect("a line");
    proxy.go_away();
    match ended(session).await {
        Err(SessionError::NotResumed { after, .. }) => assert_eq!(after, GRACE),
        other => panic!("{other:?}"),
    }
    init.logged("nobody resumed the session in time").await;
    assert_eq!(ended(init.server).await, 121);
}

#[tokio::test]
async fn without_a_grace_the_session_ends_with_its_connection() {
    let init = Init::start(Duration::ZERO).await;
    let proxy = Proxy::new(init.address).await;
    let (stdio, Ends { stdin: _stdin, mut stdout, stderr: _stderr }) = pipes();
    // A client that would like to: the init does not keep it.
    let session = start(&init, &proxy, forced("echo ready; exec sleep 1000"), stdio).await;
    spawn_blocking(move || stdout.read_exact(&mut [0; 5])).await.expect("no panic").expect("a line");
    proxy.go_away();
    let lost = ended(session).await;
    assert!(
        matches!(&lost, Err(SessionError::Ssh(crate::ssh::SshError::PeerLost(Loss::Cut | Loss::Broken(_))))),
        "{lost:?}"
    );
    assert_eq!(ended(init.server).await, 128 + 1, "hung up");
}

#[tokio::test]
async fn whoever_has_the_key_and_not_the_id_gets_nothing_and_disturbs_nobody() {
    let init = Init::start(LONG).await;
    let proxy = Proxy::new(init.address).await;
    let (stdio, Ends { mut stdin, mut stdout, stderr: _stderr }) = pipes();
    let session = start(&init, &proxy, forced("stty raw -echo; echo ready; head -c 3; exit 4"), stdio).await;
    let mut stdout = spawn_blocking(move || stdout.read_exact(&mut [0; 6]).map(|()| stdout))
        .await
        .expect("no panic")
        .expect("a line");
    let thief = init.way(init.address);

    let connection = thief.connect().await.expect("the key is good for a resumption");
    let (sender, mut receiver) = connection.open_session().await.expect("one channel");
    let requests = sender.requests();
    requests.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.expect("sent");
    requests.set_env(true, "A", "b").await.expect("sent");
    requests.request_shell(true).await.expect("sent");
    requests.exec(true, "echo stolen").await.expect("sent");
    requests.request_subsystem(true, "sftp").await.expect("sent");
    for _ in 0..5 {
        let answer = receiver.recv().await.expect("flow control");
        assert!(matches!(answer, Some(ChannelMsg::Failure)), "{answer:?}");
    }
    assert!(connection.open_session().await.is_err(), "not a second channel");
    let wrong = fargate_contract::ResumeRequest { id: super::conversation::new_id(), received: 0 };
    requests.request_subsystem(true, wrong.encode()).await.expect("sent");
    let _ = tokio::time::timeout(PATIENCE, connection.closed()).await.expect("shown the door");
    init.logged("resume_refused").await;
    assert!(!init.log().contains(&wrong.id.encode()), "ids are not logged");

    stdin.write_all(b"abc").expect("a pipe");
    assert_eq!(ended(session).await.expect("a status"), ExitStatus::Code(4));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("readable");
    assert_eq!(rest, "abc");
    assert_eq!(ended(init.server).await, 4);
}
