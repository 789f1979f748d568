//! What sessions see of the container's environment, and what nobody sees.

use fargate_contract::grant;
use nix::unistd::{User, getuid};

use crate::container::{Container, seed, text};

const ODD: &str = "it's\n\"two\" lines $HOME `x` \\ \u{e9}\u{1f600}";

#[test]
fn values_arrive_exactly_and_the_grant_does_not() {
    let container = Container::start(&[("ODD", ODD), ("EMPTY", ""), (grant::RUN, "r-7")]);
    let ssh = container.ssh(&["-o", "SetEnv=LC_TEST=sent _HIDDEN=no"], &["env -0"]).output().expect("ssh");
    let own = User::from_uid(getuid()).expect("accounts").map_or_else(|| getuid().to_string(), |user| user.name);
    let shown = text(&ssh.stdout);
    let variables: Vec<&str> = shown.split('\0').collect();
    for wanted in [format!("ODD={ODD}"), "EMPTY=".into(), "LC_TEST=sent".into(), format!("USER={own}")] {
        assert!(variables.contains(&wanted.as_str()), "{wanted} in {variables:?}");
    }
    assert!(variables.iter().any(|variable| variable.starts_with("SSH_CONNECTION=127.0.0.1 ")));
    for name in grant::VARIABLES.into_iter().chain(["_HIDDEN"]) {
        assert!(!variables.iter().any(|variable| variable.starts_with(&format!("{name}="))), "{name}");
    }
    assert!(container.directory.path().join("home/.ssh/environment").exists());
    assert!(container.directory.path().join("home/.fargate-login.sh").exists());
}

#[test]
fn no_process_shows_the_grant() {
    let container = Container::start(&[("KEPT", "yes")]);
    for pid in [i64::from(container.pid().as_raw()), container.serve_pid()] {
        // Not readable is as good as not there, when we are not root: `serve` cannot be looked into.
        let Ok(shown) = std::fs::read(format!("/proc/{pid}/environ")) else { continue };
        let shown = text(&shown);
        assert!(shown.contains("KEPT=yes"), "{shown:?}");
        assert!(!shown.contains(seed().encode().as_str()) && !shown.contains("ssh-ed25519"), "{shown:?}");
        assert!(!shown.contains("_FARGATE_LOGIN") && !shown.contains(grant::AUTHORIZED_PUBLIC_KEY), "{shown:?}");
    }
    let pinned = seed().public_key().to_openssh().expect("a key");
    assert_eq!(container.announced_host_key(), pinned.trim());
    let output = container.run("ulimit -c; cat /proc/$PPID/limits | grep -c 'core file size *0 '");
    assert!(text(&output.stdout).ends_with("\n1\n"), "{}", text(&output.stdout));
    assert!(!container.events.iter().any(|event| event.to_string().contains(seed().encode().as_str())));
}

impl Container {
    /// The host key that the log announced.
    fn announced_host_key(&self) -> &str {
        self.last("listen")["host_key"].as_str().expect("text")
    }
}
