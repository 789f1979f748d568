//! A file that is not whole yet: its name, beside the name that it is to have, and ours on the disk.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rand::RngExt as _;
use sha2::{Digest as _, Sha256};
use tempfile::TempPath;

use super::disk::{self, Sum};
use super::sftp::Attributes;

/// Longest name that is taken over into the name of its part, in bytes: file systems take 255.
const LONGEST: usize = 200;
const END: &[u8] = b".part";

/// A name that nobody else has.
pub(super) fn once(name: &[u8]) -> Vec<u8> {
    let random: u64 = rand::rng().random();
    [b".", short(name).as_slice(), format!(".{random:016x}").as_bytes(), END].concat()
}

/// The name that a copy which can be resumed looks for.
pub(super) fn resumable(name: &[u8]) -> Vec<u8> {
    [b".", short(name).as_slice(), END].concat()
}

/// A part on our own disk. Dropped, it is taken away, unless it can be resumed.
#[derive(Debug)]
pub(super) struct LocalPart {
    file: File,
    name: Name,
}

#[derive(Debug)]
enum Name {
    Once(TempPath),
    Resumable(PathBuf),
}

impl LocalPart {
    /// Where the part is, beside the place where the whole file is to be.
    pub(super) fn path_beside(place: &Path, resume: bool) -> PathBuf {
        let name = place.file_name().unwrap_or_default().as_bytes();
        let part = if resume { resumable(name) } else { once(name) };
        place.with_file_name(OsString::from_vec(part))
    }

    /// Makes the part, or opens the one that can be resumed.
    pub(super) fn open(path: PathBuf, resume: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        // Nobody else may read what is to have stricter rights in the end.
        options.read(true).write(true).mode(0o600);
        // Somebody else's link under that name is not followed.
        options.custom_flags(nix::libc::O_NOFOLLOW);
        if resume {
            let file = options.create(true).truncate(false).open(&path)?;
            return Ok(Self { file, name: Name::Resumable(path) });
        }
        let file = options.create_new(true).open(&path)?;
        Ok(Self { file, name: Name::Once(TempPath::try_from_path(path)?) })
    }

    /// What it holds; what is written next comes behind that.
    pub(super) fn sum(&mut self) -> io::Result<Sum> {
        let length = self.file.metadata()?.len();
        disk::sum_of(&mut self.file, length)
    }

    pub(super) fn empty(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()
    }

    /// Makes it like the original and gives it its name.
    pub(super) fn finish(self, place: &Path, original: &Attributes, sync: bool) -> io::Result<()> {
        disk::make_like(&self.file, original)?;
        if sync {
            self.file.sync_all()?;
        }
        match self.name {
            Name::Once(path) => path.persist(place).map_err(|error| error.error),
            Name::Resumable(path) => std::fs::rename(path, place),
        }
    }
}

impl Write for LocalPart {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        self.file.write(content)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn short(name: &[u8]) -> Vec<u8> {
    match name.get(..LONGEST) {
        None => name.to_vec(),
        Some(beginning) => {
            let digest: String = Sha256::digest(name).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            [beginning, b".", digest.as_bytes()].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_hidden_and_fit_into_a_directory() {
        assert_eq!(resumable(b"a b"), b".a b.part");
        assert_ne!(once(b"a"), once(b"a"));
        let (long, other) = ([b'x'; 255], [[b'x'; 254].as_slice(), b"y"].concat());
        assert!(once(&long).len() <= 255 && resumable(&long).len() <= 255);
        assert_ne!(resumable(&long), resumable(&other));
    }
}
