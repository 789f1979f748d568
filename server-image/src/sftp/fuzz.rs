//! What the fuzz target `sftp` holds the server's parsing and its replies to.

use std::io::{self, Read};

use super::packets::{PACKET_MAX, Packets};
use super::report::Report;
use super::request::{Extended, Packet, Request};

/// The first packet, of version 3.
const INIT: [u8; 9] = [0, 0, 0, 5, 1, 0, 0, 0, 3];

/// Reads the bytes as a client's requests, in one piece and in small ones, answers those that change nothing, and reads the bytes as
/// a report.
///
/// # Panics
/// When the pieces change the requests; when replies are not one for each request, in their order, whole and of bounded length; when
/// a report changes on its way.
pub fn sftp(data: &[u8]) {
    let piece = 1 + usize::from(data.first().copied().unwrap_or_default() % 32);
    assert_eq!(requests(data, piece).0, requests(data, usize::MAX).0);
    answered(data);
    if let Ok(report) = serde_json::from_slice::<Report<'_>>(data) {
        let line = serde_json::to_vec(&report).expect("text and numbers");
        assert_eq!(serde_json::from_slice::<Report<'_>>(&line).expect("our own"), report);
    }
}

/// Gives out so many bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.1.min(buffer.len());
        self.0.read(&mut buffer[..length])
    }
}

/// The requests as text, up to the first that cannot be read, which is named; and those that change nothing, with their ids.
fn requests(data: &[u8], piece: usize) -> (Vec<String>, Vec<(u32, Vec<u8>)>) {
    let mut packets = Packets::new(Pieces(data, piece));
    let (mut all, mut harmless) = (Vec::new(), Vec::new());
    loop {
        match packets.next() {
            Ok(None) => match packets.read().expect("a slice") {
                0 => return (all, harmless),
                _ => continue,
            },
            Ok(Some(bytes)) => {
                let packet = Packet::parse(bytes);
                all.push(format!("{packet:?}"));
                match packet {
                    Ok(Packet::Request { id, request }) if changes_nothing(&request) => {
                        harmless.push((id, bytes.to_vec()));
                    }
                    Ok(_) => {}
                    Err(_) => return (all, harmless),
                }
            }
            Err(malformed) => {
                all.push(malformed.to_string());
                return (all, harmless);
            }
        }
    }
}

/// Requests that make, change, remove and open nothing: no client of this test has a handle.
const fn changes_nothing(request: &Request<'_>) -> bool {
    !matches!(
        request,
        Request::Open { .. }
            | Request::SetStat { .. }
            | Request::Remove(_)
            | Request::MkDir { .. }
            | Request::RmDir(_)
            | Request::Rename { .. }
            | Request::SymLink { .. }
            | Request::Extended(Extended::PosixRename { .. } | Extended::HardLink { .. } | Extended::LSetStat { .. })
    )
}

fn answered(data: &[u8]) {
    let (_, harmless) = requests(data, usize::MAX);
    let mut asked = INIT.to_vec();
    for (_, packet) in &harmless {
        asked.extend(u32::try_from(packet.len()).expect("bounded").to_be_bytes());
        asked.extend(packet);
    }
    let (mut replies, mut reports) = (Vec::new(), Vec::new());
    super::serve(&asked[..], &mut replies, &mut reports).expect("requests that can be read");
    assert!(reports.is_empty(), "nothing was changed");
    let mut left = &replies[..];
    let mut ids = Vec::new();
    while let Some((length, rest)) = left.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("a length");
        assert!((5..=PACKET_MAX).contains(&length), "{length} bytes");
        let (packet, rest) = rest.split_at_checked(length).expect("a whole reply");
        ids.push(u32::from_be_bytes(packet[1..5].try_into().expect("four bytes")));
        left = rest;
    }
    assert!(left.is_empty());
    // The first answers the first packet with the version.
    let expected: Vec<u32> = std::iter::once(3).chain(harmless.iter().map(|(id, _)| *id)).collect();
    assert_eq!(ids, expected);
}
