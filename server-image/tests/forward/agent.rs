//! The client's agent, as a session's programs reach it.

use std::process::{Child, Command, Stdio};

use fargate_contract::grant;

use crate::container::{Container, text};

/// An agent that holds the container's key, and how to name it to ssh.
fn agent(container: &Container) -> (Child, String) {
    let socket = container.directory.path().join("agent");
    let agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
    let key = container.directory.path().join("key");
    let added = std::iter::repeat_with(|| {
        let mut add = Command::new("ssh-add");
        add.arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null());
        add.status().expect("ssh-add").success()
    });
    assert!(added.take_while(|added| !added).count() < usize::MAX);
    (agent.expect("an agent"), format!("IdentityAgent={}", socket.display()))
}

fn end(mut agent: Child) {
    agent.kill().expect("an agent");
    agent.wait().expect("an end");
}

#[test]
fn a_session_uses_the_agent_by_a_socket_of_its_own_that_goes_with_it() {
    let mut container = Container::start(&[(grant::CONNECTIONS, "many")]);
    let mut held = container.hold();
    let (agent, option) = agent(&container);
    let look = "ssh-add -L; dirname $SSH_AUTH_SOCK; stat -c %a $(dirname $SSH_AUTH_SOCK) $SSH_AUTH_SOCK";
    let output = container.ssh(&["-A", "-o", &option], &[look]).output().expect("ssh");
    end(agent);
    let public = std::fs::read_to_string(container.directory.path().join("key.pub")).expect("a key");
    let told = text(&output.stdout);
    let mut lines = told.lines();
    assert_eq!(lines.next(), Some(public.trim_end()), "{told}{}", text(&output.stderr));
    let directory = std::path::PathBuf::from(lines.next().expect("a directory"));
    assert_eq!((lines.next(), lines.next()), (Some("700"), Some("600")));
    assert_eq!(container.until("forward_start")["kind"], "agent");
    // Gone soon after the session, which its log line tells of.
    container.until("session_end");
    while directory.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let without = container.run("echo \"<$SSH_AUTH_SOCK>\"");
    assert_eq!(text(&without.stdout), "<>\n");
    drop(held.stdin.take());
    held.wait().expect("ssh");
    assert_eq!(container.ended(), 0);
}

#[test]
fn a_grant_without_forwarding_gives_no_agent() {
    for word in ["none", "local"] {
        let mut container = Container::start(&[(grant::FORWARDING, word)]);
        let (agent, option) = agent(&container);
        let output = container.ssh(&["-A", "-o", &option], &["echo \"<$SSH_AUTH_SOCK>\""]).output().expect("ssh");
        end(agent);
        assert_eq!(text(&output.stdout), "<>\n", "{word}");
        assert_eq!(container.ended(), 0);
        let refused = container.last("forward_refused");
        assert_eq!(
            (&refused["kind"], &refused["reason"]),
            (&"agent".into(), &"the run's grant does not allow it".into())
        );
    }
}
