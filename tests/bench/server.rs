//! Servers for OpenSSH's programs to log into: our init and OpenSSH's `sshd`, each at an address of its own.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What OpenSSH is told to speak: the cipher that ours prefers.
const CIPHER: &str = "Ciphers=aes128-gcm@openssh.com";
pub(crate) const PORT: &str = "2222";
const SSHD: &str = "/usr/sbin/sshd";
const NSENTER: &str = "/usr/bin/nsenter";

/// Where servers run: beside the clients, or in a network namespace.
pub(crate) struct Host {
    /// What stands before a program and its arguments.
    words: Vec<OsString>,
}

impl Host {
    /// Beside the clients.
    pub(crate) const fn here() -> Self {
        Self { words: Vec::new() }
    }

    /// In the network namespace at this path.
    pub(crate) fn within(namespace: &str) -> Self {
        Self { words: vec![NSENTER.into(), format!("--net={namespace}").into(), "--".into()] }
    }

    /// A program and its arguments, as they are started there.
    pub(crate) fn line(&self, program: Vec<OsString>) -> Vec<OsString> {
        self.words.iter().cloned().chain(program).collect()
    }

    /// This program, there. It has the process id that the command gets.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut words = self.line(vec![program.into()]).into_iter();
        // The program itself, if nothing else.
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }
}

/// A server, and the key that it admits.
pub(crate) struct Server {
    process: Child,
    key: PathBuf,
    address: String,
}

impl Server {
    /// Starts our init, which stays for as many logins as come.
    pub(crate) fn init(host: &Host, program: &Path, scratch: &Path) -> Self {
        let (key, address) = (key(scratch, "ours"), address(1));
        let public = fs::read_to_string(key.with_extension("pub")).expect("its public half");
        let mut process = host
            .command(program)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("_AUTHORIZED_PUBLIC_KEY", public.trim())
            .env("_FARGATE_LOGIN_PORT", PORT)
            .env("_FARGATE_LOGIN_LISTEN", &address)
            .env("_FARGATE_LOGIN_CONNECTIONS", "many")
            // An hour without a connection, in milliseconds: longer than the other side of a comparison takes.
            .env("_FARGATE_LOGIN_EMPTY_TIMEOUT_MS", "3600000")
            .env("_FARGATE_LOGIN_LOGIN_TIMEOUT_MS", "3600000")
            .env("HOME", scratch)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the init starts");
        heard(process.stdout.take().expect("a pipe"), "\"listen\"");
        Self { process, key, address }
    }

    /// Starts `sshd`, where there is one.
    pub(crate) fn sshd(host: &Host, scratch: &Path) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            return None;
        }
        let (key, host_key, address) = (key(scratch, "peer"), key(scratch, "host"), address(2));
        // Where it gives up its rights before a login; Debian's package makes it when the service starts.
        let _ = fs::create_dir("/run/sshd");
        let option = |name: &str, value: &Path| format!("{name}={}", value.display());
        let mut process = host
            .command(SSHD)
            .args(["-D", "-e", "-f", "/dev/null", "-p", PORT, "-o", "UsePAM=no", "-o", "StrictModes=no"])
            .args(["-o", &format!("ListenAddress={address}"), "-o", "PidFile=none", "-o", "LogLevel=INFO"])
            .args(["-o", &option("HostKey", &host_key), "-o", "Subsystem=sftp /usr/lib/openssh/sftp-server"])
            .args(["-o", &option("AuthorizedKeysFile", &key.with_extension("pub"))])
            .stderr(Stdio::piped())
            .spawn()
            .expect("sshd starts");
        heard(process.stderr.take().expect("a pipe"), "listening");
        Some(Self { process, key, address })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// `ssh` with what it needs to log in here; the destination and the command are the caller's to add.
    pub(crate) fn ssh(&self) -> Command {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("accounts").expect("an account").name;
        let mut command = Command::new("ssh");
        command
            .args(["-F", "none", "-p", PORT, "-l", &user, "-o", CIPHER, "-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentityAgent=none", "-i"])
            .arg(&self.key);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.process.id()).map(nix::unistd::Pid::from_raw);
        let _ = pid.map(|pid| nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM));
        let _ = self.process.wait();
    }
}

/// Waits until a server has said these words; the rest of what it says is read to its end, as a container's log is.
fn heard(log: impl Read + Send + 'static, words: &str) {
    let mut lines = BufReader::new(log).lines();
    assert!(lines.by_ref().map_while(Result::ok).any(|line| line.contains(words)), "the server listens");
    std::thread::spawn(move || lines.count());
}

/// An address of loopback that is this process's own as long as it lives, with a last digit for each of its servers.
pub(crate) fn address(server: u32) -> String {
    let [_, high, middle, low] = ((std::process::id() << 2) | server).to_be_bytes();
    format!("127.{}.{middle}.{low}", 64 | (high & 0x3f))
}

/// A new key, its public half beside it.
fn key(scratch: &Path, name: &str) -> PathBuf {
    let path = scratch.join(name);
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status();
    assert!(made.expect("ssh-keygen").success());
    path
}
