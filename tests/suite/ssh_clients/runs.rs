//! Runs that do not start, that end under their connections, or that are ended from outside.

use e2e::{SshHost, World};
use local_fargate::Fault;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::{GOES, STAYS};

/// Has OpenSSH connect three times at once and once more, to one task.
fn assert_admits_several(world: World, flags: &[&str]) {
    let flags = [&STAYS[..], flags].concat();
    let host = SshHost::new(world, &flags);
    std::thread::scope(|scope| {
        let visits = [1, 2, 3].map(|visit| {
            let ssh = host.run(&format!("cat; echo {visit}"));
            (visit, scope.spawn(move || ssh.run_with(b"in ")))
        });
        for (visit, done) in visits {
            let done = done.join().expect("no panic");
            assert_eq!((done.code, done.text()), (0, format!("in {visit}\n")), "{flags:?}: {}", done.stderr);
        }
    });
    let again = host.run("echo again").run();
    assert_eq!((again.code, again.text().as_str()), (0, "again\n"), "{flags:?}: {}", again.stderr);
    assert_eq!(host.launches(), 1, "{flags:?}");
}

#[test]
fn several_connections_go_to_an_sshd_as_well() {
    let flags = e2e::ancestor::flags();
    let accept_new: Vec<&str> = flags.iter().map(String::as_str).collect();
    assert_admits_several(e2e::ancestor::world(), &accept_new);
    let engine = || World::with(|config| config.images[0].env.push(("FARGATE_INIT_ENGINE".into(), "openssh".into())));
    assert_admits_several(engine(), &accept_new);
    assert_admits_several(engine(), &accept_new[2..]);
}

#[test]
fn a_task_that_does_not_start_is_told_and_leaves_nothing() {
    let fault = Fault::ImagePull { message: "CannotPullContainerError: pull image manifest: not found".to_owned() };
    let world = World::with(|config| config.faults.push(fault));
    let host = SshHost::new(world, &STAYS);
    let done = host.run("true").run();
    assert_eq!((done.code, done.text().as_str()), (255, ""));
    assert!(done.stderr.contains("error: ") && done.stderr.contains("CannotPullContainerError"), "{}", done.stderr);
    host.wait_tidy();
    let _ = host.run("true").run();
    assert_eq!(host.launches(), 2, "the next one tries again");
}

#[test]
fn a_task_that_has_ended_is_followed_by_another() {
    let host = SshHost::new(World::new(), &STAYS);
    assert_eq!(host.run("true").run().code, 0);
    let first = host.world.task();
    host.world.call("ecs", "StopTask", &json!({"task": first.arn, "cluster": "default"})).expect("stopped");
    host.world.wait_stopped(&first.arn);
    let done = host.run("echo back").run();
    assert_eq!((done.code, done.text().as_str()), (0, "back\n"), "{}", done.stderr);
    assert_eq!(host.launches(), 2);
}

#[test]
fn a_stand_in_of_its_own_lives_as_long_as_the_run() {
    let host = SshHost::new(World::new(), &["--linger", "1s", "--local", "-v"]);
    let scratch = tempfile::tempdir().expect("a directory");
    let local = |line: &str| host.run(line).env("TMPDIR", scratch.path());
    assert_eq!(local("echo one").run().text(), "one\n");
    let done = local("echo two").run();
    assert_eq!((done.text().as_str(), done.stderr.as_str()), ("two\n", ""));
    assert_eq!(host.launches(), 0, "not in the world outside");
    host.wait_tidy();
    let left: Vec<_> = std::fs::read_dir(scratch.path()).expect("ours").flatten().map(|entry| entry.path()).collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_session_whose_task_ends_hears_why() {
    let host = SshHost::new(World::new(), &STAYS);
    let mut running = host.run("echo ready; sleep 1000").start();
    running.read_until("ready");
    // All at once, as a container that runs out of memory ends: an init that is told to end, or sees another process of the task
    // go, says so to ssh. So none of them runs any more when the first is killed.
    let address = host.world.task().address.expect("an address");
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        for process in e2e::world::processes_at(&address) {
            let pid = process.rsplit('/').next().and_then(|pid| pid.parse().ok()).expect("a process id");
            // One may have ended with another.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
    let done = running.wait();
    assert_eq!(done.code, 255);
    assert!(done.stderr.contains("error: the task stopped: "), "{}", done.stderr);
    host.wait_tidy();
}

#[test]
fn a_start_that_nobody_waits_for_any_more_is_given_up() {
    let world = World::with(|config| config.faults.push(Fault::NoAddressEver));
    let host = SshHost::new(world, &GOES);
    let running = host.run("true").start();
    host.world.wait_until(|world| !world.stand_in().tasks().is_empty());
    running.signal(Signal::SIGINT);
    let _ = running.wait();
    assert_eq!(host.world.stopped_task().stop_code.as_deref(), Some("UserInitiated"));
    host.wait_tidy();
}

#[test]
fn a_keeper_that_is_told_to_end_stops_the_task_and_the_connections() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let host = SshHost::new(World::new(), &STAYS);
        let mut running = host.run("echo ready; sleep 1000").start();
        running.read_until("ready");
        kill(host.keeper().expect("a keeper"), signal).expect("it runs");
        assert_eq!(running.wait().code, 255, "{signal}");
        assert_eq!(host.world.stopped_task().stop_code.as_deref(), Some("UserInitiated"), "{signal}");
        host.wait_tidy();
    }
}

#[test]
fn without_a_keeper_the_container_waits_a_little_longer_than_it_and_ends() {
    let host = SshHost::new(World::new(), &GOES);
    let mut running = host.run("echo ready; sleep 1000").start();
    running.read_until("ready");
    kill(host.keeper().expect("a keeper"), Signal::SIGKILL).expect("it runs");
    assert_eq!(running.wait().code, 255);
    let task = host.world.stopped_task();
    assert_eq!(task.stop_code.as_deref(), Some("EssentialContainerExited"));
    assert!(host.world.stand_in().log(&task.arn, "cli").iter().any(|line| line.contains("the last connection closed")));
    host.world.wait_gone(&task.address.expect("an address"));
}

#[test]
fn what_a_killed_keeper_left_is_swept_by_the_next() {
    let host = SshHost::new(World::new(), &STAYS);
    assert_eq!(host.run("true").run().code, 0);
    kill(host.keeper().expect("a keeper"), Signal::SIGKILL).expect("it runs");
    host.wait_until("the keeper is gone", |host| host.keeper().is_none());
    assert_eq!(host.directories().len(), 1, "nobody could take it away");
    let other = SshHost::new(World::new(), &GOES);
    let shared = host.runtime().display().to_string();
    let config = other.ssh_config(&["--linger", "1s", "--runtime-dir", &shared]).run();
    std::fs::write(other.config(), config.stdout).expect("written");
    assert_eq!(other.run("true").run().code, 0);
    let _ = other.world.stopped_task();
    host.wait_until("both directories are gone", |host| host.directories().is_empty());
    let done = host.run("echo back").run();
    assert_eq!((done.code, done.text().as_str()), (0, "back\n"), "{}", done.stderr);
    assert_eq!(host.launches(), 2);
}

#[test]
fn a_task_that_cannot_be_stopped_is_told_to_whoever_comes_next() {
    let refused = Fault::AccessDenied { action: "ecs:StopTask".to_owned() };
    let host = SshHost::new(World::with(|config| config.faults.push(refused)), &["--linger", "1s"]);
    assert_eq!(host.run("true").run().code, 0);
    host.wait_until("the keeper goes", |host| host.keeper().is_none());
    assert!(host.log().contains("the task could not be stopped"), "{}", host.log());
    let next = host.run("true").run();
    assert_eq!(next.code, 0);
    assert!(next.stderr.contains("hint: stop it yourself: aws ecs stop-task"), "{}", next.stderr);
    host.wait_until("the second keeper goes", |host| host.keeper().is_none());
    // Nobody stops these two: their containers end by themselves.
    for task in host.world.stand_in().tasks() {
        host.world.wait_stopped(&task.arn);
    }
}
