//! What a client is told about a request that did not succeed.

use std::io;

use nix::errno::Errno;

/// Status codes (draft-ietf-secsh-filexfer-02, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Ok = 0,
    Eof = 1,
    NoSuchFile = 2,
    PermissionDenied = 3,
    Failure = 4,
    OpUnsupported = 8,
}

/// Why a request did not succeed. OpenSSH's clients show words of their own for the code; others show the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: &'static str,
}

impl Failure {
    /// There is nothing more to read.
    pub(super) const EOF: Self = Self { code: Code::Eof, message: "End of file" };
    /// This server does not know the request.
    pub(super) const UNSUPPORTED: Self = Self { code: Code::OpUnsupported, message: "Operation unsupported" };
    /// Nothing is open by that handle, or not what the request is for.
    pub(super) const NO_HANDLE: Self = Self { code: Code::Failure, message: "No such handle" };
    /// As many handles are open as one client may have.
    pub(super) const TOO_MANY: Self = Self { code: Code::Failure, message: "Too many open handles" };
    /// A reply would be longer than a packet may be.
    pub(super) const TOO_LONG: Self = Self { code: Code::Failure, message: "The reply would be too long" };
    /// A copy onto itself.
    pub(super) const OVERLAP: Self = Self { code: Code::Failure, message: "The ranges overlap" };
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        let code = match errno {
            Errno::ENOENT => Code::NoSuchFile,
            // What is mounted without the right to write is no different to whoever wants to.
            Errno::EACCES | Errno::EPERM | Errno::EROFS => Code::PermissionDenied,
            Errno::ENOSYS | Errno::EOPNOTSUPP => Code::OpUnsupported,
            _ => Code::Failure,
        };
        Self { code, message: errno.desc() }
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(errno: rustix::io::Errno) -> Self {
        Errno::from_raw(errno.raw_os_error()).into()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Errno::from_raw(error.raw_os_error().unwrap_or_default()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_a_code_and_a_text() {
        for (errno, code) in [
            (Errno::ENOENT, Code::NoSuchFile),
            (Errno::EACCES, Code::PermissionDenied),
            (Errno::EROFS, Code::PermissionDenied),
            (Errno::ENOTDIR, Code::Failure),
            (Errno::ENOSPC, Code::Failure),
            (Errno::ELOOP, Code::Failure),
            (Errno::EOPNOTSUPP, Code::OpUnsupported),
        ] {
            assert_eq!(Failure::from(errno).code, code, "{errno}");
        }
        assert_eq!(Failure::from(Errno::ENOSPC).message, "No space left on device");
    }
}
