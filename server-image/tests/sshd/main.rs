//! The engine `openssh`: OpenSSH's own server behind our door, as an operator's OpenSSH client sees it.

#[path = "../openssh/container.rs"]
mod container;
mod endings;
mod environment;
mod login;
mod sessions;
mod transfers;

use std::io::Write as _;

use container::Container;

/// Starts a container with the engine; `None` where this machine has no sshd, which only a developer's may lack.
fn start(more: &[(&str, &str)]) -> Option<Container> {
    has_sshd().then(|| Container::start(&[&[(fargate_init::engine::VARIABLE, "openssh")], more].concat()))
}

fn has_sshd() -> bool {
    let found = std::path::Path::new("/usr/sbin/sshd").exists();
    assert!(found || std::env::var_os("CI").is_none(), "/usr/sbin/sshd is missing: install openssh-server");
    if !found {
        let _ = writeln!(std::io::stderr(), "skipped: /usr/sbin/sshd is missing, install openssh-server");
    }
    found
}
