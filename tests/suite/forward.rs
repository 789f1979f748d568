//! Tunnels through a task: real clients of real servers, what is told, and what is left when the client is gone.

mod children;
mod listeners;
mod reconnect;
mod refusals;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

use e2e::program::Running;
use e2e::world::PATIENCE;
use e2e::{Postgres, World};
use nix::sys::signal::Signal;
use serde_json::Value;

/// A server that reads to the end and answers with what it read, in capitals. Its port.
fn shouting() -> u16 {
    shouting_at("127.0.0.1")
}

fn shouting_at(address: &str) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            std::thread::spawn(move || {
                let mut heard = String::new();
                stream.read_to_string(&mut heard).expect("text");
                stream.write_all(heard.to_uppercase().as_bytes()).expect("written");
            });
        }
    });
    port
}

/// Asks a server at this port, half closing behind the request.
fn asked(port: u16, words: &str) -> String {
    asked_over(TcpStream::connect(("127.0.0.1", port)).expect("listening"), words)
}

fn asked_over(mut stream: TcpStream, words: &str) -> String {
    stream.write_all(words.as_bytes()).expect("written");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The port in a line such as `forwarding 127.0.0.1:40001 to db:5432`.
fn port_in(line: &str) -> u16 {
    let place = line.split(" to ").next().and_then(|place| place.rsplit(':').next());
    place.and_then(|port| port.trim().parse().ok()).expect(line)
}

/// Looks whether everything is gone. Whether the task ended because it was stopped, or because its client had said goodbye, is a race.
fn gone(world: &World) {
    let task = world.stopped_task();
    assert!(world.calls().contains(&"ecs:StopTask".to_owned()), "{task:?}");
    world.wait_gone(&task.address.expect("an address"));
}

/// Ends it as a user does.
fn end(world: &World, running: Running) {
    running.signal(Signal::SIGINT);
    let done = running.wait();
    assert_eq!(done.code, 130, "{}", done.stderr);
    gone(world);
}

#[test]
fn psql_talks_to_a_database_behind_the_task() {
    let Some(database) = Postgres::start() else { return };
    let world = World::new();
    let forward = format!("0:127.0.0.1:{}", database.port);
    let psql = ["-L", &forward, "--exec", "--", "psql", "-h", "{host}", "-p", "{port}", "-U", "postgres", "-At", "-c"];
    // A large answer, too, so that flow control has something to do.
    let query = "select 6 * 7; select sum(length(repeat('x', 1000) || n)) from generate_series(1, 20000) n";
    let done = world.login().args(psql).arg(query).run();
    assert_eq!((done.code, done.text().as_str()), (0, "42\n20088894\n"), "{}", done.stderr);
    gone(&world);
    let world = World::new();
    let done = world.login().args(psql).arg("select no_such_column").run();
    assert_eq!(done.code, 1, "its own exit status: {}", done.stderr);
    assert!(done.stderr.contains("no_such_column"), "{}", done.stderr);
}

/// A web server that says hello. Its port.
fn greeting(address: &str) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let read = stream.read(&mut request).expect("a request");
            assert!(read > 0, "a request");
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
                .expect("written");
        }
    });
    port
}

#[test]
fn curl_goes_through_the_socks_proxy_by_name_and_by_address() {
    let (port, port_v6) = (greeting("127.0.0.1"), greeting("::1"));
    for (proxy, host, port) in [
        ("socks5h", "localhost", port),
        ("socks4a", "localhost", port),
        ("socks5", "localhost", port),
        ("socks5", "[::1]", port_v6),
    ] {
        let world = World::new();
        let done = world
            .login()
            .args(["-D", "0", "--exec", "--", "curl", "--silent", "--show-error", "--max-time", "60", "--proxy"])
            .args([format!("{proxy}://{{host}}:{{port}}"), format!("http://{host}:{port}/")])
            .run();
        assert_eq!((done.code, done.text().as_str()), (0, "hello"), "{proxy} {host}: {}", done.stderr);
    }
}

#[test]
fn forward_tells_programs_where_its_listeners_are_and_holds_them() {
    let server = shouting();
    for (format, words) in [("json", "\"port\":"), ("env", "FARGATE_LOGIN_FORWARD_1_PORT=")] {
        let world = World::new();
        let spec = format!("0:localhost:{server}");
        let program = world.program().args(["-n", "test-cli", "-sg", "sg-1", "-sn", "subnet-1", "-p", "2222"]);
        let mut running = program.args(["forward", &spec, "--output", format]).start();
        let line = running.read_line_with(words);
        let port = match format {
            "json" => {
                let told: Value = serde_json::from_str(&line).expect("one object to a line");
                assert_eq!((&told["kind"], &told["target"]), (&"local".into(), &format!("localhost:{server}").into()));
                u16::try_from(told["port"].as_u64().expect("a number")).expect("a port")
            }
            _ => line.trim().rsplit('=').next().and_then(|port| port.parse().ok()).expect("a port"),
        };
        assert_eq!(asked(port, "at once"), "AT ONCE", "what is told can be used");
        assert_eq!(asked(port, "again"), "AGAIN");
        end(&world, running);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens any more");
    }
}

#[test]
fn a_listener_of_the_task_leads_here() {
    let (server, world) = (shouting(), World::new());
    let mut running = world.login().args(["-N", "-R", &format!("0:127.0.0.1:{server}")]).start();
    let line = running.hear("forwarding the task's ");
    assert_eq!(asked(port_in(&line), "from there"), "FROM THERE");
    end(&world, running);
}

#[test]
fn curl_in_the_task_goes_through_a_socks_proxy_that_leads_here() {
    let (port, closed) = (greeting("127.0.0.1"), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let nobody = closed.local_addr().expect("bound").port();
    drop(closed);
    let world = World::new();
    let wanted = [
        "-R",
        "0",
        "--shell-command",
        "read proxy; while read -r name url && test $name != end; do curl -sS --max-time 60 -x $name://$proxy $url; echo \" $?\"; done",
    ];
    let mut running = world.login().args(wanted).start();
    let line = running.hear("forwarding the task's ");
    let proxy = line.split("task's ").nth(1).and_then(|rest| rest.split(' ').next()).expect("an address");
    assert!(line.contains(" as a SOCKS proxy"), "{line}");
    running.feed(format!("{proxy}\n").as_bytes());
    for scheme in ["socks5h", "socks5", "socks4a", "socks4"] {
        running.feed(format!("{scheme} http://localhost:{port}/\n").as_bytes());
        assert_eq!(running.read_line_with("hello").trim(), "hello 0", "{scheme}");
    }
    // "Proxy handshake failed", by the reply that says why (curl(1), exit code 97).
    running.feed(format!("socks5h http://127.0.0.1:{nobody}/\n").as_bytes());
    running.read_line_with(" 97");
    let told = running.hear("connect failed");
    assert!(told.contains(&format!("to 127.0.0.1:{nobody}")), "{told}");
    running.feed(b"end\n");
    assert_eq!(running.wait().code, 0);
    gone(&world);
}

#[test]
fn a_pipe_is_one_connection() {
    let (server, world) = (shouting(), World::new());
    let done = world.login().args(["-W", &format!("127.0.0.1:{server}")]).run_with(b"through the pipe");
    assert_eq!((done.code, done.text().as_str()), (0, "THROUGH THE PIPE"), "{}", done.stderr);
    gone(&world);
    let world = World::new();
    let done = world.login().args(["-W", "no-such-host.invalid:1"]).run();
    assert_eq!((done.code, done.text().as_str()), (255, ""));
    assert!(done.stderr.contains("no-such-host.invalid:1: open failed: connect failed: "), "{}", done.stderr);
}

#[test]
fn forwards_stand_beside_a_session() {
    let (server, world) = (shouting(), World::new());
    let forward = format!("0:127.0.0.1:{server}");
    let mut running = world.login().args(["-L", &forward, "--shell-command", "echo ready; read line; exit 5"]).start();
    let port = port_in(&running.hear("forwarding 127.0.0.1:"));
    running.read_until("ready");
    assert_eq!(asked(port, "beside"), "BESIDE");
    running.feed(b"\n");
    assert_eq!(running.wait().code, 5);
    let log = world.stand_in().log(&world.stopped_task().arn, "cli");
    assert!(log.iter().any(|line| line.contains("forward_end")), "{log:?}");
}

#[test]
fn a_refused_target_ends_its_connection_and_is_told_with_its_reason() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let world = World::new();
    let mut running = world.login().args(["-N", "-L", &format!("0:127.0.0.1:{closed}")]).start();
    let port = port_in(&running.hear("forwarding 127.0.0.1:"));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("listening");
    let read = stream.read(&mut [0; 1]);
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    let line = running.hear("open failed");
    assert!(line.to_lowercase().contains("connection refused"), "{line}");
    end(&world, running);
}

#[test]
fn a_port_that_is_taken_costs_nothing_and_names_who_has_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let world = World::new();
    let forward = format!("{port}:db:5432");
    let done = world.login().args(["-N", "-L", &forward]).run();
    assert_eq!(done.code, 255);
    let owner = format!("(pid {})", std::process::id());
    assert!(done.stderr.contains("it is in use by") && done.stderr.contains(&owner), "{}", done.stderr);
    assert!(!world.calls().contains(&"ecs:RunTask".to_owned()), "nothing is launched");
    // Without that listener.
    let world = World::new();
    let done = world.login().args(["-L", &forward, "--keep-going", "--shell-command", "exit 3"]).run();
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("warning: cannot listen on"), "{}", done.stderr);
}

#[test]
fn the_session_uses_our_agent_and_no_other_does() {
    let world = World::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (socket, key) = (folder.path().join("agent"), folder.path().join("key"));
    let mut agent =
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().expect("an agent");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "in the agent", "-f"])
        .arg(&key)
        .status();
    assert!(made.expect("ssh-keygen").success());
    let added =
        || Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null()).status();
    let began = Instant::now();
    // Nobody tells when an agent listens.
    while !added().expect("ssh-add").success() {
        assert!(began.elapsed() < PATIENCE, "the agent takes no key");
        std::thread::yield_now();
    }
    let login = || world.login().env("SSH_AUTH_SOCK", &socket);
    let done = login().args(["-A", "--shell-command", "ssh-add -l"]).run();
    let without = login().args(["--shell-command", "ssh-add -l"]).run();
    agent.kill().and_then(|()| agent.wait()).expect("our own agent");
    assert!(done.code == 0 && done.text().contains("in the agent"), "{}{}", done.text(), done.stderr);
    assert_eq!(without.code, 2, "there is none: {}{}", without.text(), without.stderr);
}

#[test]
fn a_killed_client_leaves_nothing() {
    let (server, world) = (shouting(), World::new());
    let flags = ["-N", "--reconnect-grace", "1s", "-L", &format!("0:127.0.0.1:{server}")];
    let mut running = world.login().args(flags).start();
    let port = port_in(&running.hear("forwarding 127.0.0.1:"));
    assert_eq!(asked(port, "it stands"), "IT STANDS");
    running.signal(Signal::SIGKILL);
    assert_eq!(running.wait().code, 137);
    let task = world.stopped_task();
    assert_eq!(task.exit_codes, [("cli".to_owned(), Some(121))], "nobody came back: {task:?}");
    world.wait_gone(&task.address.expect("an address"));
}
