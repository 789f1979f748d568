//! What a SOCKS client may say, whatever it is.

use super::socks::{MOST, Step, step};

/// Replies of version 4, and of version 5 to the methods and to a request, in bytes.
const REPLIES: [usize; 4] = [0, 2, 8, 10];

/// Reads what a client says; the first byte tells whether its methods were answered before.
///
/// # Panics
/// When something is understood before it is whole, or understood otherwise once more follows; when it takes more bytes than there
/// are; when a host could not stand in an SSH message, or a reply is of no known length.
pub(crate) fn socks(data: &[u8]) {
    let Some((greeted, bytes)) = data.split_first() else { return };
    // What is longer than this is refused unread.
    let (greeted, bytes) = (greeted & 1 == 1, bytes.get(..MOST).unwrap_or(bytes));
    let mut first = None;
    for end in 0..=bytes.len() {
        let understood = step(&bytes[..end], greeted);
        match (&first, understood) {
            (None, Step::More) => {}
            (None, early) => {
                hold(&early, end);
                first = Some(early);
            }
            (Some(first), later) => assert_eq!(*first, later, "{end} bytes"),
        }
    }
}

fn hold(step: &Step, whole: usize) {
    match step {
        Step::More => {}
        Step::Say(used, reply) => assert!(*used == whole && REPLIES.contains(&reply.len()), "{step:?}"),
        Step::Connect(used, request) => {
            let is_sayable = |c: char| !c.is_control() && !c.is_whitespace();
            assert!(*used == whole && !request.host.is_empty() && request.host.chars().all(is_sayable), "{step:?}");
            assert!(REPLIES.contains(&request.granted().len()), "{step:?}");
        }
        Step::Refuse(reply, _) => assert!(REPLIES.contains(&reply.len()), "{step:?}"),
    }
}
