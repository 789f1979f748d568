//! Independent judges: boto3 and the AWS CLI against the stand-in, and our client against moto, an ECS and EC2 that others
//! wrote. Python is `FARGATE_LOGIN_PYTHON`, or `python3`; without boto3 and moto these tests pass with a remark, except in CI.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use e2e::{Program, World};
use local_fargate::Instance;
use serde_json::Value;

/// Python with the modules that a script needs, or `None` after saying so.
pub(crate) fn python(modules: &str) -> Option<Command> {
    let program = std::env::var_os("FARGATE_LOGIN_PYTHON").unwrap_or_else(|| "python3".into());
    let found = Command::new(&program).args(["-c", &format!("import {modules}")]).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        let mut command = Command::new(program);
        command.current_dir(scripts()).env("PYTHONDONTWRITEBYTECODE", "1");
        return Some(command);
    }
    let remark = format!("{} has no {modules}", program.display());
    assert!(std::env::var_os("CI").is_none(), "{remark}; CI leaves out nothing");
    // The test harness shows it with --nocapture.
    let _ = writeln!(std::io::stderr(), "left out: {remark}");
    None
}

fn scripts() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

#[test]
fn boto3_and_the_aws_cli_find_no_fault_with_the_stand_in() {
    let Some(mut python) = python("boto3, awscli") else { return };
    let world = World::with(|config| {
        config.instances = vec![Instance::new("i-0123456789abcdef0")];
        config.keys = vec!["alias/sessions".to_owned()];
    });
    let checked = python.arg("standin_check.py").arg(world.stand_in().endpoint_url()).output().expect("python runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(checked.status.success(), "{}{}", said(&checked.stdout), said(&checked.stderr));
}

/// moto, for as long as it lives, and what is ready in it.
struct Moto {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    ready: Value,
}

impl Moto {
    fn start(mut python: Command) -> Self {
        python.arg("moto_check.py").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = python.spawn().expect("moto starts");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let mut moto = Self { process, lines, ready: Value::Null };
        moto.ready = moto.next();
        moto
    }

    fn next(&mut self) -> Value {
        let line = self.lines.next().expect("moto answers").expect("text");
        serde_json::from_str(&line).expect("JSON")
    }

    /// What moto has of `tasks` or `rules`.
    fn show(&mut self, what: &str) -> Value {
        let stdin = self.process.stdin.as_mut().expect("a pipe");
        stdin.write_all(format!("{what}\n").as_bytes()).and_then(|()| stdin.flush()).expect("moto reads");
        self.next()
    }

    fn text(&self, name: &str) -> String {
        self.ready[name].as_str().expect("a text").to_owned()
    }

    /// Our program, with moto for AWS.
    fn program(&self) -> Program {
        Program::new(e2e::world::executable())
            .env("HOME", "/nonexistent")
            .env("AWS_ACCESS_KEY_ID", "moto")
            .env("AWS_SECRET_ACCESS_KEY", "moto")
            .env("AWS_REGION", self.text("region"))
            .env("AWS_ENDPOINT_URL", self.text("endpoint_url"))
    }

    /// A login that moto cannot answer: its tasks have no public address.
    fn login(&self) -> Program {
        let of_moto =
            ["-n", &self.text("task_definition"), "-sn", &self.text("subnet"), "-sg", &self.text("security_group")];
        self.program().args(of_moto).args(["--start-timeout", "3s"])
    }

    fn end(mut self) {
        drop(self.process.stdin.take());
        assert!(self.process.wait().expect("moto ends").success());
    }
}

#[test]
fn our_client_runs_and_stops_a_task_of_motos() {
    let Some(python) = python("moto, boto3") else { return };
    let mut moto = Moto::start(python);
    // The client must say in time that there is no address, and stop the task.
    let done = moto.login().args(["--", "true"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("did not answer SSH within 3 s"), "{}", done.stderr);
    let tasks = moto.show("tasks");
    assert_eq!(tasks.as_array().map(Vec::len), Some(1), "{tasks}");
    assert_eq!(tasks[0]["lastStatus"], "STOPPED");
    assert_eq!(tasks[0]["startedBy"], "ecs-fargate-login");
    assert_eq!(tasks[0]["overrides"]["containerOverrides"][0]["name"], "cli");
    let listed = |words: &[&str]| {
        let done = moto.program().args(words).args(["-o", "json"]).run();
        assert_eq!(done.code, 0, "{words:?}: {}", done.stderr);
        serde_json::from_slice::<Value>(&done.stdout).expect("JSON")
    };
    let (services, stopped) = (listed(&["services", "-A"]), listed(&["tasks", "--stopped"]));
    assert_eq!((&services[0]["serviceName"], &services[0]["desiredCount"]), (&"web".into(), &0.into()), "{services}");
    assert_eq!(stopped.as_array().map(Vec::len), Some(1), "{stopped}");
    assert_eq!((&stopped[0]["taskArn"], &stopped[0]["startedBy"]), (&tasks[0]["taskArn"], &tasks[0]["startedBy"]));
    let id = tasks[0]["taskArn"].as_str().and_then(|arn| arn.rsplit('/').next()).expect("an id");
    assert_eq!(listed(&["describe", id]), stopped[0]);
    moto.end();
}

#[test]
fn our_rules_come_and_go_in_motos_security_group() {
    let Some(python) = python("moto, boto3") else { return };
    let mut moto = Moto::start(python);
    let admitting = |moto: &Moto| moto.login().args(["--allow-cidr", "203.0.113.7,2001:db8::7", "--", "true"]);
    let parked = admitting(&moto).park_at("after-authorize");
    let rules = moto.show("rules");
    assert_eq!(rules.as_array().map(Vec::len), Some(2), "{rules}");
    assert_eq!((&rules[0]["CidrIpv4"], &rules[1]["CidrIpv6"]), (&"203.0.113.7/32".into(), &"2001:db8::7/128".into()));
    let tags = rules[0]["Tags"].as_array().expect("tags");
    assert!(tags.iter().any(|tag| tag["Key"] == "fargate-login:run"), "{tags:?}");
    parked.signal(nix::sys::signal::Signal::SIGKILL);
    assert_eq!(parked.wait().code, 137);
    // The rules of the run that was killed are somebody else's to the next one.
    let done = admitting(&moto).run();
    assert!(done.stderr.contains("which is not ours and stays"), "{}", done.stderr);
    assert_eq!(moto.show("rules"), rules);
    let swept = moto.program().args(["gc", "--older-than", "1ms"]).run();
    assert_eq!((swept.code, swept.text().lines().count()), (0, 2), "{}", swept.stderr);
    assert_eq!(moto.show("rules"), Value::Array(Vec::new()));
    // With nobody's rule in the way they are ours, and go with the run.
    let done = admitting(&moto).run();
    assert!(done.stderr.contains(" revoked"), "{}", done.stderr);
    assert_eq!(moto.show("rules"), Value::Array(Vec::new()));
    moto.end();
}
