//! An SFTP client (version 3, draft-ietf-secsh-filexfer-02) with many requests under way on one channel.
//!
//! Names and handles are bytes, as they are on the wire: a file whose name is no UTF-8 can be copied, and a server may use any
//! bytes as a handle.

mod answer;
mod attributes;
mod channel;
mod error;
#[cfg(test)]
pub(crate) mod fuzz;
mod limits;
mod reply;
mod request;

use bytes::Bytes;

pub(crate) use attributes::{Attributes, Kind};
use channel::Requests;
pub(crate) use error::SftpError;
pub(crate) use limits::Limits;
use reply::Version;
pub(crate) use reply::{Name, StatusCode};
pub(crate) use request::{OpenFlags, WriteBuffer};

use crate::ssh::Connection;

/// Bytes of file content that may be on their way, in either direction, over all files of a channel. 4 MiB keep 40 MB/s busy over
/// 100 ms; what of it waits in memory is as much.
const IN_FLIGHT: usize = 4 * 1024 * 1024;

const POSIX_RENAME: &str = "posix-rename@openssh.com";
const FSYNC: &str = "fsync@openssh.com";
const LIMITS: &str = "limits@openssh.com";
/// Our own: a handle, an offset and a length (0 is the rest) are answered with the SHA-256 of that part of the file.
const SHA256: &str = "sha256@fargate-login";
/// Our own: a handle; such a digest will be asked for of what is read or written from now on, from the file's beginning to its end.
const FOLLOW: &str = "follow-sha256@fargate-login";
/// Our own: its data is the most content of one WRITE, in decimal, where a client has so little on its way as we do.
const WRITE_LENGTH: &str = "write-length@fargate-login";

/// An SFTP session on a channel of its own.
#[derive(Debug)]
pub(crate) struct Sftp {
    requests: Requests,
    version: Version,
    limits: Limits,
}

impl Sftp {
    /// Starts the `sftp` subsystem on a new channel.
    ///
    /// # Errors
    /// [`SftpError::Ssh`] without a channel, [`SftpError::NoSubsystem`] when the server has no SFTP, [`SftpError::Version`] when it
    /// speaks another, and what ends a channel.
    pub(crate) async fn open(connection: &Connection) -> Result<Self, SftpError> {
        let (sender, receiver) = connection.open_session().await?;
        sender.requests().request_subsystem(true, "sftp").await.map_err(|_| SftpError::Closed)?;
        let (requests, version) = Requests::start(sender, receiver, IN_FLIGHT).await?;
        let mut sftp = Self { requests, version, limits: Limits::default() };
        if sftp.offers(LIMITS) {
            let reply = sftp.requests.ask(0, |id| request::extended(id, LIMITS, &[])).await?;
            sftp.limits = Limits::announced(&reply.extended()?)?;
        }
        if let Some(length) = sftp.announced(WRITE_LENGTH).and_then(decimal) {
            sftp.limits.write = sftp.limits.write.max(length.min(limits::most_length()));
        }
        Ok(sftp)
    }

    /// Ends the session: waits until the server has closed the channel, or for a moment.
    pub(crate) async fn close(self) {
        self.requests.close().await;
    }

    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether the server tells digests itself.
    pub(crate) fn tells_digests(&self) -> bool {
        self.offers(SHA256)
    }

    /// Opens a file. The permissions are those of a file that is made.
    pub(crate) async fn open_file(&self, path: &[u8], flags: OpenFlags, permissions: u32) -> Result<Bytes, SftpError> {
        let attributes = Attributes { permissions: Some(permissions), ..Attributes::default() };
        self.requests.ask(0, |id| request::open(id, path, flags, &attributes)).await?.handle()
    }

    /// Closes a file or a directory.
    pub(crate) async fn close_handle(&self, handle: &[u8]) -> Result<(), SftpError> {
        self.requests.ask(0, |id| request::handle(request::CLOSE, id, handle)).await?.done()
    }

    /// Up to `length` bytes from `offset` on, at least one; `None` at the end of the file.
    pub(crate) async fn read(&self, handle: &[u8], offset: u64, length: u32) -> Result<Option<Bytes>, SftpError> {
        let reply = self.requests.ask(length as usize, |id| request::read(id, handle, offset, length)).await?;
        match reply.data() {
            Err(SftpError::Status { code: StatusCode::Eof, .. }) => Ok(None),
            Ok(data) if data.is_empty() || data.len() > length as usize => {
                Err(SftpError::Malformed("a READ was answered with another length"))
            }
            data => data.map(Some),
        }
    }

    /// Writes a buffer that was made with [`Sftp::write_buffer`].
    pub(crate) async fn write(&self, offset: u64, buffer: WriteBuffer) -> Result<(), SftpError> {
        self.requests.ask(buffer.content_len(), |id| buffer.into_packet(id, offset)).await?.done()
    }

    pub(crate) async fn stat(&self, path: &[u8]) -> Result<Attributes, SftpError> {
        self.requests.ask(0, |id| request::path(request::STAT, id, path)).await?.attributes()
    }

    /// Like [`Sftp::stat`]; `None` when there is nothing of that name.
    pub(crate) async fn find(&self, path: &[u8]) -> Result<Option<Attributes>, SftpError> {
        match self.stat(path).await {
            Err(SftpError::Status { code: StatusCode::NoSuchFile, .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    pub(crate) async fn fstat(&self, handle: &[u8]) -> Result<Attributes, SftpError> {
        self.requests.ask(0, |id| request::handle(request::FSTAT, id, handle)).await?.attributes()
    }

    pub(crate) async fn setstat(&self, path: &[u8], attributes: &Attributes) -> Result<(), SftpError> {
        self.requests.ask(0, |id| request::setstat(request::SETSTAT, id, path, attributes)).await?.done()
    }

    pub(crate) async fn fsetstat(&self, handle: &[u8], attributes: &Attributes) -> Result<(), SftpError> {
        self.requests.ask(0, |id| request::setstat(request::FSETSTAT, id, handle, attributes)).await?.done()
    }

    pub(crate) async fn mkdir(&self, path: &[u8], permissions: u32) -> Result<(), SftpError> {
        let attributes = Attributes { permissions: Some(permissions), ..Attributes::default() };
        self.requests.ask(0, |id| request::setstat(request::MKDIR, id, path, &attributes)).await?.done()
    }

    pub(crate) async fn remove(&self, path: &[u8]) -> Result<(), SftpError> {
        self.requests.ask(0, |id| request::path(request::REMOVE, id, path)).await?.done()
    }

    /// The absolute path without symbolic links.
    pub(crate) async fn realpath(&self, path: &[u8]) -> Result<Bytes, SftpError> {
        let names = self.requests.ask(0, |id| request::path(request::REALPATH, id, path)).await?.names()?;
        names
            .into_iter()
            .next()
            .map(|name| name.name)
            .ok_or(SftpError::Malformed("a REALPATH was answered with no name"))
    }

    pub(crate) async fn opendir(&self, path: &[u8]) -> Result<Bytes, SftpError> {
        self.requests.ask(0, |id| request::path(request::OPENDIR, id, path)).await?.handle()
    }

    /// Some more names of a directory; `None` when it has no more.
    pub(crate) async fn readdir(&self, handle: &[u8]) -> Result<Option<Vec<Name>>, SftpError> {
        match self.requests.ask(0, |id| request::handle(request::READDIR, id, handle)).await?.names() {
            Err(SftpError::Status { code: StatusCode::Eof, .. }) => Ok(None),
            names => names.map(Some),
        }
    }

    /// Gives a file another name, in place of what has that name already. A server without `posix-rename@openssh.com` does it in
    /// two steps: between them nothing has the name.
    pub(crate) async fn replace(&self, from: &[u8], to: &[u8]) -> Result<(), SftpError> {
        if self.offers(POSIX_RENAME) {
            return self.requests.ask(0, |id| request::extended(id, POSIX_RENAME, &[from, to])).await?.done();
        }
        let rename = || async { self.requests.ask(0, |id| request::rename(id, from, to)).await?.done() };
        match rename().await {
            Err(SftpError::Status { .. }) if self.find(to).await?.is_some_and(|there| there.kind() == Kind::File) => {
                self.remove(to).await?;
                rename().await
            }
            renamed => renamed,
        }
    }

    /// Has the server write a file to its disk, if it can be asked to.
    pub(crate) async fn fsync(&self, handle: &[u8]) -> Result<(), SftpError> {
        if !self.offers(FSYNC) {
            return Ok(());
        }
        self.requests.ask(0, |id| request::extended(id, FSYNC, &[handle])).await?.done()
    }

    /// The server's SHA-256 of the first `length` bytes of an open file, or of all of it.
    pub(crate) async fn sha256(&self, handle: &[u8], length: Option<u64>) -> Result<[u8; 32], SftpError> {
        let part = |id| request::sha256(id, SHA256, handle, 0, length.unwrap_or(0));
        let reply = self.requests.ask(0, part).await?.extended()?;
        reply.as_ref().try_into().map_err(|_| SftpError::Malformed("a digest is not 32 bytes"))
    }

    /// Has the server keep the digest of what passes through a handle, if it can: then [`Sftp::sha256`] of a large file is there at
    /// once. Without, it is made of the file anew.
    pub(crate) async fn follow(&self, handle: &[u8]) -> Result<(), SftpError> {
        if !self.offers(FOLLOW) {
            return Ok(());
        }
        self.requests.ask(0, |id| request::extended(id, FOLLOW, &[handle])).await?.done()
    }

    fn offers(&self, extension: &str) -> bool {
        self.announced(extension).is_some()
    }

    /// The data of an extension.
    fn announced(&self, extension: &str) -> Option<&Bytes> {
        self.version.extensions.iter().find(|(name, _)| name == extension.as_bytes()).map(|(_, data)| data)
    }
}

fn decimal(data: &Bytes) -> Option<u32> {
    std::str::from_utf8(data).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one() {
        assert_eq!(decimal(&Bytes::from_static(b"261120")), Some(limits::most_length()));
        for other in ["", "-1", "2e5", "99999999999", "\u{661}"] {
            assert_eq!(decimal(&Bytes::from_static(other.as_bytes())), None, "{other}");
        }
    }
}
