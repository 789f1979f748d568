//! The OpenSSH server of the image: where it is, and the configuration that it is started with, all of it on the command line.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fargate_contract::{Forwarding, Grant, limits};
use nix::unistd::Pid;
use russh::keys::PrivateKey;
use tokio::net::UnixListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::directory::Directory;
use super::{Known, Login, Sshds, agent};
use crate::engine::EngineError;
use crate::environment::{Variables, quote::shell_word};
use crate::log::{Event, Log};
use crate::settings::{KEEPALIVE_INTERVAL, KEEPALIVE_MAX};
use crate::spawner::Spawner;
use crate::{init, roles, sys};

/// Where distributions install the server; then the directories of PATH.
const SSHD: [&str; 4] = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd", "/usr/local/bin/sshd"];

/// Where they install the sftp subsystem: Debian; Alpine, Arch and SUSE; Red Hat and Amazon; BSD's place; our own builds.
pub(super) const SFTP_SERVERS: [&str; 5] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/libexec/sftp-server",
    "/usr/local/libexec/sftp-server",
];

/// The policy of the embedded server, less what the installed sshd does not know. Before 9.9 OpenSSH's own post-quantum exchange
/// stands in for the standard's.
const KEX: [&str; 5] = [
    "mlkem768x25519-sha256",
    "sntrup761x25519-sha512",
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
];
const CIPHERS: [&str; 3] = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"];
const MACS: [&str; 2] = ["hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com"];

/// Begins sshd's complaint that names the directory.
const NO_PRIVILEGE_SEPARATION: &str = "Missing privilege separation directory: ";

/// Names below our directory. sshd finds no private half beside the first and asks the agent.
const HOST_KEY: &str = "host_key";
const AUTHORIZED_KEYS: &str = "authorized_keys";
const AGENT: &str = "agent";
const DESK: &str = "desk";

/// An sshd that was found to start, with all it needs.
#[derive(Debug)]
pub(crate) struct Sshd {
    executable: PathBuf,
    arguments: Vec<OsString>,
    spawner: Spawner,
    pub(super) sshds: Sshds,
    agent: JoinHandle<()>,
    keeps_idle_limit: bool,
    _directory: Directory,
}

impl Sshd {
    /// Prepares everything for `sshd -i`, tries its configuration, and opens the desk. `self_args` leads our own executable to
    /// its roles.
    pub(crate) async fn prepare(
        grant: &Grant,
        host_key: Arc<PrivateKey>,
        environment: &Variables,
        self_args: &[&str],
        spawner: Spawner,
    ) -> Result<(Self, UnixListener), EngineError> {
        let executable = find(environment)?;
        let failed = |error: &dyn std::fmt::Display| EngineError::Sshd {
            sshd: executable.clone(),
            told: format!("its files cannot be prepared: {error}"),
        };
        let directory = Directory::make()?;
        let public = agent::line(host_key.public_key()).ok_or_else(|| failed(&"the host key"))?;
        let authorized = grant.authorized_key.to_openssh().map_err(|error| failed(&error))?;
        directory.write(&format!("{HOST_KEY}.pub"), &public).map_err(|error| failed(&error))?;
        directory.write(AUTHORIZED_KEYS, &authorized).map_err(|error| failed(&error))?;
        let listen = |name: &str, mode: u32| -> io::Result<UnixListener> {
            let listener = UnixListener::bind(directory.path(name))?;
            fs::set_permissions(directory.path(name), fs::Permissions::from_mode(mode))?;
            Ok(listener)
        };
        let host_key_agent = listen(AGENT, 0o600).map_err(|error| failed(&error))?;
        // Whoever comes to the desk is looked at there.
        let desk = listen(DESK, 0o666).map_err(|error| failed(&error))?;
        let own = init::own_executable().map_err(|error| failed(&error))?;
        let sshds = Sshds::default();
        let agent = tokio::spawn(agent::serve(host_key_agent, host_key, sshds.clone()));
        let arguments = fixed_arguments(&directory, &force_command(&own, self_args, &directory.path(DESK)));
        let arguments = arguments.into_iter().chain(forwarding_arguments(grant.forwarding)).collect();
        let mut sshd =
            Self { executable, arguments, spawner, sshds, agent, keeps_idle_limit: false, _directory: directory };
        let offered = sshd.configuration().await?;
        sshd.arguments.extend(chosen_arguments(&offered, grant.idle_timeout));
        sshd.configuration().await?;
        sshd.keeps_idle_limit = has_idle_limit(&offered);
        Ok((sshd, desk))
    }

    /// Tells of a limit of the grant that this sshd cannot keep.
    pub(crate) fn tell_limits(&self, grant: &Grant, log: &Log) {
        if grant.idle_timeout.is_some() && !self.keeps_idle_limit {
            let reason = "this sshd is older than 9.2 and has no limit for channels without bytes";
            log.write(&Event::NoIdleLimit { reason });
        }
    }

    /// Starts one for a connection. It is our child, in a process group of its own; its log comes out of its standard error.
    pub(super) fn spawn(&self, socket: std::net::TcpStream, known: Known) -> io::Result<(Child, Pid)> {
        let mut command = self.command("-i");
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket.try_clone()?)));
        command.stdout(Stdio::from(std::os::fd::OwnedFd::from(socket)));
        self.start(command, known)
    }

    fn start(&self, command: Command, known: Known) -> io::Result<(Child, Pid)> {
        let child = self.spawner.spawn(command)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::NotFound)?;
        // Before anything is awaited: the agent answers whom this table has.
        self.sshds.add(pid, known);
        Ok((child, pid))
    }

    fn command(&self, mode: &str) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg(mode).args(&self.arguments).env_clear().env("PATH", crate::environment::DEFAULT_PATH);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        sys::prepare_sshd(&mut command);
        command
    }

    /// What sshd makes of its arguments: lower-case names with their values, one in each line. Makes the directory of its
    /// unprivileged part where it is missing.
    async fn configuration(&self) -> Result<String, EngineError> {
        let mut output = self.test().await?;
        if let Some(path) = missing_directory(&output) {
            DirBuilder::new().recursive(true).mode(0o755).create(&path).map_err(|error| {
                EngineError::NoPrivilegeSeparation { path: path.clone(), reason: error.to_string() }
            })?;
            output = self.test().await?;
        }
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let told = String::from_utf8_lossy(&output.stderr).trim().replace("\r\n", "; ");
        Err(EngineError::Sshd { sshd: self.executable.clone(), told })
    }

    async fn test(&self) -> Result<Output, EngineError> {
        let refused = |error: io::Error| EngineError::Sshd { sshd: self.executable.clone(), told: error.to_string() };
        let known = Known { login: watch::channel(Login::Gone).1, ended: Arc::default() };
        let (child, pid) = self.start(self.command("-T"), known).map_err(refused)?;
        let output = child.wait_with_output().await;
        self.sshds.remove(pid);
        output.map_err(refused)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.agent.abort();
    }
}

fn find(environment: &Variables) -> Result<PathBuf, EngineError> {
    let path = environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
    let on_path = std::env::split_paths(path.unwrap_or_default()).filter(|directory| directory.is_absolute());
    let mut looked_for: Vec<PathBuf> = SSHD.map(PathBuf::from).to_vec();
    for candidate in on_path.map(|directory| directory.join("sshd")) {
        if !looked_for.contains(&candidate) {
            looked_for.push(candidate);
        }
    }
    let found = looked_for.iter().find(|path| crate::accounts::is_executable(path)).cloned();
    found.ok_or(EngineError::NoSshd { looked_for })
}

fn force_command(own: &Path, self_args: &[&str], desk: &Path) -> OsString {
    let words = [own.as_os_str()].into_iter().chain(self_args.iter().map(OsStr::new));
    let words = words.chain([OsStr::new(roles::SESSION), desk.as_os_str()]);
    words.fold(OsString::from("exec"), |mut command, word| {
        command.push(" ");
        command.push(shell_word(word));
        command
    })
}

/// What does not depend on the version.
fn fixed_arguments(directory: &Directory, force_command: &OsStr) -> Vec<OsString> {
    let option = |name: &str, value: &OsStr| {
        let mut option = OsString::from(format!("{name}="));
        option.push(value);
        option
    };
    let path = |name: &str| directory.path(name).into_os_string();
    let mut options = vec![
        option("HostKey", &path(HOST_KEY)),
        option("HostKeyAgent", &path(AGENT)),
        option("AuthorizedKeysFile", &path(AUTHORIZED_KEYS)),
        option("ForceCommand", force_command),
        option("LoginGraceTime", OsStr::new(&limits::LOGIN_GRACE.as_secs().to_string())),
        option("ClientAliveInterval", OsStr::new(&KEEPALIVE_INTERVAL.as_secs().to_string())),
        option("ClientAliveCountMax", OsStr::new(&KEEPALIVE_MAX.to_string())),
    ];
    // UsePAM=no: the key decides alone, and PAM's modules would change the environment. StrictModes=no: the file with the
    // authorized key lies in our directory and not in the user's. LogLevel: refused keys are told from VERBOSE on. The name of
    // PubkeyAcceptedKeyTypes is the one that releases before 8.5 know, too.
    let plain = [
        "LogLevel=VERBOSE",
        "PidFile=none",
        "StrictModes=no",
        "AuthenticationMethods=publickey",
        "PubkeyAuthentication=yes",
        "PasswordAuthentication=no",
        "KbdInteractiveAuthentication=no",
        "PermitRootLogin=prohibit-password",
        "PermitEmptyPasswords=no",
        "PubkeyAcceptedKeyTypes=ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,\
         ecdsa-sha2-nistp521,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256",
        "HostKeyAlgorithms=ssh-ed25519",
        "UseDNS=no",
        "PrintMotd=no",
        "PrintLastLog=no",
        "AcceptEnv=*",
        "PermitUserEnvironment=no",
        "PermitUserRC=no",
        "Compression=no",
        "X11Forwarding=no",
        // As our own engine: an address that the client names, loopback if it names none.
        "GatewayPorts=clientspecified",
        "MaxSessions=64",
    ];
    options.extend(plain.map(OsString::from));
    if let Some(server) = SFTP_SERVERS.iter().find(|path| crate::accounts::is_executable(Path::new(path))) {
        options.push(format!("Subsystem=sftp {server}").into());
    }
    let arguments = ["-e", "-f", "none"].map(OsString::from).into_iter();
    arguments.chain(options.into_iter().flat_map(|option| ["-o".into(), option])).collect()
}

/// What the grant allows to forward, in sshd's words (sshd_config(5)).
fn forwarding_arguments(allowed: Forwarding) -> impl Iterator<Item = OsString> {
    let connections = match allowed {
        Forwarding::All => "yes",
        Forwarding::Local => "local",
        Forwarding::Remote => "remote",
        Forwarding::None => "no",
    };
    let agent = if allowed.allows_agent() { "yes" } else { "no" };
    let options = [
        ("AllowTcpForwarding", connections),
        ("AllowStreamLocalForwarding", connections),
        ("AllowAgentForwarding", agent),
    ];
    options.into_iter().flat_map(|(name, value)| ["-o".into(), format!("{name}={value}").into()])
}

/// What does: algorithms out of those that this sshd offers by default, the idle limit where it has one (9.2 and later), and PAM
/// switched off where it was compiled in.
fn chosen_arguments(offered: &str, idle: Option<Duration>) -> Vec<OsString> {
    let value = |name: &str| {
        let found = offered.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map(|value| value.split(',').collect::<Vec<_>>())
    };
    let mut options = Vec::new();
    for (name, wanted) in [("KexAlgorithms", &KEX[..]), ("Ciphers", &CIPHERS), ("MACs", &MACS)] {
        let known = value(&name.to_lowercase()).unwrap_or_default();
        let chosen: Vec<&str> = wanted.iter().copied().filter(|algorithm| known.contains(algorithm)).collect();
        if !chosen.is_empty() {
            options.push(format!("{name}={}", chosen.join(",")));
        }
    }
    if let Some(idle) = idle.filter(|_| has_idle_limit(offered)) {
        let seconds = whole_seconds(idle);
        options.push(format!("ChannelTimeout=*={seconds}"));
        options.push(format!("UnusedConnectionTimeout={seconds}"));
    }
    if value("usepam").is_some() {
        options.push("UsePAM=no".to_owned());
    }
    options.into_iter().flat_map(|option| ["-o".into(), option.into()]).collect()
}

/// Whether this sshd knows `UnusedConnectionTimeout`, and with it `ChannelTimeout`, which it does not print while it is unset.
fn has_idle_limit(offered: &str) -> bool {
    offered.lines().any(|line| line.starts_with("unusedconnectiontimeout "))
}

/// sshd counts in seconds, and 0 would be never.
fn whole_seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

fn missing_directory(output: &Output) -> Option<PathBuf> {
    let told = String::from_utf8_lossy(&output.stderr);
    let path = told.lines().find_map(|line| line.strip_prefix(NO_PRIVILEGE_SEPARATION))?;
    Some(PathBuf::from(path.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Out of what 9.2 and 8.4 print.
    const NEW: &str = "usepam no\nunusedconnectiontimeout none\n\
        kexalgorithms curve25519-sha256,sntrup761x25519-sha512@openssh.com,diffie-hellman-group14-sha256\n\
        ciphers chacha20-poly1305@openssh.com,aes128-ctr,aes256-gcm@openssh.com,aes128-gcm@openssh.com\n";
    const OLD: &str = "kexalgorithms diffie-hellman-group14-sha256\nmacs hmac-sha2-512-etm@openssh.com,hmac-sha1\n";

    fn chosen(offered: &str, idle: Option<u64>) -> Vec<String> {
        let arguments = chosen_arguments(offered, idle.map(Duration::from_millis)).into_iter();
        arguments.map(|argument| argument.into_string().expect("text")).filter(|argument| argument != "-o").collect()
    }

    #[test]
    fn the_policy_is_kept_as_far_as_it_is_known() {
        let algorithms = [
            "KexAlgorithms=sntrup761x25519-sha512@openssh.com,curve25519-sha256",
            "Ciphers=aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com",
        ];
        let limits = ["ChannelTimeout=*=2", "UnusedConnectionTimeout=2"];
        assert_eq!(chosen(NEW, Some(1001)), [&algorithms[..], &limits, &["UsePAM=no"]].concat());
        assert_eq!(chosen(NEW, None), [&algorithms[..], &["UsePAM=no"]].concat());
        assert_eq!(chosen(OLD, Some(1)), ["MACs=hmac-sha2-512-etm@openssh.com"], "no exchange of ours, no limit");
    }

    #[test]
    fn words_of_the_forced_command_stay_words() {
        let command = force_command(Path::new("/a b/it's"), &["init"], Path::new("/run/desk"));
        assert_eq!(command, r"exec '/a b/it'\''s' 'init' 'role:session' '/run/desk'");
    }
}
