//! What a session sees of the container's environment.

pub mod files;
pub(crate) mod quote;

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use fargate_contract::grant::VARIABLES;

use crate::accounts::User;

/// Names with their values, exact bytes.
pub type Variables = Vec<(OsString, OsString)>;

/// PATH where the image sets none.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The container's environment, less the grant's variables.
#[must_use]
pub fn of_container(process: impl IntoIterator<Item = (OsString, OsString)>) -> Variables {
    process.into_iter().filter(|(name, _)| VARIABLES.iter().all(|secret| name != secret)).collect()
}

/// Whether a client may set a variable (RFC 4254, section 6.4): every name but those that steer the dynamic linker and those
/// with a leading underscore, which are the shell's and the grant's. The session belongs to the client anyway; this keeps it
/// from harming itself unawares.
#[must_use]
pub fn client_may_set(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('_') && !name.starts_with("LD_") && !name.contains(['=', '\0'])
}

/// What one session adds to the container's environment.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) user: &'a User,
    /// Accepted `env` requests, in their order.
    pub(crate) from_client: &'a [(String, String)],
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    /// TERM and the terminal's path.
    pub(crate) terminal: Option<(&'a str, &'a Path)>,
    /// The socket that leads to the client's agent.
    pub(crate) agent: Option<&'a Path>,
}

/// A session's environment: the container's, under what the client sent, under what the login fixes.
pub(crate) fn of_session(container: &Variables, session: &Session<'_>) -> Variables {
    let mut variables = container.clone();
    for (name, value) in session.from_client {
        set(&mut variables, name, value);
    }
    let Session { user, peer, local, .. } = session;
    let (from, to) = (peer.ip().to_canonical(), local.ip().to_canonical());
    set(&mut variables, "HOME", &user.home);
    set(&mut variables, "USER", &user.name);
    set(&mut variables, "LOGNAME", &user.name);
    set(&mut variables, "SHELL", &user.shell);
    set(&mut variables, "SSH_CLIENT", format!("{from} {} {}", peer.port(), local.port()));
    set(&mut variables, "SSH_CONNECTION", format!("{from} {} {to} {}", peer.port(), local.port()));
    if let Some((term, path)) = session.terminal {
        if !term.is_empty() {
            set(&mut variables, "TERM", term);
        }
        set(&mut variables, "SSH_TTY", path);
    }
    if let Some(agent) = session.agent {
        set(&mut variables, "SSH_AUTH_SOCK", agent);
    }
    if variables.iter().all(|(name, _)| name != "PATH") {
        set(&mut variables, "PATH", DEFAULT_PATH);
    }
    variables
}

/// The directory that the container was started in, which is the image's WORKDIR; `None` for `/`, where no image that names one
/// leaves it.
pub(crate) fn own_directory() -> Option<PathBuf> {
    std::env::current_dir().ok().filter(|directory| directory != Path::new("/"))
}

/// Where a session starts: in the image's WORKDIR, where the application is; without one at home; without a home at the root.
pub(crate) fn start_directory(home: &Path) -> PathBuf {
    let home = Some(home.to_owned()).filter(|home| home.is_dir());
    own_directory().or(home).unwrap_or_else(|| PathBuf::from("/"))
}

fn set(variables: &mut Variables, name: &str, value: impl AsRef<OsStr>) {
    variables.retain(|(key, _)| key != name);
    variables.push((name.into(), value.as_ref().to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Accounts;

    fn value<'a>(variables: &'a Variables, name: &str) -> Option<&'a OsStr> {
        variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }

    #[test]
    fn the_login_wins_over_the_client_over_the_container() {
        let process =
            [("_AUTHORIZED_PUBLIC_KEY", "k"), ("_FARGATE_LOGIN_HOST_SEED", "s"), ("HOME", "/srv"), ("A", "1\n'2")];
        let container = of_container(process.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(container.len(), 2);
        let user = Accounts::read(&container).own_user();
        let from_client = [("A".to_owned(), "2".to_owned()), ("HOME".to_owned(), "/evil".to_owned())];
        let address = "[::ffff:192.0.2.1]:5".parse().expect("an address");
        let terminal = Some(("xterm", Path::new("/dev/pts/3")));
        let session =
            Session { user: &user, from_client: &from_client, peer: address, local: address, terminal, agent: None };
        let variables = of_session(&container, &session);
        assert_eq!(value(&variables, "A"), Some(OsStr::new("2")));
        assert_eq!(value(&variables, "HOME"), Some(OsStr::new("/srv")));
        assert_eq!(value(&variables, "SSH_CONNECTION"), Some(OsStr::new("192.0.2.1 5 192.0.2.1 5")));
        assert_eq!(value(&variables, "SSH_TTY"), Some(OsStr::new("/dev/pts/3")));
        assert_eq!(value(&variables, "PATH"), Some(OsStr::new(DEFAULT_PATH)));
    }

    #[test]
    fn clients_set_what_is_harmless() {
        for name in ["LANG", "LC_ALL", "TERM", "COLORTERM", "EDITOR"] {
            assert!(client_may_set(name), "{name}");
        }
        for name in ["", "_", "_FARGATE_LOGIN_RUN", "LD_PRELOAD", "A=B", "A\0"] {
            assert!(!client_may_set(name), "{name:?}");
        }
    }
}
