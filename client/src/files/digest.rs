//! The SHA-256 of a file in the task: told by our own init, by a `sha256sum` there, or of what is read back.

use bytes::{Bytes, BytesMut};
use russh::ChannelMsg;
use sha2::{Digest as _, Sha256};

use super::error::FileError;
use super::place::shown;
use super::sftp::{Sftp, SftpError};
use crate::session::command::quote_bytes;
use crate::ssh::Connection;

/// Files up to this size, in bytes, are rather read back than asked about with a command: starting one costs more.
const READ_BACK: u64 = 1024 * 1024;
/// Files from this size on, in bytes, have their digest kept by the server while they pass. For smaller ones, asking for it costs more
/// than reading them again.
pub(super) const WORTH_FOLLOWING: u64 = 1024 * 1024;
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// Compares what is in the task with what we have: the first `length` bytes of an open file, which people know as `name`.
///
/// # Errors
/// [`FileError::Digest`] when they are not the same.
pub(super) async fn compare(
    connection: &Connection,
    sftp: &Sftp,
    (handle, path): (&[u8], &[u8]),
    name: &[u8],
    (length, here): (u64, [u8; 32]),
) -> Result<(), FileError> {
    // Of nothing there is nothing to compare.
    if length == 0 {
        return Ok(());
    }
    let there = of(connection, sftp, handle, path, length).await.map_err(FileError::remote("check", name))?;
    if there == here {
        return Ok(());
    }
    Err(FileError::Digest { path: shown(name), here: hex(&here), there: hex(&there) })
}

/// The digest of the first `length` bytes of an open file.
pub(super) async fn of(
    connection: &Connection,
    sftp: &Sftp,
    handle: &[u8],
    path: &[u8],
    length: u64,
) -> Result<[u8; 32], SftpError> {
    if sftp.tells_digests() {
        return sftp.sha256(handle, Some(length)).await;
    }
    if length > READ_BACK
        && let Some(digest) = by_command(connection, sftp, path, length).await?
    {
        return Ok(digest);
    }
    read_back(sftp, handle, length).await
}

async fn read_back(sftp: &Sftp, handle: &[u8], length: u64) -> Result<[u8; 32], SftpError> {
    let mut hash = Sha256::new();
    let mut offset = 0;
    while offset < length {
        let want = u32::try_from(length - offset).unwrap_or(u32::MAX).min(sftp.limits().read);
        let Some(data) = sftp.read(handle, offset, want).await? else { break };
        hash.update(&data);
        offset += data.len() as u64;
    }
    Ok(hash.finalize().into())
}

/// `None` where there is no such command.
async fn by_command(
    connection: &Connection,
    sftp: &Sftp,
    path: &[u8],
    length: u64,
) -> Result<Option<[u8; 32]>, SftpError> {
    // A command may start in another directory than the SFTP server.
    let path = sftp.realpath(path).await?;
    let line = [b"head -c ", length.to_string().as_bytes(), b" ", &quote_bytes(&path), b" | sha256sum"].concat();
    let (sender, mut receiver) = connection.open_session().await?;
    sender.requests().exec(true, line).await.map_err(|_| SftpError::Closed)?;
    sender.eof().await?;
    let mut said = BytesMut::new();
    while let Some(message) = receiver.recv().await? {
        match message {
            // More than a line is no digest.
            ChannelMsg::Data { data } if said.len() < 4 * DIGITS => said.extend_from_slice(&data),
            ChannelMsg::Failure | ChannelMsg::Close => break,
            _ => {}
        }
    }
    Ok(parse(&said.freeze()))
}

fn parse(said: &Bytes) -> Option<[u8; 32]> {
    let digits = said.get(..DIGITS).filter(|_| said.get(DIGITS) == Some(&b' '))?;
    let mut digest = [0; 32];
    for (byte, digits) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(digest)
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_digest_is_one() {
        let digest: [u8; 32] = Sha256::digest(b"abc").into();
        let line = format!("{}  -\n", hex(&digest));
        assert_eq!(parse(&Bytes::from(line)), Some(digest));
        for other in ["", "sh: sha256sum: not found\n", &format!("{}\n", "g".repeat(70)), &"0".repeat(63)] {
            assert_eq!(parse(&Bytes::from(other.to_owned())), None, "{other}");
        }
    }
}
