//! What is read at once from a program or a target, on its way to the client.

use bytes::{Bytes, BytesMut};

/// Bytes read at once: what a pipe holds by default, and where reading measured fastest.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Below this a chunk is copied out of its buffer: one that waits must not hold [`CHUNK`] bytes for a line of text.
const COPY_BELOW: usize = CHUNK / 4;

/// Takes what was read. A large chunk leaves with the buffer, a small one as a copy.
pub(crate) fn take(buffer: &mut BytesMut) -> Bytes {
    if buffer.len() < COPY_BELOW {
        let small = Bytes::copy_from_slice(buffer);
        buffer.clear();
        small
    } else {
        std::mem::take(buffer).freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_chunk_leaves_the_buffer_behind_and_a_large_one_takes_it_along() {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        buffer.extend_from_slice(b"small");
        let place = buffer.as_ptr();
        let small = take(&mut buffer);
        assert_eq!((&small[..], small.as_ptr() == place), (&b"small"[..], false));
        assert_eq!((buffer.len(), buffer.capacity(), buffer.as_ptr()), (0, CHUNK, place));
        buffer.resize(COPY_BELOW, 7);
        let large = take(&mut buffer);
        assert_eq!((large.len(), large.as_ptr(), buffer.capacity()), (COPY_BELOW, place, 0));
    }
}
