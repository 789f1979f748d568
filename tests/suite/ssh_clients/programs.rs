//! Programs that start ssh themselves: git, Ansible, and OpenSSH's own multiplexing.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use e2e::{Finished, Program, SshHost, World};

use super::{GOES, STAYS};
use crate::conformance::python;

fn git(host: &SshHost, directory: &Path, args: &[&str]) -> Option<Finished> {
    let git = host.tool("git")?.env("GIT_SSH_COMMAND", host.ssh_line()).env("GIT_CONFIG_NOSYSTEM", "1");
    let who = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main"];
    let git = git.arg("-C").arg(directory.as_os_str()).args(who).args(args.iter().copied());
    let done = git.run();
    assert_eq!(done.code, 0, "git {args:?}: {}", done.stderr);
    Some(done)
}

#[test]
fn git_pushes_to_a_repository_in_the_task_and_pulls_from_it() {
    let host = SshHost::new(World::new(), &STAYS);
    let place = host.place();
    let [bare, one, two] = ["bare.git", "one", "two"].map(|name| place.join(name));
    let url = format!("ssh://dev{}", bare.display());
    for directory in [&bare, &one] {
        std::fs::create_dir(directory).expect("made");
    }
    if git(&host, &bare, &["init", "-q", "--bare"]).is_none() {
        return;
    }
    git(&host, &one, &["init", "-q"]);
    let large: Vec<u8> = (0..500_000u32).flat_map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    std::fs::write(one.join("large"), &large).expect("written");
    git(&host, &one, &["add", "large"]);
    git(&host, &one, &["commit", "-q", "-m", "first"]);
    git(&host, &one, &["push", "-q", &url, "main"]);
    git(&host, place, &["clone", "-q", &url, "two"]);
    assert!(std::fs::read(two.join("large")).expect("cloned") == large);
    std::fs::write(two.join("more"), "more\n").expect("written");
    git(&host, &two, &["add", "more"]);
    git(&host, &two, &["commit", "-q", "-m", "second"]);
    git(&host, &two, &["push", "-q"]);
    git(&host, &one, &["pull", "-q", &url, "main"]);
    assert_eq!(std::fs::read_to_string(one.join("more")).expect("pulled"), "more\n");
    assert_eq!(host.launches(), 1);
}

#[test]
fn ansible_pings_it() {
    let Some(interpreter) = python("ansible") else { return };
    let host = SshHost::new(World::new(), &STAYS);
    let program = host.world.program();
    let (_, _, env) = program.parts();
    let ansible = env
        .iter()
        .fold(Program::new(interpreter.get_program().into()), |program, (name, value)| program.env(name, value));
    let python = interpreter.get_program().to_string_lossy().into_owned();
    let done = ansible
        .args(["-m", "ansible", "adhoc", "all", "-i", "dev,", "-m", "ansible.builtin.ping", "-e"])
        .arg(format!("ansible_python_interpreter={python}"))
        // Else a connection of its own is kept for the next run, beyond the test.
        .arg("--ssh-extra-args=-o ControlMaster=no")
        .args(["--timeout", "60"])
        .arg(format!("--ssh-common-args=-F {}", host.config().display()))
        .env("ANSIBLE_HOME", host.place().join("ansible").as_os_str())
        .env("ANSIBLE_REMOTE_TEMP", host.place().join("remote").as_os_str())
        .env("ANSIBLE_NOCOLOR", "1")
        .run();
    assert_eq!(done.code, 0, "{}{}", done.text(), done.stderr);
    assert!(done.text().contains("\"ping\": \"pong\""), "{}", done.text());
    assert_eq!(host.launches(), 1);
}

#[test]
fn openssh_forwards_through_it() {
    let host = SshHost::new(World::new(), &GOES);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = listener.local_addr().expect("an address").to_string();
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut said = Vec::new();
        stream.read_to_end(&mut said).expect("its end");
        said.make_ascii_uppercase();
        stream.write_all(&said).expect("taken");
    });
    let done = host.ssh().args(["-W", &target, "dev"]).run_with(b"through");
    assert_eq!((done.code, done.text().as_str()), (0, "THROUGH"), "{}", done.stderr);
    echo.join().expect("no panic");
    let _ = host.world.stopped_task();
}

#[test]
fn one_connection_of_opensshs_can_carry_many_sessions() {
    let host = SshHost::new(World::new(), &GOES);
    let control = host.place().join("control");
    let shared = || host.ssh().arg("-S").arg(control.as_os_str());
    let mut master = shared().args(["-M", "dev", "echo ready; cat"]).start();
    master.read_until("ready");
    for word in ["one", "two"] {
        assert_eq!(shared().args(["dev", "echo", word]).run().text(), format!("{word}\n"));
    }
    assert_eq!(master.wait().code, 0);
    let _ = host.world.stopped_task();
    host.wait_tidy();
}
