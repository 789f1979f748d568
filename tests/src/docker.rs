//! Docker, as the tests meet it: whether it is there, an image to play with, and what it has of ours.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// An image with a static busybox and nothing else: `PATH=/bin`, working directory `/tmp`, user root.
pub const BUSYBOX: &str = "fargate-login-test/busybox:latest";

/// Our images, as `server-image/build-image` names them.
pub const PLAIN: &str = "fargate-login/plain:dev";
/// A small application that carries the init.
pub const APP_EXAMPLE: &str = "fargate-login/app-example:dev";
/// OpenSSH behind the init.
pub const OPENSSH: &str = "fargate-login/openssh:dev";
/// An `sshd` of its own, as `ecs-fargate-login` wants it.
pub const ANCESTOR: &str = "fargate-login/ancestor:dev";

/// Whether Docker has this image of ours. Without it, a test is skipped with a note; in CI that is an error.
///
/// # Panics
/// In CI, without the image.
#[must_use]
pub fn has(image: &str) -> bool {
    let found =
        Command::new("docker").args(["image", "inspect", image]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = is_there() && found.is_ok_and(|status| status.success());
    assert!(is_there || std::env::var_os("CI").is_none(), "Docker has no {image}: run `python3 .ci/images.py`");
    if !is_there {
        note(&format!("Docker has no {image}; `python3 .ci/images.py` builds it"));
    }
    is_there
}

/// Whether there is a daemon. Without one, tests are skipped with a note; in CI that is an error.
///
/// # Panics
/// In CI, without a daemon.
#[must_use]
pub fn is_there() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| {
        let there = Command::new("docker").arg("info").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let is_there = there.is_ok_and(|status| status.success());
        assert!(is_there || std::env::var_os("CI").is_none(), "no Docker daemon answers");
        if !is_there {
            note("no Docker daemon answers");
        }
        is_there
    })
}

/// Makes [`BUSYBOX`] once, out of this machine's static busybox.
///
/// # Panics
/// When there is none, or Docker refuses the image.
pub fn make_busybox() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| std::path::Path::new(path).exists());
        let busybox = busybox.expect("the package busybox-static is installed");
        let root = tempfile::tempdir().expect("a directory");
        for directory in ["bin", "tmp", "etc"] {
            std::fs::create_dir(root.path().join(directory)).expect("a directory");
        }
        let sticky = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
        std::fs::set_permissions(root.path().join("tmp"), sticky).expect("ours");
        std::fs::copy(busybox, root.path().join("bin/busybox")).expect("a copy");
        for applet in String::from_utf8(output("busybox", &["--list"])).expect("names").lines() {
            // busybox itself is among them.
            let _ = std::os::unix::fs::symlink("busybox", root.path().join("bin").join(applet));
        }
        let root_path = root.path().to_str().expect("a path in UTF-8");
        let archive = output("tar", &["-C", root_path, "-c", "."]);
        let change = ["--change", "ENV PATH=/bin IMAGE_SAYS=hello", "--change", "WORKDIR /tmp"];
        let mut import = Command::new("docker");
        import.arg("import").args(change).args(["-", BUSYBOX]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut import = import.spawn().expect("docker");
        import.stdin.take().expect("a pipe").write_all(&archive).expect("it reads");
        assert!(import.wait().expect("a status").success(), "docker import failed");
    });
}

/// Ids of the containers of one task of the stand-in's, stopped ones too.
#[must_use]
pub fn containers(task_id: &str) -> Vec<String> {
    lines(&["ps", "--all", "--quiet", "--filter", &format!("label=local-fargate.task={task_id}")])
}

/// What a docker command prints, by line.
///
/// # Panics
/// When it fails.
#[must_use]
pub fn lines(arguments: &[&str]) -> Vec<String> {
    let printed = String::from_utf8(output("docker", arguments)).expect("text");
    printed.lines().map(str::to_owned).collect()
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests has to see what did not run")]
fn note(why: &str) {
    eprintln!("skipped: {why}");
}

fn output(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).stderr(Stdio::inherit()).output().expect("it starts");
    assert!(output.status.success(), "{program} {arguments:?} failed");
    output.stdout
}
