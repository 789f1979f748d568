//! Forwards through a target that runs already, over sessions of Systems Manager: no task is run.

mod data;
mod endings;
mod refusals;
pub(crate) mod service;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

use e2e::program::Running;
use e2e::{Postgres, Program, World};
use local_fargate::{Config, Instance};
use serde_json::Value;

const INSTANCE: &str = "i-0123456789abcdef0";

/// A world with an instance whose agent is as fast as it can be, unless it is told otherwise.
fn world_with(configure: impl FnOnce(&mut Config)) -> World {
    World::with(|config| {
        config.instances.push(Instance::new(INSTANCE));
        config.agents.pacing = false;
        configure(config);
    })
}

/// A forward to each of these, from a port that is free, which is up.
fn forwarding(world: &World, targets: &[String]) -> (Running, Vec<u16>) {
    let specs = targets.iter().map(|target| format!("0:{target}"));
    started(world, &["--target", INSTANCE], specs)
}

fn started(world: &World, through: &[&str], specs: impl IntoIterator<Item = String>) -> (Running, Vec<u16>) {
    up(world.program(), through, specs)
}

fn up(program: Program, through: &[&str], specs: impl IntoIterator<Item = String>) -> (Running, Vec<u16>) {
    let specs: Vec<_> = specs.into_iter().collect();
    let count = specs.len();
    let program = program.arg("forward").args(through).args(["--output", "json"]).args(specs);
    let mut running = program.start();
    let ports = (1..=count).map(|number| {
        let line = running.read_line_with("\"port\":");
        let told: Value = serde_json::from_str(&line).expect("one object to a line");
        assert_eq!((told["forward"].as_u64(), &told["kind"]), (Some(number as u64), &"local".into()), "{line}");
        u16::try_from(told["port"].as_u64().expect("a number")).expect("a port")
    });
    let ports = ports.collect();
    (running, ports)
}

/// A server of its own thread for each connection. Its port on this address.
fn server(address: Ipv4Addr, serve: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, serve) = (stream.expect("a connection"), serve.clone());
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

/// One that gives back what it gets.
fn echo(address: Ipv4Addr) -> u16 {
    server(address, |stream| {
        let mut writer = stream.try_clone().expect("a socket");
        // A connection that is cut is what some tests are about.
        let _ = std::io::copy(&mut &stream, &mut writer);
    })
}

fn local(port: u16) -> String {
    format!("localhost:{port}")
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("listening");
    stream.set_read_timeout(Some(e2e::world::PATIENCE)).expect("a limit");
    stream
}

/// A word there and back.
fn echoed(stream: &mut TcpStream, word: &[u8]) {
    stream.write_all(word).expect("written");
    let mut answer = vec![0; word.len()];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, word);
}

/// Names and parameters of the sessions that were asked for.
fn asked(world: &World) -> Vec<(String, Value)> {
    let calls = world.stand_in().journal().into_iter();
    let of_start = calls.filter(|call| (call.service, call.action.as_str()) == ("ssm", "StartSession"));
    let named = |request: Value| {
        (request["DocumentName"].as_str().unwrap_or_default().to_owned(), request["Parameters"].clone())
    };
    of_start.map(|call| named(call.request)).collect()
}

/// Looks whether no session is left, nothing was run, and what was sent was as the protocol has it.
fn all_over(world: &World) {
    world.wait_until(|world| world.stand_in().sessions().iter().all(|session| session.is_over));
    for session in world.stand_in().sessions() {
        assert_eq!(session.irregularities, Vec::<String>::new(), "{session:?}");
    }
    assert!(!world.calls().contains(&"ecs:RunTask".to_owned()), "{:?}", world.calls());
}

fn count(world: &World, call: &str) -> usize {
    world.calls().iter().filter(|known| *known == call).count()
}

#[test]
fn psql_talks_to_a_database_beside_the_agent() {
    let Some(database) = Postgres::start() else { return };
    for version in ["3.3.2299.0", "2.3.1205.0"] {
        let world = world_with(|config| config.agents.version = version.to_owned());
        let query = "select 6 * 7; select sum(length(repeat('x', 1000) || n)) from generate_series(1, 2000) n";
        let done = world
            .program()
            .args(["forward", "--target", INSTANCE, &format!("0:127.0.0.1:{}", database.port)])
            .args(["--", "psql", "-h", "{host}", "-p", "{port}", "-U", "postgres", "-At", "-c", query])
            .run();
        assert_eq!((done.code, done.text().as_str()), (0, "42\n2006893\n"), "{version}: {}", done.stderr);
        assert_eq!(count(&world, "ssm:TerminateSession"), 1, "{:?}", world.calls());
        all_over(&world);
    }
}

#[test]
fn a_program_is_told_where_its_forwards_are_and_its_end_is_ours() {
    let world = world_with(|_| {});
    let (one, other) = (echo(Ipv4Addr::LOCALHOST), echo(Ipv4Addr::new(127, 0, 0, 2)));
    let line = r#"test "$FARGATE_LOGIN_FORWARD_2_PORT" = "{port_2}" && test "$FARGATE_LOGIN_FORWARD_HOST" = "{host}" && cat; exit 9"#;
    let done = world
        .program()
        .args(["forward", "--target", INSTANCE, &format!("0:{}", local(one)), &format!("0:127.0.0.2:{other}")])
        .args(["--exec", "--", "sh", "-c", line])
        .run_with(b"its input");
    assert_eq!((done.code, done.text().as_str()), (9, "its input"), "{}", done.stderr);
    let wanted = [
        ("AWS-StartPortForwardingSession".to_owned(), serde_json::json!({"portNumber": [one.to_string()]})),
        (
            "AWS-StartPortForwardingSessionToRemoteHost".to_owned(),
            serde_json::json!({"portNumber": [other.to_string()], "host": ["127.0.0.2"]}),
        ),
    ];
    let mut seen = asked(&world);
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(seen, wanted);
    all_over(&world);
    let done = world
        .program()
        .args(["forward", "--target", INSTANCE, &format!("0:{}", local(one)), "--", "no-such-program-at-all"])
        .run();
    assert_eq!(done.code, 127, "{}", done.stderr);
    assert_eq!(count(&world, "ssm:StartSession"), 2, "nothing is started for it");
}

#[test]
fn a_dry_run_shows_the_sessions_and_starts_none() {
    let world = world_with(|_| {});
    let done = world.program().args(["forward", "--target", INSTANCE, "5432:db.internal:5432", "--dry-run"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let shown: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let session = &shown["sessions"][0];
    assert_eq!(session["startSession"]["DocumentName"], "AWS-StartPortForwardingSessionToRemoteHost");
    assert_eq!((&session["startSession"]["Target"], &session["listen"]), (&INSTANCE.into(), &"port 5432".into()));
    assert_eq!(count(&world, "ssm:StartSession"), 0);
}

#[test]
fn a_request_that_ends_is_answered() {
    // The agent closes both directions at once, so ours must not be closed before the answer is here.
    let port = server(Ipv4Addr::LOCALHOST, |mut stream| {
        let mut head = [0; 8];
        stream.read_exact(&mut head).expect("a request");
        std::thread::sleep(std::time::Duration::from_millis(300));
        stream.write_all(b"a late answer").expect("written");
    });
    let world = world_with(|_| {});
    let (running, ports) = forwarding(&world, &[local(port)]);
    let mut stream = connect(ports[0]);
    stream.write_all(b"question").expect("written");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "a late answer");
    running.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(running.wait().code, 130);
    all_over(&world);
}
