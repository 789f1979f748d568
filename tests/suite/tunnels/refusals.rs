//! What cannot be had: each is a clear sentence, and costs no more than it must.

use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, TcpListener};

use local_fargate::Fault;
use nix::sys::signal::Signal;

use super::{INSTANCE, all_over, connect, count, echo, echoed, forwarding, local, world_with};

/// A port that nobody listens on.
fn nobody() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

#[test]
fn a_refused_connection_is_reset_and_told_and_the_others_go_on() {
    let world = world_with(|_| {});
    let unknown = "no-such-host.invalid:80".to_owned();
    let (mut running, ports) = forwarding(&world, &[local(nobody()), local(echo(Ipv4Addr::LOCALHOST)), unknown]);
    for port in [ports[0], ports[2]] {
        let error = connect(port).read(&mut [0]).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let line = running.hear("the agent cannot connect there");
        assert!(line.starts_with(&format!("forward from 127.0.0.1:{port} to ")), "{line}");
    }
    echoed(&mut connect(ports[1]), b"this one goes");
    running.signal(Signal::SIGINT);
    let done = running.wait();
    assert_eq!((done.code, done.stderr.matches("cannot connect there").count()), (130, 2), "{}", done.stderr);
    assert_eq!(count(&world, "ssm:StartSession"), 3, "nothing was started anew for it");
    all_over(&world);
}

#[test]
fn an_old_agents_refusal_has_its_reason() {
    let world = world_with(|config| config.agents.version = "2.3.1205.0".to_owned());
    let (mut running, _) = forwarding(&world, &[local(nobody())]);
    let line = running.hear("; the next connection starts another");
    assert!(line.contains("the port refuses the connection") && line.contains("connect: connection refused"), "{line}");
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code, 130);
    all_over(&world);
}

#[test]
fn what_aws_refuses_is_told_with_advice() {
    let document = || Fault::DocumentDenied { name: "AWS-StartPortForwardingSession".to_owned() };
    let cases: [(&str, Option<Fault>, &str, &str); 6] = [
        ("i-00000000000000000", None, "TargetNotConnected: i-00000000000000000 is not connected", "instance profile"),
        ("ecs:shop_01_02", None, "TargetNotConnected: ecs:shop_01_02 is not connected", "ExecuteCommandAgent"),
        (
            INSTANCE,
            Some(Fault::AccessDenied { action: "ssm:StartSession".to_owned() }),
            "AccessDeniedException",
            "allow `ssm:StartSession`",
        ),
        (INSTANCE, Some(document()), "::document/AWS-StartPortForwardingSession", "on the session document"),
        (INSTANCE, Some(Fault::CredentialsExpired), "ExpiredTokenException: The security token", "sign in again"),
        (
            INSTANCE,
            Some(Fault::AccessDenied { action: "ssmmessages:OpenDataChannel".to_owned() }),
            "refuses the data channel (HTTP 403)",
            "ssmmessages:OpenDataChannel",
        ),
    ];
    for (target, fault, words, hint) in cases {
        let world = world_with(|_| {});
        fault.into_iter().for_each(|fault| world.stand_in().inject(fault));
        let done = world.program().args(["forward", "--target", target, "0:localhost:1"]).run();
        assert_eq!((done.code, done.text().as_str()), (255, ""), "{}", done.stderr);
        assert!(done.stderr.contains("error: ") && done.stderr.contains(words), "{words}: {}", done.stderr);
        assert!(done.stderr.contains("hint: ") && done.stderr.contains(hint), "{hint}: {}", done.stderr);
        all_over(&world);
    }
}

#[test]
fn a_host_that_agents_do_not_forward_to_ends_the_run_or_the_forward() {
    let world = world_with(|config| config.agents.refuse_loopback = true);
    for (host, program) in
        [("169.254.169.254", &[][..]), ("127.0.0.2", &[]), ("169.254.169.254", &["--", "sleep", "1000"])]
    {
        let spec = format!("0:{host}:80");
        let done = world.program().args(["forward", "--target", INSTANCE, &spec]).args(program.iter().copied()).run();
        assert_eq!(done.code, 255, "{}", done.stderr);
        let words = format!("the agent does not forward to that host: Forwarding to IP address {host} is forbidden");
        assert!(
            done.stderr.contains("error: forward from 127.0.0.1:") && done.stderr.contains(&words),
            "{}",
            done.stderr
        );
        assert!(done.stderr.contains("hint: agents refuse the metadata service"), "{}", done.stderr);
    }
    // The target itself has another document.
    let server = echo(Ipv4Addr::LOCALHOST);
    let (mut running, ports) = super::started(
        &world,
        &["--target", INSTANCE, "--keep-going"],
        ["0:169.254.169.254:80".to_owned(), format!("0:127.0.0.1:{server}")],
    );
    running.hear("warning: forward from 127.0.0.1:");
    let error = connect(ports[0]).read(&mut [0]).expect_err("nobody starts another session");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    echoed(&mut connect(ports[1]), b"this one goes on");
    assert_eq!(count(&world, "ssm:StartSession"), 5);
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code, 130);
    all_over(&world);
}

#[test]
fn a_throttled_start_is_repeated() {
    let world = world_with(|_| {});
    world.stand_in().inject(Fault::Throttle { action: "StartSession".to_owned(), count: 2 });
    let (running, ports) = forwarding(&world, &[local(echo(Ipv4Addr::LOCALHOST))]);
    echoed(&mut connect(ports[0]), b"in the end");
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code, 130);
}

#[test]
fn all_or_nothing_unless_it_is_to_go_on_without() {
    let server = echo(Ipv4Addr::LOCALHOST);
    let denied = || {
        let fault = Fault::AccessDenied { action: "ssm:StartSession".to_owned() };
        Fault::Times { count: 1, fault: Box::new(fault) }
    };
    let world = world_with(|_| {});
    world.stand_in().inject(denied());
    let specs = ["0:localhost:1", &format!("0:localhost:{server}")].map(str::to_owned);
    let done = world.program().args(["forward", "--target", INSTANCE]).args(specs.clone()).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("error: forward from 127.0.0.1:"), "{}", done.stderr);
    assert_eq!(count(&world, "ssm:TerminateSession"), 1, "the other is not left");
    all_over(&world);
    let world = world_with(|_| {});
    world.stand_in().inject(denied());
    let program =
        world.program().args(["forward", "--target", INSTANCE, "--keep-going", "--output", "env"]).args(specs);
    let mut running = program.start();
    running.read_line_with("FARGATE_LOGIN_FORWARD_1_PORT=");
    running.signal(Signal::SIGINT);
    let done = running.wait();
    assert!(done.stderr.contains("warning: forward from 127.0.0.1:"), "{}", done.stderr);
    all_over(&world);
}

#[test]
fn a_port_that_is_taken_here_costs_nothing_and_names_who_has_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let world = world_with(|_| {});
    let done = world.program().args(["forward", "--target", INSTANCE, &format!("{port}:db:5432")]).run();
    assert_eq!(done.code, 255);
    assert!(done.stderr.contains(&format!("(pid {})", std::process::id())), "{}", done.stderr);
    assert_eq!(count(&world, "ssm:StartSession"), 0);
}
