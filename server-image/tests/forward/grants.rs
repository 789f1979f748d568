//! What the grant forbids is refused in the protocol's words, by either engine, and logged.

use std::process::Output;

use fargate_contract::grant;
use fargate_init::engine;

use crate::container::{Container, text};
use crate::peer::answering;

const FAILED: Option<i32> = Some(255);

/// Whether a connection through the container, and a listener in it, are granted.
fn granted(container: &Container) -> (bool, bool) {
    let (target, service) = answering();
    let local = container.ssh(&["-o", "LogLevel=INFO", "-W", &target.to_string()], &[]).output().expect("ssh");
    let told = |output: &Output, words: &str| {
        assert_eq!(output.status.code(), FAILED, "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    };
    if local.status.success() {
        service.join().expect("a service");
    } else {
        told(&local, "open failed: administratively prohibited: ");
    }
    let options = ["-o", "LogLevel=INFO", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1"];
    let remote = container.ssh(&options, &["true"]).output().expect("ssh");
    if !remote.status.success() {
        told(&remote, "remote port forwarding failed");
    }
    (local.status.success(), remote.status.success())
}

#[test]
fn each_word_of_the_grant_is_obeyed_by_both_engines() {
    for engine in ["russh", "openssh"] {
        if engine == "openssh" && !std::path::Path::new("/usr/sbin/sshd").exists() {
            assert!(std::env::var_os("CI").is_none(), "/usr/sbin/sshd is missing: install openssh-server");
            continue;
        }
        for (word, expected) in [("none", (false, false)), ("local", (true, false)), ("remote", (false, true))] {
            let more = [(grant::FORWARDING, word), (grant::CONNECTIONS, "many"), (engine::VARIABLE, engine)];
            let mut container = Container::start(&more);
            let mut held = container.hold();
            assert_eq!(granted(&container), expected, "{word} by {engine}");
            drop(held.stdin.take());
            held.wait().expect("ssh");
            assert_eq!(container.ended(), 0);
            let refused = container.events.iter().filter(|event| event["event"] == "forward_refused");
            let reasons: Vec<_> = refused.map(|event| event["reason"].clone()).collect();
            let of_ours = usize::from(engine == "russh");
            let count = of_ours * (usize::from(!expected.0) + usize::from(!expected.1));
            assert_eq!(reasons, vec!["the run's grant does not allow it"; count], "{word} by {engine}");
        }
    }
}
