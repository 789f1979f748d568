//! Whatever a command prints, however it is cut: it comes out as it was, with the right status.

use proptest::prelude::*;

use super::*;

fn marker(nonce: &Nonce, word: &str) -> Vec<u8> {
    format!("\x1b_{}{word}\x1b\\", nonce.text()).into_bytes()
}

/// Feeds in chunks of these lengths, releasing what is doubtful in between if told to.
fn feed(markers: &mut Markers, bytes: &[u8], lengths: &[usize], release: bool) -> Vec<Piece> {
    let (mut rest, mut pieces, mut lengths) = (bytes, Vec::new(), lengths.iter().cycle());
    while !rest.is_empty() {
        let length = lengths.next().copied().unwrap_or(1).clamp(1, rest.len());
        let (chunk, more) = rest.split_at(length);
        pieces.extend(markers.take(chunk));
        if release && markers.is_doubtful() {
            pieces.extend(markers.release());
        }
        rest = more;
    }
    pieces
}

/// Output, errors, what came before, and the status.
fn told(pieces: &[Piece]) -> (Vec<u8>, Vec<u8>, Vec<u8>, Option<u8>) {
    let (mut out, mut err, mut before, mut status) = (Vec::new(), Vec::new(), Vec::new(), None);
    for piece in pieces {
        match piece {
            Piece::Before(text) => before.extend_from_slice(text),
            Piece::Out(text) => out.extend_from_slice(text),
            Piece::Err(text) => err.extend_from_slice(text),
            Piece::Exit(code) => status = Some(*code),
            Piece::Begun { .. } => {}
        }
    }
    (out, err, before, status)
}

#[test]
fn a_nonce_is_never_drawn_twice() {
    let nonces: std::collections::BTreeSet<String> = (0..100).map(|_| Nonce::draw().0).collect();
    assert_eq!(nonces.len(), 100);
    assert!(nonces.iter().all(|text| text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit())));
}

#[test]
fn what_only_looks_like_a_marker_is_output() {
    let nonce = Nonce::draw();
    let near = [
        format!("\x1b_{}x256\x1b\\", nonce.text()),
        format!("\x1b_{}x\x1b\\", nonce.text()),
        format!("\x1b_{}x1234\x1b\\", nonce.text()),
        format!("\x1b_{}q\x1b\\", nonce.text()),
        format!("\x1b_{}x0\x1b]", nonce.text()),
        format!("\x1b_{}", &nonce.text()[..31]),
        format!("printf \"\\033_%sx%s\" {}", nonce.text()),
        format!("_{}x0\x1b\\", nonce.text()),
        "\x1b\x1b_\x1b".to_owned(),
    ];
    for near in near {
        let mut markers = Markers::new(&nonce);
        let bytes = [marker(&nonce, "0"), near.clone().into_bytes(), marker(&nonce, "x7")].concat();
        let pieces = feed(&mut markers, &bytes, &[3], false);
        assert_eq!(told(&pieces), (near.into_bytes(), Vec::new(), Vec::new(), Some(7)));
    }
}

#[test]
fn a_prompt_that_ends_like_a_marker_is_shown_and_the_marker_is_still_understood() {
    let nonce = Nonce::draw();
    let mut markers = Markers::new(&nonce);
    markers.take(&marker(&nonce, "0"));
    assert_eq!(markers.take(b"$ \x1b"), [Piece::Out("$ ".into())]);
    assert!(markers.is_doubtful());
    assert_eq!(markers.release(), [Piece::Out("\x1b".into())]);
    assert!(!markers.is_doubtful(), "it is shown once");
    let end = marker(&nonce, "x3");
    // The terminal is told the end of what it was shown the beginning of.
    assert_eq!(markers.take(&end[1..]), [Piece::Out("\x1b\\".into()), Piece::Exit(3)]);
    assert_eq!(markers.take(b"echo of what was typed"), []);
}

#[test]
fn most_of_a_nonce_is_no_prompt() {
    let nonce = Nonce::draw();
    let mut markers = Markers::new(&nonce);
    markers.take(&marker(&nonce, "0"));
    assert_eq!(markers.take(&marker(&nonce, "x3")[..20]), []);
    assert!(!markers.is_doubtful());
}

#[test]
fn errors_are_told_apart_line_by_line() {
    let nonce = Nonce::draw();
    let mut markers = Markers::new(&nonce);
    let (begin, line, end) = (marker(&nonce, "e"), marker(&nonce, "n"), marker(&nonce, "."));
    let bytes = [
        b"motd".to_vec(),
        marker(&nonce, "1"),
        b"out".to_vec(),
        [begin.clone(), b"one".to_vec(), line, b"\n".to_vec()].concat(),
        b"put\n".to_vec(),
        [begin, b"two".to_vec(), end].concat(),
        marker(&nonce, "x130"),
        b"late".to_vec(),
    ]
    .concat();
    let pieces = feed(&mut markers, &bytes, &[1], false);
    assert!(pieces.contains(&Piece::Begun { piped: true }));
    assert_eq!(told(&pieces), (b"output\n".to_vec(), b"one\ntwo".to_vec(), b"motd".to_vec(), Some(130)));
}

proptest! {
    #[test]
    fn any_output_comes_out_byte_for_byte_with_its_status(
        output in proptest::collection::vec(prop_oneof![
            4 => proptest::collection::vec(any::<u8>(), 0..40),
            3 => "[\\x1b_0-9a-f\\\\]{0,40}".prop_map(String::into_bytes),
            // Beginnings of this very session's markers, which are written as `!`, then a length.
            3 => (0_u8..30).prop_map(|length| vec![b'!', length]),
        ], 0..12),
        status in any::<u8>(),
        lengths in proptest::collection::vec(1_usize..60, 1..8),
        release in any::<bool>(),
    ) {
        let nonce = Nonce::draw();
        let whole = marker(&nonce, "x1");
        let output: Vec<u8> = output
            .iter()
            .flat_map(|part| match part.as_slice() {
                [b'!', length] if *length < 30 => whole[..usize::from(*length)].to_vec(),
                other => other.to_vec(),
            })
            .collect();
        let mut markers = Markers::new(&nonce);
        markers.take(&marker(&nonce, "0"));
        let bytes = [output.clone(), marker(&nonce, &format!("x{status}"))].concat();
        let pieces = feed(&mut markers, &bytes, &lengths, release);
        let (out, err, before, told) = told(&pieces);
        prop_assert_eq!(told, Some(status));
        prop_assert_eq!((err.len(), before.len()), (0, 0));
        if release {
            // What was released before its marker was known is closed.
            prop_assert!(out == output || out.starts_with(&output));
        } else {
            prop_assert_eq!(out, output);
        }
    }

    #[test]
    fn what_is_released_early_is_neither_lost_nor_doubled(
        output in "[\\x1b_0-9a-f]{0,60}",
        lengths in proptest::collection::vec(1_usize..4, 1..8),
    ) {
        let nonce = Nonce::draw();
        let mut markers = Markers::new(&nonce);
        markers.take(&marker(&nonce, "0"));
        let mut pieces = feed(&mut markers, output.as_bytes(), &lengths, true);
        pieces.extend(markers.release());
        prop_assert_eq!(told(&pieces).0, output.into_bytes());
    }
}
