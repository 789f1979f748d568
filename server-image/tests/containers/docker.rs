//! Images and containers of one test, gone with it however it ends.

use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;

use fargate_contract::grant;
use serde_json::Value;
use tempfile::TempDir;

/// Above 1023, for users who are not root on engines that still care.
const PORT: &str = "2222";

/// A test that goes wrong must not leave its container for longer than this, in milliseconds.
const AT_MOST: &str = "120000";

pub(crate) fn is_there() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| {
        let answered = Command::new("docker").arg("info").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let there = answered.is_ok_and(|status| status.success());
        assert!(there || std::env::var_os("CI").is_none(), "no Docker engine answers `docker info`");
        if !there {
            let _ = writeln!(std::io::stderr(), "skipped: no Docker engine answers `docker info`");
        }
        there
    })
}

pub(crate) fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().expect("docker")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A name that no other test has.
pub(crate) fn some_name() -> String {
    format!("fargate-init-test-{:016x}", RandomState::new().build_hasher().finish())
}

/// The static executable: the one that `FARGATE_INIT_STATIC` names, or a debug build of our own.
pub(crate) fn static_init() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Some(path) = std::env::var_os("FARGATE_INIT_STATIC") {
            return PathBuf::from(path);
        }
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let directory = Path::new(env!("CARGO_BIN_EXE_fargate-init")).ancestors().nth(2).expect("a target directory");
        // The flags of `build-static`, and no symbols.
        let flags = "-C target-feature=+crt-static -C strip=symbols --cfg getrandom_backend=\"linux_raw\"";
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--locked",
                "--quiet",
                "--package",
                "fargate-init",
                "--bin",
                "fargate-init",
                "--target",
                &target,
            ])
            .env("RUSTFLAGS", flags)
            .env("CARGO_TARGET_DIR", directory)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.expect("cargo").success());
        directory.join(target).join("debug/fargate-init")
    })
}

/// Debian's static busybox: the machine's own, or the package's.
pub(crate) fn busybox() -> &'static Path {
    static FOUND: OnceLock<(PathBuf, Option<TempDir>)> = OnceLock::new();
    let (path, _) = FOUND.get_or_init(|| {
        let own = PathBuf::from("/bin/busybox");
        let is_static = |path: &Path| {
            let told = Command::new("ldd").arg(path).output().expect("ldd");
            text(&told.stderr).contains("not a dynamic executable") || text(&told.stdout).contains("statically linked")
        };
        if own.exists() && is_static(&own) {
            return (own, None);
        }
        let directory = tempfile::tempdir().expect("a directory");
        let unpack = "apt-get download -q busybox-static >&2 && dpkg-deb -x busybox-static_*.deb .";
        let unpacked = Command::new("/bin/sh").args(["-c", unpack]).current_dir(directory.path()).status();
        assert!(unpacked.expect("a shell").success(), "busybox-static cannot be had");
        let found = ["usr/bin/busybox", "bin/busybox"].map(|path| directory.path().join(path));
        let found = found.into_iter().find(|path| path.exists()).expect("busybox in its package");
        (found, Some(directory))
    });
    path
}

/// A root file system to make an image of.
pub(crate) struct Root(TempDir);

impl Root {
    pub(crate) fn new() -> Self {
        let root = Self(tempfile::tempdir().expect("a directory"));
        fs::set_permissions(root.0.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        root
    }

    /// Copies a program.
    pub(crate) fn program(self, from: &Path, to: &str) -> Self {
        let path = self.path(to);
        fs::copy(from, &path).expect("a copy");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        self
    }

    /// The static init at `/fargate-init`.
    pub(crate) fn init(self) -> Self {
        self.program(static_init(), "fargate-init")
    }

    /// A shell and the usual programs.
    pub(crate) fn busybox(self) -> Self {
        let root = self.program(busybox(), "bin/busybox");
        for applet in ["sh", "env", "id", "pwd", "cat", "sleep", "touch", "echo"] {
            symlink("busybox", root.path(&format!("bin/{applet}"))).expect("a link");
        }
        root
    }

    /// A program of this machine with the libraries it needs.
    pub(crate) fn with_libraries(mut self, program: &str) -> Self {
        let told = Command::new("ldd").arg(program).output().expect("ldd");
        let told = text(&told.stdout);
        for library in told.split_whitespace().filter(|word| word.starts_with('/')) {
            let found = fs::canonicalize(library).expect("a library");
            self = self.program(&found, library.trim_start_matches('/'));
        }
        self.program(Path::new(program), program.trim_start_matches('/'))
    }

    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        let path = self.path(path);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        self
    }

    /// Imports it; `changes` are instructions of a Dockerfile.
    pub(crate) fn image(self, changes: &[&str]) -> Image {
        let name = some_name();
        let mut tar = Command::new("tar")
            .args(["--owner=0", "--group=0", "--numeric-owner", "-C"])
            .arg(self.0.path())
            .args(["-c", "."])
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar");
        let mut import = Command::new("docker");
        import.arg("import").args(changes.iter().flat_map(|change| ["--change", change])).args(["-", &name]);
        let imported = import.stdin(tar.stdout.take().expect("stdout")).output().expect("docker");
        assert!(tar.wait().expect("tar").success() && imported.status.success(), "{}", text(&imported.stderr));
        Image(name)
    }

    fn path(&self, path: &str) -> PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        path
    }
}

pub(crate) struct Image(pub(crate) String);

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["rmi", "--force", &self.0]);
    }
}

/// A running container that has the grant for a key of its own.
pub(crate) struct Container {
    name: String,
    logs: Child,
    log: BufReader<ChildStdout>,
    pub(crate) events: Vec<Value>,
    keys: TempDir,
}

impl Container {
    /// `options` stand before the image, `words` after it. Returns when it listens.
    pub(crate) fn run(image: &Image, options: &[&str], words: &[&str]) -> Self {
        let (name, keys) = (some_name(), tempfile::tempdir().expect("a directory"));
        let path = keys.path().join("key");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status();
        assert!(made.expect("ssh-keygen").success());
        let key = fs::read_to_string(path.with_extension("pub")).expect("a key");
        let variables =
            [(grant::AUTHORIZED_PUBLIC_KEY, key.trim()), (grant::PORT, PORT), (grant::MAX_LIFETIME, AT_MOST)];
        let variables = variables.map(|(variable, value)| format!("--env={variable}={value}"));
        let mut run = vec!["run", "--detach", "--name", &name];
        run.extend(variables.iter().map(String::as_str));
        run.extend(options);
        run.push(&image.0);
        run.extend(words);
        let started = docker(&run);
        let mut logs = Command::new("docker")
            .args(["logs", "--follow", &name])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker");
        let log = BufReader::new(logs.stdout.take().expect("stdout"));
        let mut container = Self { name, logs, log, events: Vec::new(), keys };
        assert!(started.status.success(), "{}", text(&started.stderr));
        container.until("listen");
        container
    }

    fn until(&mut self, wanted: &str) {
        while self.events.last().is_none_or(|event| event["event"] != wanted) {
            assert!(self.next_event(), "no {wanted} in {:?}", self.events);
        }
    }

    fn next_event(&mut self) -> bool {
        let mut line = String::new();
        if self.log.read_line(&mut line).expect("text") == 0 {
            return false;
        }
        self.events.push(serde_json::from_str(&line).expect("JSON"));
        true
    }

    /// Runs a command over SSH; without words, a login shell.
    pub(crate) fn ssh(&self, command: &[&str]) -> Output {
        let address = docker(&["inspect", "--format", "{{.NetworkSettings.IPAddress}}", &self.name]);
        let mut key = OsString::from("IdentityFile=");
        key.push(self.keys.path().join("key"));
        Command::new("ssh")
            .args(["-F", "none", "-p", PORT, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"])
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o"])
            .arg(key)
            .arg(format!("root@{}", text(&address.stdout).trim()))
            .args(command)
            .stdin(Stdio::null())
            .output()
            .expect("ssh")
    }

    /// The container's exit code; `events` is complete then.
    pub(crate) fn ended(&mut self) -> i32 {
        while self.next_event() {}
        text(&docker(&["wait", &self.name]).stdout).trim().parse().expect("an exit code")
    }

    pub(crate) fn has(&self, event: &str) -> bool {
        self.events.iter().any(|found| found["event"] == event)
    }

    pub(crate) fn stop(&self) {
        docker(&["stop", "--time", "20", &self.name]);
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.name]);
        let _ = self.logs.wait();
    }
}
