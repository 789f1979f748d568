//! Where a copy comes from and goes to, as it is written on the command line.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::error::Advice;

/// What stands before a path of the task.
const TASK: &[u8] = b"_:";
const STREAM: &[u8] = b"-";

/// One end of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `_:PATH`: in the task. Paths are bytes; one that does not begin with `/` is looked for where sessions start.
    Task(Vec<u8>),
    /// A path here.
    Local(PathBuf),
    /// `-`: our standard input or output.
    Stream,
}

impl Place {
    /// Reads a place. A local file called `-`, or one that begins with `_:`, is written with `./` before it.
    #[must_use]
    pub fn parse(word: OsString) -> Self {
        let bytes = word.as_bytes();
        match bytes.strip_prefix(TASK) {
            Some(b"") => Self::Task(b".".to_vec()),
            Some(path) => Self::Task(path.to_vec()),
            None if bytes == STREAM => Self::Stream,
            None => Self::Local(PathBuf::from(word)),
        }
    }
}

/// Our own end of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// A file or a directory.
    Path(PathBuf),
    /// Standard input or output.
    Stream,
}

/// Which way a copy goes: one side is the task's, the other ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the task.
    ToTask {
        /// From where.
        sources: Vec<Local>,
        /// To where in the task.
        destination: Vec<u8>,
    },
    /// Out of the task.
    FromTask {
        /// From where in the task.
        sources: Vec<Vec<u8>>,
        /// To where.
        destination: Local,
    },
}

/// Places that no copy goes between.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Less than two places.
    #[error("a copy has a source and a destination")]
    Missing,
    /// Nothing is the task's.
    #[error("neither side is in the task")]
    NoneInTask,
    /// Everything is the task's.
    #[error("both sides are in the task")]
    BothInTask,
    /// Sources of both sides.
    #[error("some sources are in the task, some are here")]
    Mixed,
    /// A stream beside other sources.
    #[error("standard input is one source of several")]
    StreamAmongOthers,
}

impl Advice for PlaceError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Missing | Self::NoneInTask => {
                "`_:` stands before a path in the task: `cp FILE _:/tmp/` or `cp _:/tmp/FILE .`"
            }
            Self::BothInTask => "within the task, its own `cp` copies: `fargate-login ... -- cp A B`",
            Self::Mixed => "copy into the task and out of it one after the other",
            Self::StreamAmongOthers => "a stream is the only source: `cp - _:/tmp/FILE`",
        };
        vec![hint.to_owned()]
    }
}

impl Direction {
    /// Reads the places of a command line, the last of which is the destination.
    ///
    /// # Errors
    /// [`PlaceError`] when not exactly one side is the task's.
    pub fn of(mut places: Vec<Place>) -> Result<Self, PlaceError> {
        let destination = places.pop().ok_or(PlaceError::Missing)?;
        if places.is_empty() {
            return Err(PlaceError::Missing);
        }
        let several = places.len() > 1;
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for place in places {
            match place {
                Place::Task(path) => theirs.push(path),
                Place::Local(path) => ours.push(Local::Path(path)),
                Place::Stream if several => return Err(PlaceError::StreamAmongOthers),
                Place::Stream => ours.push(Local::Stream),
            }
        }
        match (destination, theirs.is_empty(), ours.is_empty()) {
            (_, false, false) => Err(PlaceError::Mixed),
            (Place::Task(_), false, true) => Err(PlaceError::BothInTask),
            (Place::Task(destination), ..) => Ok(Self::ToTask { sources: ours, destination }),
            (_, true, _) => Err(PlaceError::NoneInTask),
            (Place::Local(path), ..) => Ok(Self::FromTask { sources: theirs, destination: Local::Path(path) }),
            (Place::Stream, ..) => Ok(Self::FromTask { sources: theirs, destination: Local::Stream }),
        }
    }
}

/// The last name of a path; `None` where it is the root, `.` or `..`: then it is the contents that are meant.
pub(super) fn base_name(path: &[u8]) -> Option<&[u8]> {
    let end = path.iter().rposition(|byte| *byte != b'/')?;
    let path = path.get(..=end)?;
    let name = path.rsplit(|byte| *byte == b'/').next()?;
    (!matches!(name, b"." | b"..")).then_some(name)
}

/// A name within a directory, on the task's side.
pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if directory.is_empty() || directory.ends_with(b"/") { b"" } else { b"/" };
    [directory, slash, name].concat()
}

/// The directory that a name stands in, with the slash behind it, and the name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    path.split_at(at)
}

/// Whether a server may call a file so: one name, not a way to somewhere else.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !matches!(name, b"." | b"..") && !name.contains(&b'/') && !name.contains(&0)
}

/// A path for the user's eyes: what a terminal would take for a command is written out.
pub(super) fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    let escaped: String =
        text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
    format!("`{escaped}`")
}

pub(super) fn shown_local(path: &Path) -> String {
    shown(path.as_os_str().as_bytes())
}

pub(super) fn local_name(name: &[u8]) -> OsString {
    OsString::from_vec(name.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_tasks_ours_or_a_stream() {
        let parsed = |word: &[u8]| Place::parse(OsString::from_vec(word.to_vec()));
        assert_eq!(parsed(b"_:/a b\n\xff"), Place::Task(b"/a b\n\xff".to_vec()));
        assert_eq!(parsed(b"_:"), Place::Task(b".".to_vec()));
        assert_eq!(parsed(b"-"), Place::Stream);
        assert_eq!(parsed(b"./-"), Place::Local("./-".into()));
        assert_eq!(parsed(b"./_:x"), Place::Local("./_:x".into()));
        assert_eq!(parsed(b"host:x"), Place::Local("host:x".into()), "only `_` is the task");
    }

    #[test]
    fn exactly_one_side_is_the_tasks() {
        let of = |words: &[&str]| Direction::of(words.iter().map(|word| Place::parse(OsString::from(word))).collect());
        let here = |path: &str| Local::Path(PathBuf::from(path));
        assert_eq!(
            of(&["a", "b", "_:c"]),
            Ok(Direction::ToTask { sources: vec![here("a"), here("b")], destination: b"c".to_vec() })
        );
        assert_eq!(
            of(&["-", "_:c"]),
            Ok(Direction::ToTask { sources: vec![Local::Stream], destination: b"c".to_vec() })
        );
        assert_eq!(
            of(&["_:a", "-"]),
            Ok(Direction::FromTask { sources: vec![b"a".to_vec()], destination: Local::Stream })
        );
        assert_eq!(of(&["_:a", "."]), Ok(Direction::FromTask { sources: vec![b"a".to_vec()], destination: here(".") }));
        for (words, error) in [
            (&["a"][..], PlaceError::Missing),
            (&[], PlaceError::Missing),
            (&["a", "b"], PlaceError::NoneInTask),
            (&["-", "-"], PlaceError::NoneInTask),
            (&["_:a", "_:b"], PlaceError::BothInTask),
            (&["_:a", "b", "_:c"], PlaceError::Mixed),
            (&["_:a", "b", "c"], PlaceError::Mixed),
            (&["-", "a", "_:c"], PlaceError::StreamAmongOthers),
        ] {
            assert_eq!(of(words), Err(error), "{words:?}");
        }
    }

    #[test]
    fn the_last_name_is_what_a_directory_gets() {
        for (path, name) in [
            ("a", Some("a")),
            ("/x/a", Some("a")),
            ("a//", Some("a")),
            (".", None),
            ("x/..", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(base_name(path.as_bytes()), name.map(str::as_bytes), "{path}");
        }
        assert_eq!(join(b"/", b"a"), b"/a");
        assert_eq!(join(b"x", b"a"), b"x/a");
        assert_eq!(split(b"/x/a"), (&b"/x/"[..], &b"a"[..]));
        assert_eq!(split(b"a"), (&b""[..], &b"a"[..]));
    }

    #[test]
    fn a_server_names_no_way_out_of_a_directory() {
        for name in [&b"a"[..], b"..a", b"\xff\n", b"-"] {
            assert!(is_name(name), "{name:?}");
        }
        for name in [&b""[..], b".", b"..", b"../a", b"/etc/passwd", b"a/b", b"a\0"] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_path_commands_no_terminal() {
        assert_eq!(shown("a ü\n\x1b[2J".as_bytes()), "`a ü\\n\\u{1b}[2J`");
    }
}
