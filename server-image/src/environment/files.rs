//! Writing the container's environment where other logins of its user find it: an OpenSSH session, a login shell, cron. What
//! those files held before stays: ours is one marked block in each.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Variables;
use super::quote::{is_shell_name, joined, openssh_line, pam_line, shell_word};
use crate::accounts::Accounts;
use crate::log::{Event, Log};

/// First and last line of our block; a comment in every one of these files.
const BEGIN: &[u8] = b"# fargate-login begin\n";
const END: &[u8] = b"# fargate-login end\n";

/// A login has its own of these.
const OF_A_LOGIN: [&str; 9] = ["HOME", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "SHLVL", "TERM", "_"];

/// The file of exports, below HOME.
const EXPORTS: &str = ".fargate-login.sh";
/// Start-up files of login shells below HOME. Bash reads only the first of those that exist, so all that do get a block.
const BASH_PROFILES: [&str; 2] = [".bash_profile", ".bash_login"];
const PROFILE: &str = ".profile";

/// Only its owner may read a file that holds the environment, which holds passwords.
const SECRET: u32 = 0o600;
/// Mode of a start-up file that we create: it only names another file.
const PUBLIC: u32 = 0o644;
/// OpenSSH wants its directory to be private.
const SSH_DIRECTORY: u32 = 0o700;

/// One file to write.
struct Target {
    path: PathBuf,
    block: Vec<u8>,
    /// `None` keeps the mode of a file that exists.
    mode: Option<u32>,
}

/// Writes the environment of the container's own user below HOME and, when the machine is ours, below `/etc`. What cannot be
/// written, as on a read-only file system, is told in one event; sessions of ours have the environment anyway.
pub fn write(container: &Variables, owns_machine: bool, log: &Log) {
    let home = Accounts::read(container).own_user().home;
    let mut targets = below_home(container, &home);
    if owns_machine {
        targets.extend(below_etc(container));
    }
    let (mut written, mut not_written, mut first_error) = (Vec::new(), Vec::new(), None);
    for target in targets {
        let path = target.path.display().to_string();
        match target.write() {
            Ok(()) => written.push(path),
            Err(error) => {
                not_written.push(path);
                first_error.get_or_insert(error);
            }
        }
    }
    if !written.is_empty() {
        log.write(&Event::EnvironmentWritten { paths: written });
    }
    if let Some(error) = first_error {
        log.write(&Event::EnvironmentNotWritten { paths: not_written, error: error.to_string() });
    }
}

fn below_home(container: &Variables, home: &Path) -> Vec<Target> {
    let exports = home.join(EXPORTS);
    let source = joined(&[OsStr::new(". "), &shell_word(exports.as_os_str()), OsStr::new("\n")]).as_bytes().to_vec();
    let mut targets = vec![
        Target { path: home.join(".ssh/environment"), block: lines(container, openssh_line), mode: Some(SECRET) },
        Target { path: exports, block: lines(container, export_line), mode: Some(SECRET) },
        Target { path: home.join(PROFILE), block: source.clone(), mode: None },
    ];
    let existing = BASH_PROFILES.map(|name| home.join(name)).into_iter().filter(|path| path.exists());
    targets.extend(existing.map(|path| Target { path, block: source.clone(), mode: None }));
    targets
}

fn below_etc(container: &Variables) -> [Target; 2] {
    let exports = lines(container, export_line);
    [
        Target { path: "/etc/environment".into(), block: lines(container, pam_line), mode: Some(SECRET) },
        Target { path: "/etc/profile.d/fargate-login.sh".into(), block: exports, mode: Some(SECRET) },
    ]
}

fn lines(container: &Variables, line: impl Fn(&OsStr, &OsStr) -> Option<OsString>) -> Vec<u8> {
    let ours = container.iter().filter(|(name, _)| OF_A_LOGIN.iter().all(|other| name != other));
    let mut text = Vec::new();
    for line in ours.filter_map(|(name, value)| line(name, value)) {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    text
}

/// A line for a login shell. What the login has already, a session's own variables among it, is left alone; PATH is not,
/// because `/etc/profile` replaces the image's by a default.
fn export_line(name: &OsStr, value: &OsStr) -> Option<OsString> {
    is_shell_name(name).then(|| {
        let export = joined(&[OsStr::new("export "), name, OsStr::new("="), &shell_word(value)]);
        if name == "PATH" {
            return export;
        }
        joined(&[OsStr::new("[ -n \"${"), name, OsStr::new("+set}\" ] || "), &export])
    })
}

impl Target {
    fn write(&self) -> io::Result<()> {
        if let Some(directory) = self.path.parent().filter(|path| path.ends_with(".ssh") && !path.exists()) {
            DirBuilder::new().mode(SSH_DIRECTORY).create(directory)?;
        }
        // A link stays a link; what it leads to is replaced.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let (existing, found) = match fs::read(&path) {
            Ok(text) => (text, Some(fs::metadata(&path)?.permissions().mode())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), None),
            Err(error) => return Err(error),
        };
        let mode = self.mode.or(found).unwrap_or(PUBLIC);
        let mut beside = path.clone().into_os_string();
        beside.push(".fargate-login-new");
        // Left behind by a container that was killed while it wrote: the file system outlived it.
        let _ = fs::remove_file(&beside);
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
            file.write_all(&with_block(&existing, &self.block))?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            fs::rename(&beside, &path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    }
}

/// A file's text with our block in the place of an older one, or at its end.
fn with_block(existing: &[u8], block: &[u8]) -> Vec<u8> {
    let find = |text: &[u8], wanted: &[u8]| text.windows(wanted.len()).position(|window| window == wanted);
    let old = find(existing, BEGIN).and_then(|begin| {
        let end = find(&existing[begin..], END)?;
        Some((begin, begin + end + END.len()))
    });
    let (before, after) = old.map_or((existing, &[][..]), |(begin, end)| (&existing[..begin], &existing[end..]));
    let line_end: &[u8] = if before.is_empty() || before.ends_with(b"\n") { b"" } else { b"\n" };
    [before, line_end, BEGIN, block, END, after].concat()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn quiet() -> Log {
        Log::new(None, Box::new(io::sink()))
    }

    fn container(home: &Path, more: &[(&str, &str)]) -> Variables {
        let mut variables = vec![("HOME".into(), home.into())];
        variables.extend(more.iter().map(|(name, value)| (name.into(), value.into())));
        variables
    }

    #[test]
    fn a_login_shell_reads_exact_values() {
        let home = tempfile::tempdir().expect("a directory");
        let value = "it's \"x\"\n$HOME `y` \u{e9}\\";
        write(&container(home.path(), &[("A", value), ("B", "theirs"), ("PATH", "/image/bin:/bin")]), false, &quiet());
        let output = Command::new("/bin/sh")
            .args(["-lc", "printf %s. \"$A\"; printf %s. \"$B\" \"$PATH\""])
            .env_clear()
            .envs([("HOME", home.path().as_os_str()), ("B", OsStr::new("mine"))])
            .output()
            .expect("a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{value}.mine./image/bin:/bin."));
        let ssh = fs::read_to_string(home.path().join(".ssh/environment")).expect("a file");
        assert_eq!(
            ssh.lines().collect::<Vec<_>>()[1..3],
            ["B=theirs", "PATH=/image/bin:/bin"],
            "A cannot be expressed"
        );
        let modes = [".ssh", ".ssh/environment", EXPORTS, PROFILE]
            .map(|name| fs::metadata(home.path().join(name)).expect("a file").permissions().mode() & 0o777);
        assert_eq!(modes, [0o700, 0o600, 0o600, 0o644]);
    }

    #[test]
    fn what_was_there_stays() {
        let home = tempfile::tempdir().expect("a directory");
        let profile = home.path().join(PROFILE);
        fs::write(&profile, "umask 077").expect("a file");
        fs::set_permissions(&profile, fs::Permissions::from_mode(0o640)).expect("a mode");
        for value in ["one", "two"] {
            write(&container(home.path(), &[("A", value)]), false, &quiet());
        }
        let text = fs::read_to_string(&profile).expect("a file");
        assert!(text.starts_with("umask 077\n# fargate-login begin\n") && text.matches("begin").count() == 1, "{text}");
        assert_eq!(fs::metadata(&profile).expect("a file").permissions().mode() & 0o777, 0o640);
        let exports = fs::read_to_string(home.path().join(EXPORTS)).expect("a file");
        assert!(exports.contains("'two'") && !exports.contains("'one'"), "{exports}");
    }

    #[test]
    fn blocks_are_replaced_in_place() {
        let once = with_block(b"a\n", b"x\n");
        let mut later = once.clone();
        later.extend_from_slice(b"b\n");
        assert_eq!(with_block(&later, b"yy\n"), [b"a\n", BEGIN, b"yy\n", END, b"b\n"].concat());
        assert_eq!(with_block(b"", b""), [BEGIN, END].concat());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_once() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let log = Log::new(None, Box::new(writer));
        write(&container(Path::new("/proc/nowhere"), &[]), false, &log);
        drop(log);
        let text = io::read_to_string(&mut reader).expect("text");
        assert_eq!((text.lines().count(), text.matches("environment_not_written").count()), (1, 1), "{text}");
    }
}
