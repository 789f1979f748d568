//! A real OpenSSH server for tests: one `sshd -i` for each connection, with its own host key and one authorized key.

use std::fs::Permissions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use fargate_contract::HostSeed;
use russh::keys::ssh_key::LineEnding;
use tokio::net::{TcpListener, TcpStream};

use super::host_key::HostKey;
use super::identity::OneTimeKey;
use super::{Connection, Settings, connect};

const SSHD: &str = "/usr/sbin/sshd";
/// Where `sshd` wants an empty folder (its `--with-privsep-path` on Debian).
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

/// The server's files, which go with it.
pub(crate) struct Sshd {
    folder: tempfile::TempDir,
    seed: HostSeed,
    identity: Arc<OneTimeKey>,
}

impl Sshd {
    /// `None`, with a word about it, where no `sshd` can run; under CI that is a failure.
    pub(crate) fn new() -> Option<Self> {
        let able = Path::new(SSHD).exists() && nix::unistd::geteuid().is_root();
        if !able {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{SSHD} and root are needed under CI");
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "SKIPPED: needs {SSHD} and root");
            return None;
        }
        std::fs::create_dir_all(PRIVILEGE_SEPARATION).expect("root may");
        let folder = tempfile::tempdir().expect("a folder");
        let sshd = Self { folder, seed: HostSeed::new([42; 32]), identity: Arc::new(OneTimeKey::generate()) };
        let key = sshd.seed.private_key().to_openssh(LineEnding::LF).expect("an ed25519 key");
        sshd.write("host_key", &key);
        sshd.write("authorized_keys", &sshd.identity.authorized_keys_line());
        let path = |name: &str| sshd.folder.path().join(name).display().to_string();
        sshd.write(
            "config",
            &format!(
                "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
                 PermitRootLogin prohibit-password\nAcceptEnv LANG LC_* GREETING\nPrintMotd no\nPidFile none\n\
                 Subsystem sftp internal-sftp\n",
                path("host_key"),
                path("authorized_keys")
            ),
        );
        Some(sshd)
    }

    /// Settings that log in to this server.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            user: "root".to_owned(),
            identity: Arc::clone(&self.identity),
            host_key: HostKey::Pinned(self.seed.public_key()),
            ..Settings::default()
        }
    }

    /// A connection to be, with an `sshd` at its other end.
    pub(crate) async fn dial(&self) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (dialled, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let accepted = accepted.expect("dialled").0.into_std().expect("registered");
        accepted.set_nonblocking(false).expect("a socket");
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log");
        let accepted = OwnedFd::from(accepted);
        let mut server = Command::new(SSHD)
            .args(["-i", "-e", "-f"])
            .arg(self.folder.path().join("config"))
            .stdin(accepted.try_clone().expect("a duplicate"))
            .stdout(accepted)
            .stderr(Stdio::from(log))
            .spawn()
            .expect("sshd starts");
        // It ends with its connection; waiting for it keeps it from becoming a zombie.
        std::thread::spawn(move || server.wait());
        dialled.expect("listening")
    }

    /// An authenticated connection.
    pub(crate) async fn connect(&self) -> Connection {
        match connect(self.dial().await, &self.settings()).await {
            Ok(connection) => connection,
            Err(error) => panic!("{error}\n{}", self.log()),
        }
    }

    /// What the server had to say, for the message of a test that fails.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("our folder");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("our file");
    }
}
