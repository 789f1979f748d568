//! Forwards that cannot be: each is told with its part or its reason, and costs no more than it must.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use e2e::{Program, World, ancestor};

use super::{asked, end, gone, port_in, shouting};

#[test]
fn the_wrong_part_of_a_forward_is_named_and_nothing_is_launched() {
    let table: [(&[&str], &str); 12] = [
        (&["-N", "-L", "99999:db:5432"], "`-L`: `99999` is not a port to listen on"),
        (&["-N", "-L", "5432"], "`-L`: `5432` has no target"),
        (&["-N", "-L", "80:db:http"], "`-L`: `http` is not the port of a target"),
        (&["-N", "-L", "80:[db]:81"], "`-L`: `db` is not an IPv6 address"),
        (&["-N", "-L", "80:2001:db8::7:81"], "`-L`: `80:2001:db8::7:81` has too many parts"),
        (&["-N", "-R", "80:db"], "`-R`: `80:db` has a target without a host, or without a port"),
        (&["-N", "-R", "80:[::1:81"], "`-R`: `[::1:81` has no `]`"),
        (&["-N", "-D", "/tmp/socks"], "`-D`: `/tmp/socks` is the path of a socket"),
        (&["-N", "-D", "socks"], "`-D`: `socks` is not a port to listen on"),
        (&["-W", "db"], "`-W`: `db` has no port"),
        (&["-N", "-o", "LocalForward=80 db:0"], "`-o`: `0` in LocalForward is not the port of a target"),
        (&["forward", "80:d b:81"], "`SPEC`: `d` is not a port to listen on"),
    ];
    let world = World::new();
    for (args, told) in table {
        let done = world.login().args(args).run();
        assert_eq!((done.code, done.text().as_str()), (2, ""), "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains(told) && done.stderr.contains("hint: "), "{told}: {}", done.stderr);
    }
    assert!(world.calls().is_empty(), "{:?}", world.calls());
}

#[test]
fn a_port_that_needs_a_privilege_is_told_with_one_that_does_not() {
    let told = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").expect("Linux");
    let first: u16 = told.trim().parse().expect("a port");
    if first <= 80 {
        // A container whose network was made so: nobody needs a privilege here.
        let _ = writeln!(std::io::stderr(), "left out: every port is free from {first} on");
        return;
    }
    let world = World::new();
    let login = world.login().args(["-N", "-L", "80:db:5432"]);
    let (program, args, env) = login.parts();
    // Root keeps everything but that privilege.
    let bare = Program::new("/usr/bin/setpriv".into()).args(["--bounding-set=-net_bind_service"]);
    let bare = bare.args(["--inh-caps=-net_bind_service"]).arg(program.as_os_str()).args(args);
    let bare = env.iter().fold(bare, |bare, (name, value)| bare.env(name, value));
    let done = if nix::unistd::geteuid().is_root() { bare } else { login }.run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    let error = format!("error: cannot listen on port 80: ports below {first} need a privilege");
    let hint = format!("hint: choose a port from {first}, or 0 for one that is free");
    assert!(done.stderr.contains(&error) && done.stderr.contains(&hint), "{}", done.stderr);
    assert!(!world.calls().contains(&"ecs:RunTask".to_owned()), "nothing is launched");
}

#[test]
fn a_listener_that_the_task_refuses_ends_the_run_unless_it_is_to_go_on_without() {
    // The task is a process of this machine.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let spec = format!("{}:db:5432", taken.local_addr().expect("bound"));
    let told = format!("the task refuses to listen on {} for db:5432", taken.local_addr().expect("bound"));
    let world = World::new();
    let done = world.login().args(["-R", &spec, "--shell-command", "echo begun"]).run();
    assert_eq!((done.code, done.text().as_str()), (255, ""), "{}", done.stderr);
    assert!(done.stderr.contains(&format!("error: {told}")) && done.stderr.contains("--keep-going"), "{}", done.stderr);
    gone(&world);
    for goes_on in [&["--keep-going"][..], &["-o", "ExitOnForwardFailure=no"]] {
        let world = World::new();
        let done = world.login().args(["-R", &spec, "--shell-command", "exit 3"]).args(goes_on).run();
        assert_eq!(done.code, 3, "{goes_on:?}: {}", done.stderr);
        assert!(done.stderr.contains(&format!("warning: {told}")), "{goes_on:?}: {}", done.stderr);
    }
}

#[test]
fn a_target_without_an_address_ends_its_connection_alone() {
    let (server, world) = (shouting(), World::new());
    // A name that no name server needs to be asked for.
    let flags = ["-N", "-L", "0:nowhere..invalid:80", "-L", &format!("0:127.0.0.1:{server}")];
    let mut running = world.login().args(flags).start();
    let [nowhere, somewhere] = [(); 2].map(|()| port_in(&running.hear("forwarding 127.0.0.1:")));
    let open = TcpStream::connect(("127.0.0.1", somewhere)).expect("listening");
    let mut refused = TcpStream::connect(("127.0.0.1", nowhere)).expect("listening");
    assert!(matches!(refused.read(&mut [0]), Ok(0) | Err(_)));
    let line = running.hear("open failed: ");
    assert!(line.starts_with(&format!("forward from 127.0.0.1:{nowhere} to nowhere..invalid:80: ")), "{line}");
    assert!(line.contains("cannot be resolved: "), "{line}");
    assert_eq!(super::asked_over(open, "still"), "STILL");
    assert_eq!(asked(somewhere, "and again"), "AND AGAIN");
    end(&world, running);
}

#[test]
fn a_server_that_does_not_forward_is_told_as_that() {
    let world = ancestor::world_with("AllowTcpForwarding no");
    let login = || world.login().args(ancestor::flags());
    let done = login().args(["-W", "127.0.0.1:9"]).run();
    assert_eq!((done.code, done.text().as_str()), (255, ""), "{}", done.stderr);
    assert!(done.stderr.contains("error: 127.0.0.1:9: open failed: administratively prohibited"), "{}", done.stderr);
    let done = login().args(["-R", "0:db:5432", "--shell-command", "exit 3"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("error: the task refuses to listen on port 0 for db:5432"), "{}", done.stderr);
}
