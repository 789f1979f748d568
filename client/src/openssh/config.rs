//! The Host block for OpenSSH: printed, or written into a file of its own that the user's configuration includes.

use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::directory::{self, AGENT, DirectoryError, KNOWN_HOSTS};
use crate::error::{Advice, EXIT_FAILURE, EXIT_USAGE};
use crate::options::{HostKeyMode, SshConfigOptions};
use crate::plan::{self, DEFAULT_USER, PlanError, START_TIMEOUT};
use crate::ui::Ui;

/// First line of every file that we write, by which we know it again.
const MARK: &str = "# Written by `fargate-login ssh-config`, which writes over it.";
/// Where the files are, below `~/.ssh`, and what includes them.
const DIRECTORY: &str = "fargate-login";
const INCLUDE: &str = "Include fargate-login/*.conf";
/// Only the owner may write where OpenSSH reads commands from (ssh_config, FILES).
const DIRECTORY_MODE: u32 = 0o700;

/// Why there is no block.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There would be no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// OpenSSH's configuration has no way to write this.
    #[error("`{0}` cannot be written into OpenSSH's configuration")]
    Unwritable(String),
    /// Our own executable is not known.
    #[error("our own executable is not known: {0}")]
    Executable(io::Error),
    /// There is no home directory to write below.
    #[error("HOME is not set")]
    NoHome,
    /// Somebody else's file is there.
    #[error("{} is not a file of ours, and stays", .0.display())]
    NotOurs(PathBuf),
    /// A directory or file cannot be made.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Standard output is closed.
    #[error("standard output: {0}")]
    Output(io::Error),
}

impl Advice for ConfigError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Plan(error) => error.hints(),
            Self::Directory(error) => error.hints(),
            Self::Unwritable(_) => vec!["it holds quotes, backslashes, `${` or line ends".to_owned()],
            Self::NotOurs(_) => vec!["move it away, or choose another `--host`".to_owned()],
            Self::NoHome => vec!["without `--write` the block is printed".to_owned()],
            Self::Executable(_) | Self::Output(_) => Vec::new(),
        }
    }
}

/// Prints or writes the block. Returns the exit status of the program.
#[must_use]
pub fn run(options: &SshConfigOptions, ui: &Ui) -> u8 {
    let Err(error) = give(options, ui) else { return 0 };
    ui.error(&error);
    if matches!(error, ConfigError::Plan(_)) { EXIT_USAGE } else { EXIT_FAILURE }
}

fn give(options: &SshConfigOptions, ui: &Ui) -> Result<(), ConfigError> {
    let login = &options.login;
    // The others name what only AWS, or the stand-in to be, can tell.
    if login.from.is_none() && login.like_service.is_none() && login.local.is_none() {
        plan::check(login)?;
    }
    let executable = std::env::current_exe().map_err(ConfigError::Executable)?;
    let text = block(options, &executable)?;
    if !options.write {
        return io::stdout().write_all(text.as_bytes()).map_err(ConfigError::Output);
    }
    let ssh = options.home.as_ref().ok_or(ConfigError::NoHome)?.join(".ssh");
    let file = write(&ssh, &options.host.name, &text)?;
    ui.note(&format!("{} is written", file.display()));
    if !includes(&ssh.join("config")) {
        ui.note(&format!("for OpenSSH to read it, put this line at the top of ~/.ssh/config: {INCLUDE}"));
    }
    Ok(())
}

/// The block. What a user's `Host *` may say against it is said here first: of several values OpenSSH takes the first.
fn block(options: &SshConfigOptions, executable: &Path) -> Result<String, ConfigError> {
    let (host, login) = (&options.host, &options.login);
    let executable = executable.display().to_string();
    let words = std::iter::once(executable.as_str()).chain(options.proxy_arguments.iter().map(String::as_str));
    let command = words.map(word).collect::<Result<Vec<_>, _>>()?.join(" ");
    let user = value(login.user.as_deref().unwrap_or(DEFAULT_USER))?;
    let path = |name: &str| value(&host.directory.join(name).display().to_string());
    let (agent, known_hosts) = (path(AGENT)?, path(KNOWN_HOSTS)?);
    let checking = match login.host_key.unwrap_or(HostKeyMode::Pinned) {
        HostKeyMode::Pinned | HostKeyMode::Logs => "StrictHostKeyChecking yes\n    HostKeyAlgorithms ssh-ed25519",
        HostKeyMode::AcceptNew => "StrictHostKeyChecking accept-new",
    };
    let name = &host.name;
    // The task has this long to answer, all of which OpenSSH waits for the identification string.
    let timeout = login.start_timeout.unwrap_or(START_TIMEOUT).as_secs().max(1);
    Ok(format!(
        "{MARK}
Host {name}
    ProxyCommand {command}
    User {user}
    IdentityAgent {agent}
    IdentityFile none
    IdentitiesOnly no
    PreferredAuthentications publickey
    PubkeyAuthentication yes
    ForwardAgent no
    HostKeyAlias {name}
    UserKnownHostsFile {known_hosts}
    GlobalKnownHostsFile /dev/null
    {checking}
    UpdateHostKeys no
    VerifyHostKeyDNS no
    CheckHostIP no
    CanonicalizeHostname no
    ConnectTimeout {timeout}
    ServerAliveInterval 15
    ServerAliveCountMax 3
"
    ))
}

/// A word of the ProxyCommand: quoted for the shell that runs it, with `%` doubled for OpenSSH, which has tokens there.
fn word(text: &str) -> Result<String, ConfigError> {
    let unwritable = || ConfigError::Unwritable(text.to_owned());
    // The value of a keyword ends with its line.
    if text.contains(['\n', '\r']) {
        return Err(unwritable());
    }
    Ok(shlex::try_quote(text).map_err(|_| unwritable())?.replace('%', "%%"))
}

/// A path or a name as the value of a keyword.
fn value(text: &str) -> Result<String, ConfigError> {
    if text.contains(['"', '\\', '\n', '\r']) || text.contains("${") {
        return Err(ConfigError::Unwritable(text.to_owned()));
    }
    let text = text.replace('%', "%%");
    Ok(if text.contains([' ', '\t', '#', '\'']) { format!("\"{text}\"") } else { text })
}

/// Writes the file of one host, unless there is one that is not ours.
fn write(ssh: &Path, host: &str, text: &str) -> Result<PathBuf, ConfigError> {
    let made = std::fs::DirBuilder::new().mode(DIRECTORY_MODE).create(ssh);
    if let Err(source) = made
        && source.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(DirectoryError::System { path: ssh.to_owned(), source }.into());
    }
    let folder = ssh.join(DIRECTORY);
    directory::private(&folder)?;
    let name = format!("{host}.conf");
    let file = folder.join(&name);
    let is_ours = match file.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Ok(found) => found.is_file() && std::fs::read_to_string(&file).is_ok_and(|text| text.starts_with(MARK)),
        Err(_) => false,
    };
    if !is_ours {
        return Err(ConfigError::NotOurs(file));
    }
    directory::write(&folder, &name, text)?;
    Ok(file)
}

/// Whether the user's configuration has our line. It is only read.
fn includes(config: &Path) -> bool {
    let text = std::fs::read_to_string(config).unwrap_or_default();
    text.lines().any(|line| line.trim().eq_ignore_ascii_case(INCLUDE))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn words_survive_the_shell_and_openssh() {
        let written = |text| word(text).expect("writable");
        assert_eq!(
            [written("-n"), written("a b"), written("100%"), written("$HOME")],
            ["-n", "'a b'", "'100%%'", "'$HOME'"]
        );
        assert!(matches!(word("two\nlines"), Err(ConfigError::Unwritable(_))));
        assert_eq!(value("/run/user/7/a").expect("writable"), "/run/user/7/a");
        assert_eq!(value("/a b/50%").expect("writable"), "\"/a b/50%%\"");
        for text in ["a\"b", "a\\b", "${HOME}/x", "a\nb"] {
            assert!(matches!(value(text), Err(ConfigError::Unwritable(_))), "{text}");
        }
    }

    #[test]
    fn only_files_of_our_own_are_written_over() {
        let home = tempfile::tempdir().expect("a directory");
        let ssh = home.path().join(".ssh");
        let first = write(&ssh, "dev", &format!("{MARK}\nHost dev\n")).expect("written");
        let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&ssh), mode(&ssh.join(DIRECTORY)), mode(&first)), (0o700, 0o700, 0o600));
        write(&ssh, "dev", &format!("{MARK}\nHost dev2\n")).expect("written over");
        assert!(std::fs::read_to_string(&first).expect("text").contains("dev2"));
        let theirs = ssh.join(DIRECTORY).join("theirs.conf");
        std::fs::write(&theirs, "Host theirs\n").expect("written");
        std::os::unix::fs::symlink(&first, ssh.join(DIRECTORY).join("link.conf")).expect("a link");
        for host in ["theirs", "link"] {
            assert!(matches!(write(&ssh, host, MARK), Err(ConfigError::NotOurs(_))), "{host}");
        }
        assert_eq!(std::fs::read_to_string(&theirs).expect("text"), "Host theirs\n");
    }

    #[test]
    fn the_include_is_found_where_it_is() {
        let home = tempfile::tempdir().expect("a directory");
        let config = home.path().join("config");
        assert!(!includes(&config));
        std::fs::write(&config, "Host *\n  include fargate-login/*.conf \n").expect("written");
        assert!(includes(&config));
    }
}
