//! Files by OpenSSH's `sftp`, into our init and into OpenSSH's server: one large one, and many small ones. Everything lies in memory,
//! and both servers are asked over a connection that stands, with the same cipher.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::init;
use super::server::{Host, Server};
use super::statistics::{Figure, median};

/// Runs of which the median counts.
pub(crate) const RUNS: usize = 5;

/// Size of the large file, in bytes.
const LARGE: u64 = 500_000_000;

/// Number of the small ones, and the size of each in bytes.
const MANY: usize = 10_000;
const SMALL: usize = 1024;

/// Bytes that a large file is written with at once.
const BLOCK: usize = 100_000;

/// Bytes that one run's files take at most: a copy there, and one back.
const TAKEN: u64 = 2 * LARGE;

/// What is moved at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    Large,
    Many,
}

impl Batch {
    pub(crate) const ALL: [Self; 2] = [Self::Large, Self::Many];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Large => "500 MB",
            Self::Many => "10,000 files",
        }
    }

    /// The name that [`make_files`] gives it.
    pub(crate) const fn source(self) -> &'static str {
        match self {
            Self::Large => "large",
            Self::Many => "many",
        }
    }

    /// Our rate beside that of `sftp` and `sshd`, of medians.
    pub(crate) fn figure(self, name: String, ours: &mut [Duration], peer: &mut [Duration]) -> Figure {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let (amount, unit) = match self {
            Self::Large => (LARGE as f64 / 1e6, "MB/s"),
            Self::Many => (MANY as f64, "files/s"),
        };
        let rate = |times: &mut [Duration]| amount / (median(times) / 1e3);
        Figure::new(name, rate(ours), unit).against("sftp to sshd", rate(peer))
    }
}

/// Measures both, run by run in turns, with each init that is there. Nothing, where a program that this needs is not there.
pub(crate) fn transfers() -> Vec<Figure> {
    let Ok(scratch) = tempfile::tempdir_in("/dev/shm") else { return Vec::new() };
    let Some(sshd) = Server::sshd(&Host::here(), scratch.path()) else { return Vec::new() };
    let peer = Connected::to(sshd, scratch.path());
    make_files(scratch.path());
    let mut figures = Vec::new();
    for (which, program) in init::programs() {
        let Ok(beside) = tempfile::tempdir_in(scratch.path()) else { return figures };
        let ours = Connected::to(Server::init(&Host::here(), &program, beside.path()), beside.path());
        for batch in Batch::ALL {
            for direction in ["put", "get"] {
                let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
                for _ in 0..RUNS {
                    our_times.push(ours.transfer(direction, batch, scratch.path()));
                    peer_times.push(peer.transfer(direction, batch, scratch.path()));
                }
                let name = format!("sftp {direction} of {}{which}", batch.name());
                figures.push(batch.figure(name, &mut our_times, &mut peer_times));
            }
        }
    }
    figures
}

/// A file of this length, which is a multiple of the block's: of that block again and again.
fn fill(path: &Path, length: u64, block: &[u8; BLOCK]) {
    let file = fs::File::create(path).expect("a file");
    for offset in (0..length).step_by(BLOCK) {
        file.write_all_at(block, offset).expect("room");
    }
}

/// Takes the memory of a run's files and gives it back: what a virtual machine has not used for a while its host must find first, which
/// costs more than to fill it. Otherwise whoever comes after the other finds it warm.
pub(crate) fn warm(directory: &Path) {
    let path = directory.join("warm");
    fill(&path, TAKEN, &[1; BLOCK]);
    fs::remove_file(path).expect("it was there");
}

pub(crate) fn make_files(directory: &Path) {
    let block: [u8; BLOCK] = std::array::from_fn(|index| (index / 3 % 251) as u8);
    fill(&directory.join("large"), LARGE, &block);
    let many = directory.join("many");
    fs::create_dir(&many).expect("a directory");
    for index in 0..MANY {
        fs::write(many.join(format!("file-{index}")), &block[..SMALL]).expect("a file");
    }
}

/// A server, with a connection of `ssh` that stands.
pub(crate) struct Connected {
    connection: Child,
    socket: PathBuf,
    server: Server,
}

impl Connected {
    pub(crate) fn to(server: Server, scratch: &Path) -> Self {
        let socket = scratch.join(format!("socket-{}", server.address()));
        let mut connection = server
            .ssh()
            .args(["-M", "-S"])
            .arg(&socket)
            .args([server.address(), "echo up; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ssh starts");
        let mut answer = String::new();
        BufReader::new(connection.stdout.take().expect("a pipe")).read_line(&mut answer).expect("text");
        assert_eq!(answer, "up\n", "{} lets us in", server.address());
        Self { connection, socket, server }
    }

    /// How long one batch takes. What it made is removed before the next.
    pub(crate) fn transfer(&self, direction: &str, batch: Batch, directory: &Path) -> Duration {
        warm(directory);
        let there = directory.join("there");
        let began = Instant::now();
        let mut sftp = Command::new("sftp")
            .args(["-q", "-F", "none", "-b", "-", "-o", &format!("ControlPath={}", self.socket.display())])
            .arg(self.server.address())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("sftp starts");
        let whole = if batch == Batch::Many { "-r " } else { "" };
        let script = format!("{direction} {whole}{} {}\n", directory.join(batch.source()).display(), there.display());
        sftp.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("a reader");
        assert!(sftp.wait().expect("sftp").success(), "{script} at {}", self.server.address());
        let took = began.elapsed();
        take_away(&there, batch);
        took
    }
}

/// Removes a copy, which must be whole.
pub(crate) fn take_away(copy: &Path, batch: Batch) {
    match batch {
        Batch::Large => {
            assert_eq!(fs::metadata(copy).expect("a file").len(), LARGE);
            fs::remove_file(copy).expect("it was there");
        }
        Batch::Many => {
            assert_eq!(fs::read_dir(copy).expect("a directory").count(), MANY);
            fs::remove_dir_all(copy).expect("it was there");
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        drop(self.connection.stdin.take());
        let _ = self.connection.wait();
    }
}
