//! How long the user waits for us: to RunTask on the wire, to a prompt, from a listening init to a prompt.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::world::executable;
use e2e::{Program, Terminal, World};

use super::statistics::{Figure, median};

const RUNS: usize = 20;

/// From the start of the process until its RunTask request has arrived, credentials from the environment, no other call
/// before. The peer is the shell script's way of the same thing: `aws ecs run-task`.
pub(crate) fn run_task_on_the_wire() -> Vec<Figure> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let ours = || {
        let mut command = Command::new(executable());
        command.args(["-n", "x", "-sn", "subnet-1", "--no-tags", "-q", "--endpoint-url", &endpoint, "--", "true"]);
        command
    };
    let mut samples: Vec<_> = (0..RUNS).map(|_| until_run_task(&listener, ours())).collect();
    let figure = Figure::new("start to RunTask on the wire, median of 20", median(&mut samples), "ms");
    let Some(aws) = std::env::var_os("FARGATE_LOGIN_AWSCLI") else { return vec![figure] };
    let peer = || {
        let mut command = Command::new(&aws);
        command.args(["ecs", "run-task", "--task-definition", "x", "--endpoint-url", &endpoint]);
        command
    };
    let mut samples: Vec<_> = (0..RUNS / 4).map(|_| until_run_task(&listener, peer())).collect();
    vec![figure.against("aws ecs run-task", median(&mut samples))]
}

fn until_run_task(listener: &TcpListener, mut command: Command) -> Duration {
    let environment = [
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("HOME", "/nonexistent".to_owned()),
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
    ];
    command.env_clear().envs(environment).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let mut child = command.spawn().expect("the program starts");
    let (stream, _) = listener.accept().expect("a request");
    let took = read_run_task(stream, began);
    stop(&mut child);
    took
}

fn read_run_task(mut stream: TcpStream, began: Instant) -> Duration {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).expect("a request");
        request.extend(buffer.get(..read).unwrap_or_default());
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if text.contains("v20141113.runtask") {
            let took = began.elapsed();
            // Not retried, so that the next accept belongs to the next process.
            let body = r#"{"__type":"ClientException","message":"measured"}"#;
            let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.1\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            return took;
        }
        assert!(read > 0, "no RunTask in: {text}");
    }
}

fn stop(child: &mut Child) {
    // Ended already when it took the answer.
    let _ = child.kill();
    let _ = child.wait();
}

/// `--local`: from the start of the process, emulator and all, to the prompt in a terminal.
pub(crate) fn local_prompt() -> Vec<Figure> {
    let program = Program::new(executable())
        .args(["--local", "-n", "test-cli", "-sg", "sg-1", "-sn", "subnet-1"])
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", std::env::temp_dir())
        .env("TERM", "xterm");
    let mut samples = Vec::new();
    for _ in 0..RUNS / 2 {
        let began = Instant::now();
        let mut terminal = Terminal::start(&program);
        terminal.expect_prompt();
        samples.push(began.elapsed());
        terminal.send("exit\r");
        assert_eq!(terminal.wait(), 0);
    }
    vec![Figure::new("--local to prompt, median of 10", median(&mut samples), "ms")]
}

/// From the init's `listen` event until a prompt has been read by the user. The container takes a second to get there, as a
/// real one takes at least: the address is known before, and what is measured is ours.
pub(crate) fn listening_to_prompt() -> Vec<Figure> {
    let mut samples = Vec::new();
    for _ in 0..RUNS {
        let world = World::with(|config| {
            let late = "sleep 1; exec \"$0\" __fargate-init";
            let program = executable().into_os_string();
            config.images[0].entry_point = vec!["/bin/sh".into(), "-c".into(), late.into(), program];
        });
        let mut terminal = Terminal::start(&world.login());
        terminal.expect_prompt();
        let prompted = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let listened = listened(&world);
        samples.push(prompted.saturating_sub(listened));
        terminal.send("exit\r");
        assert_eq!(terminal.wait(), 0);
    }
    vec![Figure::new("init listens to prompt at the user, median of 20", median(&mut samples), "ms")]
}

/// When the init said that it listens, since the epoch.
fn listened(world: &World) -> Duration {
    let log = world.stand_in().log(&world.task().arn, "cli");
    let event = log
        .iter()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|event| event["event"] == "listen")
        .expect("the init logs that it listens");
    let time: jiff::Timestamp = event["time"].as_str().expect("a time").parse().expect("RFC 3339");
    Duration::try_from(time.as_duration()).expect("after 1970")
}
