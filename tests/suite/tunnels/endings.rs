//! Ends: of the run, of a session under it, and of what was open then.

use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use local_fargate::{Fault, Impairment};
use nix::sys::signal::Signal;
use serde_json::json;

use super::{all_over, connect, count, echo, echoed, forwarding, local, world_with};

/// Reads until the connection is reset.
fn reset(mut stream: TcpStream) {
    let error = stream.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
}

#[test]
fn a_signal_ends_every_session() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let world = world_with(|_| {});
        let server = echo(Ipv4Addr::LOCALHOST);
        let (running, ports) = forwarding(&world, &[local(server), format!("127.0.0.2:{server}"), local(server)]);
        let mut open = connect(ports[0]);
        echoed(&mut open, b"it stands");
        running.signal(signal);
        let done = running.wait();
        assert_eq!(done.code, code, "{}", done.stderr);
        reset(open);
        assert_eq!((count(&world, "ssm:StartSession"), count(&world, "ssm:TerminateSession")), (3, 3));
        all_over(&world);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, ports[0])).is_err(), "nobody listens any more");
    }
}

#[test]
fn a_signal_before_the_sessions_stand_ends_them_too() {
    let world = world_with(|_| {});
    world.stand_in().inject(Fault::SlowApi { action: "StartSession".to_owned(), delay: Duration::from_millis(500) });
    let mut running = world.program().args(["forward", "--target", super::INSTANCE, "0:localhost:1"]).start();
    running.hear("StartSession");
    running.signal(Signal::SIGINT);
    let done = running.wait();
    assert_eq!(done.code, 130, "{}", done.stderr);
    assert_eq!(count(&world, "ssm:StartSession"), count(&world, "ssm:TerminateSession"), "{:?}", world.calls());
    all_over(&world);
}

#[test]
fn a_session_that_an_administrator_ends_is_replaced_when_somebody_connects() {
    let world = world_with(|_| {});
    let (mut running, ports) = forwarding(&world, &[local(echo(Ipv4Addr::LOCALHOST))]);
    let mut open: Vec<_> = (0..5).map(|_| connect(ports[0])).collect();
    open.iter_mut().for_each(|stream| echoed(stream, b"open"));
    let id = world.stand_in().sessions()[0].id.clone();
    world.call("ssm", "TerminateSession", &json!({"SessionId": id})).expect("ended");
    open.into_iter().for_each(reset);
    let line = running.hear("; the next connection starts another");
    assert!(line.starts_with("forward from 127.0.0.1:") && line.contains("the session was ended"), "{line}");
    assert_eq!(count(&world, "ssm:StartSession"), 1, "nobody has connected yet");
    echoed(&mut connect(ports[0]), b"in another");
    assert_eq!(count(&world, "ssm:StartSession"), 2);
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code, 130);
    all_over(&world);
}

#[test]
fn a_session_that_nobody_used_ends_with_its_reason() {
    let world = world_with(|_| {});
    let mut network = Impairment::default();
    network.idle_close = Some(Duration::from_secs(1));
    world.stand_in().inject(Fault::Times { count: 1, fault: Box::new(Fault::Impaired(network)) });
    let (mut running, ports) = forwarding(&world, &[local(echo(Ipv4Addr::LOCALHOST))]);
    let line = running.hear("; the next connection starts another");
    assert!(line.contains("timed out"), "{line}");
    echoed(&mut connect(ports[0]), b"in another");
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code, 130);
    all_over(&world);
}

#[test]
fn sessions_that_do_not_last_are_not_started_in_a_hot_loop() {
    let world = world_with(|_| {});
    let mut network = Impairment::default();
    network.idle_close = Some(Duration::from_millis(300));
    world.stand_in().inject(Fault::Impaired(network));
    let (running, ports) = forwarding(&world, &[local(echo(Ipv4Addr::LOCALHOST))]);
    let began = std::time::Instant::now();
    // Each takes a session of its own, and they come one after the other as fast as they can.
    for _ in 0..3 {
        let mut stream = connect(ports[0]);
        let _ = stream.read(&mut [0]);
    }
    let started = count(&world, "ssm:StartSession");
    // The first pause is a second, the next one two.
    assert!(began.elapsed() >= Duration::from_secs(3), "{started} sessions in {:?}", began.elapsed());
    assert!(started <= 4, "{started} sessions");
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code, 130);
}
