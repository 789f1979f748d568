//! Flags and settings that forward, and what they exclude.

use super::*;
use crate::forward::Forwards;
use crate::forward::announce::Format;
use crate::forward::spec::{Forward, Listen, RemoteForward, Target};

fn forwards(specs: &[&str]) -> Vec<Forward> {
    specs.iter().map(|spec| Forward::parse(spec).expect(spec)).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn sshs_forwards_mean_what_they_mean_there() {
    let options = Home::new().login(&[
        "-L",
        "5432:db:5432",
        "-L0:[::1]:1",
        "-R",
        "*:80:/run/x",
        "-R1080",
        "-D1080",
        "-A",
        "-o",
        "LocalForward=1 db:2",
        "-oRemoteForward=[::1]:0",
        "-oExitOnForwardFailure=no",
        "-oGatewayPorts=yes",
    ]);
    let want = Forwards {
        local: forwards(&["5432:db:5432", "0:[::1]:1", "1:db:2"]),
        remote: ["*:80:/run/x", "1080", "[::1]:0"].map(|spec| RemoteForward::parse(spec).expect(spec)).into(),
        dynamic: vec![Listen::parse("1080").expect("a listener")],
        agent: true,
        gateway_ports: true,
        keep_going: true,
    };
    assert_eq!(options.forwards, want);
    assert_eq!(options.errand, Errand::default(), "a shell beside them");
    let keep_going = |args: &[&str]| Home::new().login(args).forwards.keep_going;
    assert!(!keep_going(&[]) && !keep_going(&["-oExitOnForwardFailure=yes"]));
    assert!(keep_going(&["--keep-going", "-oExitOnForwardFailure=yes"]), "a flag of our own wins");
}

#[test]
fn a_connection_is_for_one_thing() {
    let errand = |args: &[&str]| Home::new().login(args).errand;
    assert_eq!(errand(&["-NL", "1:db:2"]), Errand::Hold(Format::Text));
    assert_eq!(errand(&["-N", "-R", "1:db:2", "--output", "json"]), Errand::Hold(Format::Json));
    assert_eq!(errand(&["-W", "[::1]:22"]), Errand::Stdio(Target::parse("[::1]:22").expect("a target")));
    let psql = ["-L", "0:db:1", "--exec", "--", "psql", "-p", "{port}"];
    assert_eq!(errand(&psql), Errand::Child(words(&["psql", "-p", "{port}"])));
    assert_eq!(errand(&["-L", "0:db:1", "--exec", "login", "--", "psql"]), Errand::Child(words(&["psql"])));
    let tunnel = Home::new().login(&["-n", "x", "forward", "1:db:2", "3:db:4", "-L", "5:db:6", "--output=env"]);
    assert_eq!((tunnel.errand, tunnel.task_definition.as_deref()), (Errand::Hold(Format::Env), Some("x")));
    assert_eq!(tunnel.forwards.local, forwards(&["1:db:2", "3:db:4", "5:db:6"]));
    assert_eq!(errand(&["forward", "-D", "0"]), Errand::Hold(Format::Text));
}

#[test]
fn settings_forward_too() {
    let home = Home::new()
        .with("FARGATE_LOGIN_LOCAL_FORWARD", "1:db:2 '/tmp/a b:db:3'")
        .user_file("dynamic-forward = ['1080']\nkeep-going = true\nlocal-forward = '9:db:9'\nforward-agent = true");
    let options = home.login(&[]);
    assert_eq!(options.forwards.local, forwards(&["1:db:2", "/tmp/a b:db:3"]));
    assert!(options.forwards.keep_going && options.forwards.agent && options.forwards.dynamic.len() == 1);
    assert_eq!(home.login(&["-L", "4:db:4"]).forwards.local, forwards(&["4:db:4"]), "a list is replaced");
}

#[test]
fn a_project_file_forwards_from_loopback_and_no_more() {
    for text in ["local-forward = ['0:db:1', 'localhost:1:db:1', '[::1]:2:db:1']", "dynamic-forward = '127.0.0.2:0'"] {
        assert!(!Home::new().project_file(text).login(&[]).forwards.is_empty(), "{text}");
    }
    for text in [
        "remote-forward = '0:db:1'",
        "forward-agent = true",
        "local-forward = '*:1:db:1'",
        "local-forward = ['0:db:1', '10.0.0.1:1:db:1']",
        "local-forward = '/tmp/s:db:1'",
        "dynamic-forward = ':1080'",
        "ssh-option = 'GatewayPorts=yes'",
        "ssh-option = 'ForwardAgent=yes'",
        "ssh-option = 'RemoteForward=1 db:1'",
        "ssh-option = 'LocalForward=*:1 db:1'",
        "exec = true",
        "output = 'json'",
    ] {
        let told = Home::new().project_file(text).wrong(&[]);
        assert!(told.contains("is not for a project file") || told.contains("is not a setting"), "{text}: {told}");
    }
}

#[test]
fn wrong_forwards_are_told() {
    let lines: [&[&str]; 22] = [
        &["-L", "5432"],
        &["-L", "99999:db:5432"],
        &["-L", "5432:db"],
        &["-L", "5432:db:http"],
        &["-L", "5432:2001:db8::7:5432"],
        &["-L", "5432:[db]:5432"],
        &["-L", "5432:[::1:5432"],
        &["-R", "x:y:z"],
        &["-D", "/tmp/socks"],
        &["-D", "proxy"],
        &["-W", "db"],
        &["-W", "db:0"],
        &["-o", "LocalForward=1"],
        &["-o", "ForwardAgent=/tmp/agent"],
        &["forward", "5432"],
        &["forward"],
        &["-N"],
        &["--exec", "-L", "0:db:1"],
        &["-L", "0:db:1", "-N", "--", "id"],
        &["-L", "0:db:1", "-N", "-W", "db:1"],
        &["--output", "json"],
        &["-N", "-L", "0:db:1", "--output", "yaml"],
    ];
    snapshot("wrong_forwards_are_told", &told(&lines));
}
