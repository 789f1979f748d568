//! What becomes of each request.

use std::cell::OnceCell;
use std::os::unix::ffi::OsStringExt as _;

use super::failure::Failure;
use super::handles::{Handles, Open};
use super::identities::Identities;
use super::output::{Held, Output, Reply};
use super::report::{Operation, Report};
use super::request::{Extended, Request};

/// One client's server.
pub(super) struct Server {
    pub(super) handles: Handles,
    /// Where we were started: what paths that do not begin at the root are under.
    start: Vec<u8>,
    identities: OnceCell<Identities>,
}

impl Server {
    pub(super) fn new() -> Self {
        let start = std::env::current_dir().map(|start| start.into_os_string().into_vec()).unwrap_or_default();
        Self { handles: Handles::new(), start, identities: OnceCell::new() }
    }

    /// Does what is asked for. What changes files, opens or closes them is reported.
    pub(super) fn answer(&mut self, request: Request<'_>, held: &mut Held) -> Result<Reply, Failure> {
        match request {
            Request::Open { path, flags, attributes } => self.open(path, flags, &attributes, held),
            Request::Close(handle) => self.close(handle, held),
            Request::Read { handle, offset, length } => self.read(handle, offset, length, held.block()),
            Request::Write { handle, offset, data } => self.write(handle, offset, data),
            Request::LStat(path) => Self::lstat(path),
            Request::Stat(path) => Self::stat(path),
            Request::FStat(handle) => self.fstat(handle),
            Request::SetStat { path, attributes } => self.setstat(path, &attributes, held),
            Request::FSetStat { handle, attributes } => self.fsetstat(handle, &attributes, held),
            Request::OpenDir(path) => self.open_directory(path),
            Request::ReadDir(handle) => self.read_directory(handle),
            Request::Remove(path) => self.remove(path, held),
            Request::MkDir { path, attributes } => self.make_directory(path, &attributes, held),
            Request::RmDir(path) => self.remove_directory(path, held),
            Request::RealPath(path) => Self::real_path(path),
            Request::Rename { from, to } => self.rename(from, to, held),
            Request::ReadLink(path) => Self::read_link(path),
            Request::SymLink { target, link } => self.symbolic_link(target, link, held),
            Request::Extended(extended) => self.extended(extended, held),
            Request::Unknown => Err(Failure::UNSUPPORTED),
        }
    }

    fn extended(&mut self, request: Extended<'_>, held: &mut Held) -> Result<Reply, Failure> {
        match request {
            Extended::PosixRename { from, to } => self.posix_rename(from, to, held),
            Extended::StatVfs(path) => Self::stat_vfs(path),
            Extended::FStatVfs(handle) => self.fstat_vfs(handle),
            Extended::HardLink { from, to } => self.hard_link(from, to, held),
            Extended::FSync(handle) => self.fsync(handle),
            Extended::LSetStat { path, attributes } => self.lsetstat(path, &attributes, held),
            Extended::Limits => Ok(self.limits()),
            Extended::ExpandPath(path) => self.expand_path(path),
            Extended::CopyData(copy) => self.copy_data(&copy, held.block()),
            Extended::HomeDirectory(user) => self.home_directory(user),
            Extended::UsersGroups { users, groups } => self.users_groups(users, groups),
            Extended::Sha256 { handle, offset, length } => self.sha256(handle, offset, length, held.block()),
            Extended::FollowSha256(handle) => self.follow(handle),
            Extended::Unknown => Err(Failure::UNSUPPORTED),
        }
    }

    /// Closes what the client left open, and reports it.
    pub(super) fn close_all<W: std::io::Write, E: std::io::Write>(&mut self, output: &mut Output<W, E>) {
        for open in self.handles.remove_all() {
            if let Open::File(file) = open {
                output.held.report(&Report::new(Operation::Close, &file.path).bytes(file.moved).error(file.spoilt));
            }
        }
    }

    pub(super) fn identities(&self) -> &Identities {
        self.identities.get_or_init(Identities::read)
    }

    /// A path from the root, for the log.
    pub(super) fn full(&self, path: &[u8]) -> Vec<u8> {
        if path.starts_with(b"/") {
            return path.to_vec();
        }
        let slash: &[u8] = if self.start.ends_with(b"/") { b"" } else { b"/" };
        [&self.start, slash, path].concat()
    }

    /// Reports how something went that ends with its reply.
    pub(super) fn reported(
        &self,
        operation: Operation,
        path: &[u8],
        to: Option<&[u8]>,
        result: Result<(), Failure>,
        held: &mut Held,
    ) -> Result<Reply, Failure> {
        let error = result.err().map(|failure| failure.message);
        held.report(&Report::new(operation, &self.full(path)).to(to).error(error));
        result.map(|()| Reply::Done)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::MetadataExt as _;

    use super::super::attributes::Attributes;
    use super::super::failure::Code;
    use super::super::request::{CopyData, HandleId};
    use super::*;

    const READ: u32 = 1;
    const WRITE: u32 = 2;
    const CREATE: u32 = 8;
    const EXCLUSIVE: u32 = 32;

    struct Client {
        server: Server,
        output: Output<Vec<u8>, Vec<u8>>,
        directory: tempfile::TempDir,
    }

    impl Client {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            Self { server: Server::new(), output: Output::new(Vec::new(), Vec::new()), directory }
        }

        fn path(&self, name: &str) -> Vec<u8> {
            self.directory.path().join(name).as_os_str().as_bytes().to_vec()
        }

        fn ask(&mut self, request: Request<'_>) -> Result<Reply, Failure> {
            self.server.answer(request, &mut self.output.held)
        }

        fn open(&mut self, name: &str, flags: u32) -> Result<HandleId, Failure> {
            let path = self.path(name);
            let opened = self.ask(Request::Open { path: &path, flags, attributes: Attributes::default() })?;
            let Reply::Handle(handle) = opened else { panic!("{opened:?}") };
            Ok(Some(handle))
        }

        fn copy(
            &mut self,
            from: HandleId,
            from_offset: u64,
            length: u64,
            to: HandleId,
            to_offset: u64,
        ) -> Result<Reply, Failure> {
            let copy = CopyData { from, from_offset, length, to, to_offset };
            self.ask(Request::Extended(Extended::CopyData(copy)))
        }
    }

    #[test]
    fn only_one_makes_a_file_that_must_be_new() {
        let mut client = Client::new();
        client.open("new", WRITE | CREATE | EXCLUSIVE).expect("it is new");
        let again = client.open("new", WRITE | CREATE | EXCLUSIVE).expect_err("it is not");
        assert_eq!((again.code, again.message), (Code::Failure, "File exists"));
        assert_eq!(client.open("none", READ).expect_err("none").code, Code::NoSuchFile);
    }

    #[test]
    fn a_full_disk_is_told_in_words() {
        let mut client = Client::new();
        let handle = client.open("/dev/full", WRITE).expect("every system has it");
        let full = client.ask(Request::Write { handle, offset: 0, data: b"x" }).expect_err("no room");
        assert_eq!((full.code, full.message), (Code::Failure, "No space left on device"));
    }

    #[test]
    fn handles_are_bounded_and_are_not_each_other_s() {
        let mut client = Client::new();
        client.server.handles = Handles::bounded(5);
        let all: Vec<_> = (0..5).map(|_| client.open(".", READ).expect("room")).collect();
        assert_eq!(client.open(".", READ).expect_err("no room"), Failure::TOO_MANY);
        assert_eq!(client.ask(Request::OpenDir(b"/")).expect_err("no room"), Failure::TOO_MANY);
        client.ask(Request::Close(all[0])).expect("it is open");
        assert_eq!(client.ask(Request::Close(all[0])).expect_err("it is closed"), Failure::NO_HANDLE);
        let next = client.open(".", READ).expect("room");
        assert!(!all.contains(&next), "given out twice");
        assert_eq!(client.ask(Request::ReadDir(next)).expect_err("a file's"), Failure::NO_HANDLE);
        assert_eq!(client.ask(Request::FStat(None)).expect_err("no handle"), Failure::NO_HANDLE);
    }

    #[test]
    fn copies_within_the_server_end() {
        let mut client = Client::new();
        let text: Vec<u8> = (0..600_000).map(|index| (index % 251) as u8).collect();
        fs::write(client.directory.path().join("from"), &text).expect("a file");
        let from = client.open("from", READ | WRITE).expect("a file");
        let to = client.open("to", WRITE | CREATE).expect("a file");
        client.copy(from, 100, 0, to, 7).expect("to the end");
        let copied = fs::read(client.directory.path().join("to")).expect("a file");
        assert!(copied[..7] == [0; 7] && copied[7..] == text[100..]);
        assert_eq!(client.copy(from, 0, 0, from, 5).expect_err("onto itself"), Failure::OVERLAP);
        client.copy(from, 0, 10, from, 10).expect("beside each other");
        let copied = fs::read(client.directory.path().join("from")).expect("a file");
        assert!(copied.len() == text.len() && copied[10..20] == text[..10]);
        // By another handle, so it cannot be seen that it is the same file: it ends where the file ended.
        let again = client.open("from", WRITE).expect("a file");
        client.copy(from, 0, 0, again, text.len() as u64).expect("twice as long");
        assert_eq!(fs::metadata(client.directory.path().join("from")).expect("a file").len(), 2 * text.len() as u64);
        // A file of the kernel's, which has no size.
        let path = "/proc/self/status";
        let status = client.open(path, READ).expect("a process");
        let to = client.open("status", WRITE | CREATE).expect("a file");
        client.copy(status, 0, 0, to, 0).expect("to the end");
        assert!(fs::read_to_string(client.directory.path().join("status")).expect("text").contains("\nPid:"));
    }

    #[test]
    fn a_digest_is_of_the_part_that_is_asked_for() {
        let mut client = Client::new();
        let text: Vec<u8> = (0..600_000).map(|index| (index % 251) as u8).collect();
        fs::write(client.directory.path().join("file"), &text).expect("a file");
        let handle = client.open("file", READ).expect("a file");
        for (offset, length, part) in
            [(0, 0, &text[..]), (0, 7, &text[..7]), (5, 300_000, &text[5..300_005]), (599_999, 9, &text[599_999..])]
        {
            let asked = client.ask(Request::Extended(Extended::Sha256 { handle, offset, length }));
            let Ok(Reply::Extended(digest)) = asked else { panic!("{asked:?}") };
            assert_eq!(digest, <sha2::Sha256 as sha2::Digest>::digest(part).to_vec(), "{offset} {length}");
        }
        let none = client.ask(Request::Extended(Extended::Sha256 { handle: None, offset: 0, length: 0 }));
        assert_eq!(none.expect_err("no handle"), Failure::NO_HANDLE);
    }

    #[test]
    fn a_digest_that_was_followed_is_of_what_the_file_holds_however_it_was_written() {
        let text: Vec<u8> = (0..9000).map(|index| (index % 251) as u8).collect();
        let (first, rest) = text.split_at(4000);
        // Each a list of offsets and contents; the text is what comes of all of them.
        let orders: [&[(u64, &[u8])]; 4] = [
            &[(0, first), (4000, rest)],
            &[(4000, rest), (0, first)],
            &[(0, rest), (0, first), (4000, rest)],
            &[(0, first), (4000, b"other"), (4000, rest)],
        ];
        for (index, writes) in orders.into_iter().enumerate() {
            let mut client = Client::new();
            let handle = client.open("file", READ | WRITE | CREATE).expect("a file");
            client.ask(Request::Extended(Extended::FollowSha256(handle))).expect("a file");
            for &(offset, data) in writes {
                client.ask(Request::Write { handle, offset, data }).expect("room");
            }
            for length in [0, 9000, 4000, 9000] {
                let asked = client.ask(Request::Extended(Extended::Sha256 { handle, offset: 0, length }));
                let Ok(Reply::Extended(digest)) = asked else { panic!("{asked:?}") };
                let part = if length == 4000 { first } else { &text[..] };
                assert_eq!(digest, <sha2::Sha256 as sha2::Digest>::digest(part).to_vec(), "{index} {length}");
            }
            let shorter = Attributes { size: Some(7), ..Attributes::default() };
            client.ask(Request::FSetStat { handle, attributes: shorter }).expect("ours");
            let asked = client.ask(Request::Extended(Extended::Sha256 { handle, offset: 0, length: 0 }));
            let Ok(Reply::Extended(digest)) = asked else { panic!("{asked:?}") };
            assert_eq!(digest, <sha2::Sha256 as sha2::Digest>::digest(&text[..7]).to_vec(), "{index}");
        }
    }

    #[test]
    fn a_digest_that_was_followed_is_of_what_was_read() {
        let mut client = Client::new();
        let text: Vec<u8> = (0..9000).map(|index| (index % 251) as u8).collect();
        let file = client.directory.path().join("file");
        for reads in [&[(0, 4000), (4000, 5000)][..], &[(4000, 5000), (0, 4000)], &[(0, 4000), (0, 9000), (5, 1)]] {
            fs::write(&file, &text).expect("a file");
            let handle = client.open("file", READ).expect("a file");
            client.ask(Request::Extended(Extended::FollowSha256(handle))).expect("a file");
            for &(offset, length) in reads {
                let read = client.ask(Request::Read { handle, offset, length });
                assert!(matches!(read, Ok(Reply::Data(_))), "{read:?}");
            }
            let asked = client.ask(Request::Extended(Extended::Sha256 { handle, offset: 0, length: 9000 }));
            let Ok(Reply::Extended(digest)) = asked else { panic!("{asked:?}") };
            assert_eq!(digest, <sha2::Sha256 as sha2::Digest>::digest(&text).to_vec(), "{reads:?}");
        }
        let none = client.ask(Request::Extended(Extended::FollowSha256(None)));
        assert_eq!(none.expect_err("no handle"), Failure::NO_HANDLE);
    }

    #[test]
    fn attributes_of_links_themselves() {
        let mut client = Client::new();
        let (file, link) = (client.path("file"), client.path("link"));
        fs::write(client.directory.path().join("file"), b"text").expect("a file");
        client.ask(Request::SymLink { target: b"file", link: &link }).expect("a link");
        let to = Attributes { times: Some((5, 6)), ..Attributes::default() };
        client.ask(Request::Extended(Extended::LSetStat { path: &link, attributes: to })).expect("times");
        let mtime = |name: &str| fs::symlink_metadata(client.directory.path().join(name)).expect("a file").mtime();
        assert!(mtime("link") == 6 && mtime("file") > 6);
        let to = Attributes { size: Some(2), mode: Some(0o600), ..Attributes::default() };
        client.ask(Request::SetStat { path: &link, attributes: to }).expect("through the link");
        let Ok(Reply::Attributes(told)) = client.ask(Request::Stat(&file)) else { panic!("attributes") };
        assert_eq!((told.size, told.mode), (Some(2), Some(0o100_600)));
        let Ok(Reply::Attributes(told)) = client.ask(Request::LStat(&link)) else { panic!("attributes") };
        assert_eq!((told.size, told.times), (Some(4), Some((told.times.expect("times").0, 6))));
        let refused = client.ask(Request::Extended(Extended::LSetStat { path: &link, attributes: to }));
        assert_eq!(refused.expect_err("a link's size").code, Code::OpUnsupported);
    }

    #[test]
    fn numbers_of_users_have_names_and_users_have_homes() {
        let mut client = Client::new();
        let users = [0_u32.to_be_bytes(), 4_000_000_000_u32.to_be_bytes()].concat();
        let Ok(Reply::Extended(fields)) =
            client.ask(Request::Extended(Extended::UsersGroups { users: &users, groups: b"" }))
        else {
            panic!("names")
        };
        assert_eq!(fields, b"\0\0\0\x0c\0\0\0\x04root\0\0\0\0\0\0\0\0");
        let mut path = |request| match client.ask(Request::Extended(request)) {
            Ok(Reply::Names(names)) => Ok(String::from_utf8(names[0].name.clone()).expect("text")),
            Ok(other) => panic!("{other:?}"),
            Err(failure) => Err(failure.code),
        };
        assert_eq!(path(Extended::HomeDirectory(b"daemon")), Ok("/usr/sbin".to_owned()));
        assert_eq!(path(Extended::ExpandPath(b"~daemon/../x")), Ok("/usr/x".to_owned()));
        assert_eq!(path(Extended::ExpandPath(b"/usr/./sbin/")), Ok("/usr/sbin".to_owned()));
        assert_eq!(path(Extended::ExpandPath(b"~no-such-user/x")), Err(Code::NoSuchFile));
    }
}
