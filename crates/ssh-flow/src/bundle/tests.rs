use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::frame::{FRAME_MAX, HEADER};
use super::*;

/// Long enough for anything; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(60);

type Ends = (Bundle<DuplexStream>, Bundle<DuplexStream>);
type Joiners = (Joiner<DuplexStream>, Joiner<DuplexStream>);

fn pair(capacity: usize) -> (Ends, Joiners) {
    let (near, far) = duplex(capacity);
    let ((near, near_joiner), (far, far_joiner)) = (Bundle::new(near), Bundle::new(far));
    ((near, far), (near_joiner, far_joiner))
}

async fn join(joiners: &Joiners, capacity: usize) {
    let (near, far) = duplex(capacity);
    joiners.0.join(near).await.expect("a bundle");
    joiners.1.join(far).await.expect("a bundle");
}

/// A bundle whose two links end at the test.
async fn raw(capacity: usize) -> (Bundle<DuplexStream>, [DuplexStream; 2]) {
    let ((near, first), (other, second)) = (duplex(capacity), duplex(capacity));
    let (bundle, joiner) = Bundle::new(near);
    joiner.join(other).await.expect("a bundle");
    (bundle, [first, second])
}

fn frame(number: u64, payload: &[u8]) -> Vec<u8> {
    [&Head::Data { number, length: payload.len() }.encode(), payload].concat()
}

fn end(frames: u64) -> [u8; HEADER] {
    Head::End { frames }.encode()
}

fn content(length: usize) -> Vec<u8> {
    // A prime, so that no frame is like another.
    (0..length).map(|index| u8::try_from(index % 251).expect("small")).collect()
}

/// Writes what is given in pieces of this size, ends, and reads until the other ends.
async fn exchange(bundle: Bundle<DuplexStream>, sent: Vec<u8>, piece: usize) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(bundle);
    let writing = async {
        for piece in sent.chunks(piece) {
            writer.write_all(piece).await.expect("written");
        }
        writer.shutdown().await.expect("shut");
    };
    let mut received = Vec::new();
    let (read, ()) = tokio::join!(reader.read_to_end(&mut received), writing);
    read.expect("read to the end");
    received
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_keep_their_order_over_links_of_any_speed_that_come_at_any_time(
        capacities in prop::collection::vec(1_usize..20_000, 1..6),
        late in 0_usize..5,
        up in 0_usize..60_000,
        down in 0_usize..60_000,
        piece in 1_usize..20_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let ((near, far), joiners) = pair(capacities[0]);
            let (to_far, to_near) = (content(up), content(down));
            let exchanged = async {
                tokio::join!(exchange(near, to_far.clone(), piece), exchange(far, to_near.clone(), piece))
            };
            let joining = async {
                for (index, capacity) in capacities[1..].iter().enumerate() {
                    if index >= late {
                        tokio::task::yield_now().await;
                    }
                    let (near, far) = duplex(*capacity);
                    // The bundle may be over: then nobody wants it. But one end alone must not have it.
                    if joiners.0.join(near).await.is_ok() {
                        let _ = joiners.1.join(far).await;
                    }
                }
            };
            let ((at_near, at_far), ()) = tokio::time::timeout(LONG, async { tokio::join!(exchanged, joining) }).await.expect("in time");
            prop_assert!(at_near == to_near && at_far == to_far);
            Ok(())
        })?;
    }

    #[test]
    fn whatever_a_peer_sends_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1_u8..) {
        crate::fuzz::bundle(&[&[piece], bytes.as_slice()].concat());
    }
}

#[tokio::test]
async fn frames_go_to_each_link_that_takes_them_and_past_one_that_does_not() {
    let (mut bundle, [mut first, mut second]) = raw(HEADER + 1).await;
    // Takes the second link in, and finds nothing.
    let read = tokio::time::timeout(Duration::ZERO, bundle.read_u8()).await;
    assert!(read.is_err(), "{read:?}");
    for byte in 0..4_u8 {
        // The first link holds one frame, and one waits for it in the bundle; so with the second.
        bundle.write_all(&[byte]).await.expect("taken");
    }
    let mut seen = [0; HEADER + 1];
    for byte in [1_u8, 3] {
        second.read_exact(&mut seen).await.expect("a frame");
        assert_eq!(seen.as_slice(), frame(u64::from(byte), &[byte]).as_slice());
        bundle.flush().now_or_later().await;
    }
    // Only the second takes anything now.
    for byte in [4_u8, 5] {
        bundle.write_all(&[byte]).await.expect("taken");
    }
    for byte in [4_u8, 5] {
        second.read_exact(&mut seen).await.expect("a frame");
        assert_eq!(seen.as_slice(), frame(u64::from(byte), &[byte]).as_slice());
        bundle.flush().now_or_later().await;
    }
    first.read_exact(&mut seen).await.expect("a frame");
    assert_eq!(seen.as_slice(), frame(0, &[0]).as_slice());
}

#[tokio::test(start_paused = true)]
async fn what_comes_too_early_is_not_taken_in() {
    const CAPACITY: usize = 100;
    let (mut bundle, [mut first, mut second]) = raw(CAPACITY).await;
    let (payload, taken) = (content(PAYLOAD_MAX), std::cell::Cell::new(0));
    // Frame 0 is late.
    let mut flood = std::pin::pin!(async {
        for number in 1.. {
            for piece in frame(number, &payload).chunks(CAPACITY) {
                second.write_all(piece).await.expect("a reader");
                taken.set(taken.get() + piece.len());
            }
        }
    });
    tokio::select! {
        read = bundle.read_u8() => panic!("{read:?}"),
        () = &mut flood => unreachable!("it has no end"),
        // The clock stands still, and goes on when nothing else does.
        () = tokio::time::sleep(LONG) => {}
    }
    assert!(taken.get() <= FRAME_MAX + 2 * CAPACITY, "{} bytes", taken.get());
    first.write_all(&frame(0, b"0")).await.expect("taken");
    assert_eq!(bundle.read_u8().await.expect("due"), b'0');
    let mut rest = vec![0; PAYLOAD_MAX];
    tokio::select! {
        read = bundle.read_exact(&mut rest) => assert_eq!(read.expect("what came early"), PAYLOAD_MAX),
        () = &mut flood => unreachable!("it has no end"),
    }
    assert!(rest == payload);
}

#[tokio::test]
async fn a_broken_link_breaks_the_bundle_behind_what_has_come() {
    let (mut bundle, [mut first, second]) = raw(100).await;
    drop(second);
    first.write_all(&frame(0, b"last")).await.expect("taken");
    let mut seen = [0; 4];
    bundle.read_exact(&mut seen).await.expect("it has come");
    assert_eq!(&seen, b"last");
    let error = bundle.read_u8().await.expect_err("broken");
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (io::ErrorKind::UnexpectedEof, "a link of the connection has ended")
    );
    bundle.write_all(&[0; 3 * PAYLOAD_MAX]).await.expect_err("broken in this direction too");
}

#[tokio::test]
async fn one_direction_may_end_before_the_other() {
    let ((mut near, mut far), joiners) = pair(100);
    join(&joiners, 100).await;
    near.write_all(b"question").await.expect("taken");
    near.shutdown().await.expect("shut");
    let mut question = String::new();
    far.read_to_string(&mut question).await.expect("to the end");
    far.write_all(b"answer").await.expect("taken");
    far.shutdown().await.expect("shut");
    drop(far);
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.expect("to the end");
    assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
    assert_eq!(near.write_all(b"more").await.expect_err("shut").kind(), io::ErrorKind::BrokenPipe);
    assert!(joiners.1.join(duplex(1).0).await.is_err(), "it is gone");
}

#[tokio::test]
async fn disorder_is_told() {
    let told = async |frames: [Vec<u8>; 2]| {
        let (mut bundle, [mut first, mut second]) = raw(100_000).await;
        first.write_all(&frames[0]).await.expect("taken");
        second.write_all(&frames[1]).await.expect("taken");
        let mut read = Vec::new();
        let error =
            tokio::time::timeout(LONG, bundle.read_to_end(&mut read)).await.expect("in time").expect_err("disorder");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        error.to_string().trim_start_matches("the connection's links are in disorder: ").to_owned()
    };
    let too_long = Head::Data { number: 0, length: PAYLOAD_MAX + 1 }.encode().to_vec();
    assert_eq!(told([too_long, Vec::new()]).await, "a frame of 8193 bytes, and 8192 are the most");
    let twice = [frame(0, b"a"), frame(0, b"a")].concat();
    assert_eq!(told([twice, Vec::new()]).await, "frame 0 behind frame 0");
    assert_eq!(told([frame(0, b"a"), frame(0, b"a")]).await, "frame 0 behind frame 1");
    assert_eq!(told([end(1).to_vec(), end(1).to_vec()]).await, "frame 0 is missing");
    assert_eq!(told([end(1).to_vec(), end(2).to_vec()]).await, "an end at frame 2, which cannot be");
    let past_the_end = [frame(0, b"a"), end(1).to_vec()].concat();
    assert_eq!(told([past_the_end, frame(7, b"a")]).await, "frame 7 behind frame 1");
}

/// Polls once.
trait NowOrLater: Future + Sized {
    async fn now_or_later(self) {
        let _ = tokio::time::timeout(Duration::ZERO, self).await;
    }
}

impl<F: Future> NowOrLater for F {}
