//! The role `sftp`: reads and changes files for a client, with the rights of the session's user and in a process of its own, as
//! OpenSSH's `sftp-server` does.
//!
//! It speaks version 3 of the protocol (draft-ietf-secsh-filexfer-02) as OpenSSH does, on its standard streams: requests on
//! standard input, replies on standard output, and on standard error what the container's log has to have.
//!
//! * `packets`: where one request ends and the next begins.
//! * `request`, `attributes`: what clients ask for.
//! * `server`: what becomes of each request.
//! * `files`, `directories`, `paths`, `extensions`: the requests themselves.
//! * `handles`: files and directories that are open.
//! * `running`: digests of files while they pass.
//! * `identities`, `longname`: names of users and groups, and lines as `ls -l` has them.
//! * `failure`: what a client is told about a request that did not succeed.
//! * `output`: replies on their way out, and the reports of what they are about.
//! * `report`: what is worth a line in the log, on its way to `serve`, which writes it.
//!
//! It is synchronous. Requests are answered in their order, and nothing is written while another whole request is here, so that
//! many small ones cost few system calls.
//!
//! Own code and not `russh-sftp`, because names of files are bytes: that crate's are text, so a name that is not UTF-8 would come back
//! as another one.

mod attributes;
mod directories;
mod extensions;
mod failure;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod handles;
mod identities;
mod longname;
mod output;
mod packets;
mod paths;
pub(crate) mod report;
mod request;
mod running;
mod server;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitCode;

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};

use output::Output;
use packets::Packets;
use request::{Malformed, Packet};
use server::Server;

/// Signals that must not end us: a channel that is closed ends our input as well, and a file that may not grow is an error to
/// be told.
const BLOCKED: [Signal; 2] = [Signal::SIGHUP, Signal::SIGXFSZ];

/// Why it ends before the client's last request was answered.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A stream of ours is closed: nobody is left to serve.
    #[error("{0}")]
    Stream(#[from] io::Error),
}

/// Runs the role until the client has no more requests. Exit code 1 when it broke the protocol, or its connection did.
pub(crate) fn run() -> ExitCode {
    // Other processes of this user must not write reports in our name.
    let _ = prctl::set_dumpable(false);
    let blocked: SigSet = BLOCKED.into_iter().collect();
    let served = blocked.thread_block().map_err(io::Error::from).and_then(|()| {
        let input = own(io::stdin().as_fd())?;
        Ok(serve(input, own(io::stdout().as_fd())?, own(io::stderr().as_fd())?))
    });
    match served {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(_)) | Err(_) => ExitCode::FAILURE,
    }
}

/// A stream without the standard library's buffer.
fn own(stream: BorrowedFd<'_>) -> io::Result<File> {
    Ok(File::from(stream.try_clone_to_owned()?))
}

/// Answers requests to their end. What is still open then is closed and reported.
fn serve(requests: impl Read, replies: impl Write, reports: impl Write) -> Result<(), Ended> {
    let mut server = Server::new();
    let mut output = Output::new(replies, reports);
    let ended = answer_all(&mut Packets::new(requests), &mut server, &mut output);
    server.close_all(&mut output);
    if let Err(Ended::Malformed(malformed)) = &ended {
        output.report_malformed(malformed);
    }
    let flushed = output.flush();
    ended.and(flushed.map_err(Ended::from))
}

fn answer_all<R: Read, W: Write, E: Write>(
    packets: &mut Packets<R>,
    server: &mut Server,
    output: &mut Output<W, E>,
) -> Result<(), Ended> {
    let mut begun = false;
    loop {
        while let Some(packet) = packets.next()? {
            match Packet::parse(packet)? {
                Packet::Init if begun => return Err(Malformed::Order.into()),
                Packet::Init => {
                    begun = true;
                    extensions::tell_version(output);
                }
                Packet::Request { .. } if !begun => return Err(Malformed::Order.into()),
                Packet::Request { id, request } => {
                    let answer = server.answer(request, &mut output.held);
                    output.reply(id, answer)?;
                }
            }
        }
        output.flush()?;
        if packets.read()? == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that has gone.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn packet(bytes: &[&[u8]]) -> Vec<u8> {
        let bytes = bytes.concat();
        [&u32::try_from(bytes.len()).expect("short").to_be_bytes()[..], &bytes].concat()
    }

    #[test]
    fn what_was_done_is_told_though_nobody_is_left_to_be_answered() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file").display().to_string();
        let length = u32::try_from(path.len()).expect("short").to_be_bytes();
        let init = packet(&[&[1, 0, 0, 0, 3]]);
        // Write and create, no attributes.
        let open = packet(&[&[3, 0, 0, 0, 1], &length, path.as_bytes(), &[0, 0, 0, 10], &[0; 4]]);
        let mut reports = Vec::new();
        let ended = serve(&[init, open].concat()[..], Gone, &mut reports);
        assert!(matches!(ended, Err(Ended::Stream(_))), "{ended:?}");
        let told: Vec<_> = reports
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice::<report::Report<'_>>(line).expect("a report").operation)
            .collect();
        assert_eq!(told, [report::Operation::OpenCreate, report::Operation::Close]);
    }
}
