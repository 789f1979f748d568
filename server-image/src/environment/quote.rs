//! Quoting for the files that others read: a shell, `pam_env`, OpenSSH. `None` where a form cannot express a value exactly.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// A word for any POSIX shell, exact for every value: nothing is special between single quotes but their end.
pub(crate) fn shell_word(value: &OsStr) -> OsString {
    let mut word = vec![b'\''];
    for byte in value.as_bytes() {
        match byte {
            b'\'' => word.extend_from_slice(b"'\\''"),
            other => word.push(*other),
        }
    }
    word.push(b'\'');
    OsString::from_vec(word)
}

/// Whether a shell takes this as a variable's name.
pub(super) fn is_shell_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    bytes.iter().all(word) && bytes.first().is_some_and(|first| !first.is_ascii_digit())
}

/// A line of `~/.ssh/environment` (sshd(8)): `NAME=value` up to the line's end, nothing is quoted.
pub(super) fn openssh_line(name: &OsStr, value: &OsStr) -> Option<OsString> {
    let plain = |text: &OsStr| !text.as_bytes().contains(&b'\n');
    let starts_well = name.as_bytes().first().is_some_and(|first| !b"# \t".contains(first));
    (plain(name) && plain(value) && starts_well).then(|| joined(&[name, OsStr::new("="), value]))
}

/// A line of `/etc/environment` (pam_env(8)): `NAME="value"`; quotes cannot be escaped and `#` begins a comment.
pub(super) fn pam_line(name: &OsStr, value: &OsStr) -> Option<OsString> {
    let expressible = !value.as_bytes().iter().any(|byte| b"\n\"#\\".contains(byte));
    (is_shell_name(name) && expressible).then(|| joined(&[name, OsStr::new("=\""), value, OsStr::new("\"")]))
}

pub(super) fn joined(parts: &[&OsStr]) -> OsString {
    parts.iter().fold(OsString::new(), |mut whole, part| {
        whole.push(part);
        whole
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_back_every_byte() {
        let every_byte: Vec<u8> = (1..=255).collect();
        let values: [&[u8]; 6] =
            [b"", b"it's", b"a\nb\n", b"$(x) `y` \\ \"", "\u{e9}\u{1f600}".as_bytes(), &every_byte];
        for value in values {
            let word = shell_word(OsStr::from_bytes(value));
            let script = joined(&[OsStr::new("A="), &word, OsStr::new("; printf %s. \"$A\"")]);
            let output = Command::new("/bin/sh").arg("-c").arg(&script).output().expect("a shell");
            assert_eq!(output.stdout, [value, b"."].concat(), "{word:?}");
        }
    }

    #[test]
    fn what_cannot_be_expressed_is_left_out() {
        let line = |value: &str| pam_line(OsStr::new("A"), OsStr::new(value));
        assert_eq!(line("x y").expect("plain"), "A=\"x y\"");
        assert_eq!(
            [line("a\nb"), line("\""), line("#"), pam_line(OsStr::new("A-B"), OsStr::new("x"))],
            [const { None }; 4]
        );
        let line = |name: &str, value: &str| openssh_line(OsStr::new(name), OsStr::new(value));
        assert_eq!(line("A.B", "\"#x\"").expect("plain"), "A.B=\"#x\"");
        assert_eq!([line("A", "a\nb"), line("#A", "x"), line("", "x")], [const { None }; 3]);
        let names = ["A", "_a1", "1a", "a-b", "", "BASH_FUNC_x%%"].map(|name| is_shell_name(OsStr::new(name)));
        assert_eq!(names, [true, true, false, false, false, false]);
    }
}
