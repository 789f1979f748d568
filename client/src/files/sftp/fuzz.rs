//! What a server of files may answer, whatever it is.

use bytes::Bytes;

use super::limits::Limits;
use super::reply::{Reply, SMALLEST_NAME, Version};

/// Reads an answer, as the first of a connection and as a later one.
///
/// # Panics
/// When an answer has more in it than its bytes, or words that a terminal would take for a command.
pub(crate) fn sftp_reply(data: &[u8]) {
    let packet = Bytes::copy_from_slice(data);
    if let Ok(version) = Version::decode(packet.clone()) {
        let told: usize = version.extensions.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(told <= data.len(), "{version:?}");
    }
    let Ok((_, reply)) = Reply::decode(packet) else { return };
    match reply {
        // Each byte that is no text becomes a character of three.
        Reply::Status { message, .. } => {
            assert!(message.len() <= 3 * data.len() && !message.contains(char::is_control), "{message:?}");
        }
        Reply::Handle(bytes) | Reply::Data(bytes) => assert!(bytes.len() < data.len()),
        Reply::Names(names) => {
            let told: usize = names.iter().map(|name| name.name.len() + SMALLEST_NAME).sum();
            assert!(told <= data.len(), "{names:?}");
        }
        Reply::Attributes(_) => {}
        Reply::Extended(rest) => {
            assert!(rest.len() < data.len());
            // Limits are the one such answer that is read as numbers.
            let _ = Limits::announced(&rest);
        }
    }
}
