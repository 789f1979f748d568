//! Streams against frames laid out by hand.

use std::time::Duration;

use proptest::prelude::*;

use super::codec::{Command, encode};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn waker() -> &'static Waker {
    Waker::noop()
}

/// Everything that the agent is sent, by command and stream, neighbouring contents joined.
fn drain(smux: &mut Smux) -> Vec<(Command, u32, Vec<u8>)> {
    let mut frames: Vec<(Command, u32, Vec<u8>)> = Vec::new();
    while let Some(frame) = smux.next_frame() {
        let header = codec::header(&frame).expect("smux").expect("whole");
        let content = &frame[codec::HEADER..];
        assert_eq!(content.len(), header.length);
        match frames.last_mut() {
            Some((Command::Psh, id, before)) if header.command == Command::Psh && *id == header.id => {
                before.extend_from_slice(content);
            }
            _ => frames.push((header.command, header.id, content.to_vec())),
        }
    }
    assert!(!smux.has_frame());
    frames
}

fn opened() -> (Smux, u32) {
    let mut smux = Smux::new();
    let id = smux.open().expect("a stream");
    drain(&mut smux);
    (smux, id)
}

fn take(smux: &mut Smux, command: Command, id: u32, content: &[u8]) {
    smux.take(&encode(command, id, content), Instant::now()).expect("smux");
}

#[test]
fn a_stream_is_announced_written_and_closed() {
    let mut smux = Smux::new();
    let (first, second) = (smux.open().expect("a stream"), smux.open().expect("a stream"));
    assert_eq!((first, second), (3, 5));
    assert_eq!(smux.write(first, b"hello", waker()), Ok(5));
    smux.abandon(first);
    let expected = [(Command::Syn, 3, vec![]), (Command::Psh, 3, b"hello".to_vec())];
    let frames = drain(&mut smux);
    assert_eq!(frames[..2], expected);
    assert!(frames.contains(&(Command::Fin, 3, vec![])) && frames.contains(&(Command::Syn, 5, vec![])));
    assert_eq!(smux.streams.len(), 1);
}

#[test]
fn the_end_of_input_is_kept_back_until_the_answer_has_ended() {
    let (mut smux, id) = opened();
    smux.write(id, b"GET /", waker()).expect("written");
    smux.shut(id, Instant::now());
    assert_eq!(drain(&mut smux), [(Command::Psh, id, b"GET /".to_vec())]);
    assert_eq!(smux.write(id, b"more", waker()), Err(io::ErrorKind::BrokenPipe));
    take(&mut smux, Command::Psh, id, b"200 OK");
    take(&mut smux, Command::Fin, id, b"");
    assert_eq!(drain(&mut smux), [(Command::Fin, id, vec![])]);
    assert_eq!(smux.read(id, 99, waker()), Read::Bytes(Bytes::from_static(b"200 OK")));
    assert_eq!(smux.read(id, 99, waker()), Read::End);
    smux.abandon(id);
    assert!(smux.streams.is_empty() && !smux.has_frame());
}

#[test]
fn who_waits_in_vain_for_an_answer_is_let_go() {
    let (mut smux, id) = opened();
    let start = Instant::now();
    assert_eq!(smux.deadline(), None);
    smux.shut(id, start);
    assert_eq!(smux.deadline(), Some(start + HALF_CLOSED_IDLE));
    smux.take(&encode(Command::Psh, id, b"x"), start + 10 * SECOND).expect("smux");
    smux.expire(start + HALF_CLOSED_IDLE);
    assert_eq!(smux.read(id, 9, waker()), Read::Bytes(Bytes::from_static(b"x")));
    assert_eq!(smux.read(id, 9, waker()), Read::Nothing);
    smux.expire(start + HALF_CLOSED_IDLE + 10 * SECOND);
    assert_eq!(smux.read(id, 9, waker()), Read::End);
    assert_eq!(drain(&mut smux), [(Command::Fin, id, vec![])]);
}

#[test]
fn a_refusal_belongs_to_the_stream_that_ends_without_a_byte() {
    for flag_first in [true, false] {
        let (mut smux, lively) = opened();
        let refused = smux.open().expect("a stream");
        drain(&mut smux);
        take(&mut smux, Command::Psh, lively, b"x");
        if flag_first {
            smux.refuse();
        }
        take(&mut smux, Command::Fin, lively, b"");
        take(&mut smux, Command::Fin, refused, b"");
        if !flag_first {
            smux.refuse();
        }
        assert_eq!(smux.read(refused, 9, waker()), Read::Failed(io::ErrorKind::ConnectionRefused));
        assert_eq!(smux.read(lively, 9, waker()), Read::Bytes(Bytes::from_static(b"x")));
        assert_eq!(smux.read(lively, 9, waker()), Read::End);
    }
}

#[test]
fn a_reader_that_stalls_is_felt_at_four_mebibytes_and_no_sooner() {
    let (mut smux, id) = opened();
    let frame = encode(Command::Psh, id, &[7; 65_000]);
    while smux.has_room(frame.len()) {
        smux.take(&frame, Instant::now()).expect("smux");
    }
    assert!((BUDGET - 2 * frame.len()..=BUDGET).contains(&smux.held()), "{}", smux.held());
    let Read::Bytes(read) = smux.read(id, 1 << 20, waker()) else { panic!("bytes") };
    assert_eq!(read.len(), 1 << 20);
    assert!(smux.has_room(frame.len()));
    smux.abandon(id);
    assert_eq!(smux.held(), 0);
    take(&mut smux, Command::Psh, id, b"late");
    assert_eq!(smux.held(), 0, "nobody reads it");
}

#[test]
fn a_writer_waits_while_its_stream_is_full_and_streams_take_turns() {
    let (mut smux, first) = opened();
    let second = smux.open().expect("a stream");
    drain(&mut smux);
    assert_eq!(smux.write(first, &[1; OUTGOING_MAX + 1], waker()), Ok(OUTGOING_MAX));
    assert_eq!(smux.write(first, &[1], waker()), Ok(0));
    assert_eq!(smux.write(second, &[2; 10], waker()), Ok(10));
    let ids: Vec<_> = drain(&mut smux).into_iter().map(|(_, id, _)| id).collect();
    assert!(ids == [first, second, first] || ids == [second, first], "{ids:?}");
    assert!(smux.is_flushed(first, waker()));
    assert_eq!(smux.write(first, &[1], waker()), Ok(1));
}

#[test]
fn the_end_of_the_session_comes_after_what_came_before() {
    for (kind, end) in [
        (io::ErrorKind::UnexpectedEof, Read::End),
        (io::ErrorKind::ConnectionReset, Read::Failed(io::ErrorKind::ConnectionReset)),
    ] {
        let (mut smux, id) = opened();
        take(&mut smux, Command::Psh, id, b"last");
        smux.end(kind);
        assert_eq!(smux.read(id, 9, waker()), Read::Bytes(Bytes::from_static(b"last")));
        assert_eq!(smux.read(id, 9, waker()), end);
        assert!(smux.write(id, b"x", waker()).is_err());
        assert_eq!((smux.open(), smux.next_frame()), (None, None));
    }
}

#[test]
fn frames_of_strangers_are_dropped_and_nonsense_is_an_error() {
    let (mut smux, id) = opened();
    take(&mut smux, Command::Psh, 99, b"x");
    take(&mut smux, Command::Fin, 99, b"");
    take(&mut smux, Command::Nop, 0, b"");
    assert_eq!(smux.read(id, 9, waker()), Read::Nothing);
    assert_eq!(smux.take(b"\x02\0\0\0\0\0\0\0", Instant::now()), Err(SmuxError::Version(2)));
}

proptest! {
    #[test]
    fn frames_may_begin_and_end_anywhere(
        pieces in prop::collection::vec((0_usize..3, prop::collection::vec(any::<u8>(), 0..300)), 0..40),
        cuts in prop::collection::vec(1_usize..200, 1..40),
    ) {
        let mut smux = Smux::new();
        let ids: Vec<_> = (0..3).map(|_| smux.open().expect("a stream")).collect();
        let (mut wire, mut expected) = (Vec::new(), vec![Vec::new(); 3]);
        for (stream, content) in &pieces {
            wire.extend_from_slice(&encode(Command::Psh, ids[*stream], content));
            expected[*stream].extend_from_slice(content);
        }
        let mut rest = &wire[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            smux.take(piece, Instant::now()).expect("smux");
            rest = behind;
        }
        for (id, expected) in ids.iter().zip(expected) {
            let mut got = Vec::new();
            while let Read::Bytes(bytes) = smux.read(*id, 64, waker()) {
                got.extend_from_slice(&bytes);
            }
            prop_assert_eq!(got, expected);
        }
        prop_assert_eq!(smux.held(), 0);
    }

    #[test]
    fn no_bytes_are_too_odd(pieces in prop::collection::vec(prop::collection::vec(0_u8..5, 0..40), 0..20)) {
        let mut smux = Smux::new();
        let id = smux.open().expect("a stream");
        let total: usize = pieces.iter().map(Vec::len).sum();
        for piece in &pieces {
            if smux.take(piece, Instant::now()).is_err() {
                break;
            }
        }
        prop_assert!(smux.held() + smux.undecoded.len() <= total);
        smux.abandon(id);
        prop_assert_eq!(smux.held(), 0);
    }

    #[test]
    fn what_is_written_arrives_by_stream_and_in_order(
        pieces in prop::collection::vec((0_usize..3, 0_usize..40_000), 0..40),
    ) {
        let mut smux = Smux::new();
        let ids: Vec<_> = (0..3).map(|_| smux.open().expect("a stream")).collect();
        let (mut sent, mut got) = (vec![Vec::new(); 3], vec![Vec::new(); 3]);
        for (round, (stream, length)) in pieces.iter().enumerate() {
            let content = vec![u8::try_from(round % 251).expect("a byte"); *length];
            let taken = smux.write(ids[*stream], &content, waker()).expect("open");
            sent[*stream].extend_from_slice(&content[..taken]);
            if round % 3 == 0 {
                for (command, id, content) in drain(&mut smux) {
                    if command == Command::Psh {
                        got[usize::try_from((id - 3) / 2).expect("small")].extend_from_slice(&content);
                    }
                }
            }
        }
        for (_, id, content) in drain(&mut smux) {
            got[usize::try_from((id - 3) / 2).expect("small")].extend_from_slice(&content);
        }
        prop_assert_eq!(sent, got);
    }
}
