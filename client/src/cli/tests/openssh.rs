//! `proxy` and `ssh-config`: the same words mean the same host, and say the same run wherever they are read.

use std::path::Path;

use super::*;
use crate::options::{Host, ProxyOptions, SshConfigOptions};

fn ssh_config(home: &Home, args: &[&str]) -> SshConfigOptions {
    match home.parse(&[&["ssh-config", "--host", "dev"], args].concat()) {
        Ok(Invocation::SshConfig(options)) => *options,
        other => panic!("{args:?}: {other:?}"),
    }
}

fn proxy(home: &Home, args: &[&str]) -> ProxyOptions {
    match home.parse(args) {
        Ok(Invocation::Proxy(options)) => *options,
        other => panic!("{args:?}: {other:?}"),
    }
}

/// What OpenSSH will run, read as it will be.
fn read_back(options: &SshConfigOptions) -> ProxyOptions {
    let words: Vec<&str> = options.proxy_arguments.iter().map(String::as_str).collect();
    proxy(&Home::new(), &words)
}

#[test]
fn what_openssh_runs_is_what_was_said() {
    let home = Home::new()
        .with("FARGATE_LOGIN_SUBNETS", "subnet-1,subnet-2")
        .with("FARGATE_LOGIN_CLUSTER", "lower")
        .with("FARGATE_LOGIN_FROM", "web")
        .with("FARGATE_LOGIN_ENV", "A=1 B=lower")
        .with("FARGATE_LOGIN_TIMINGS", "json")
        .with("XDG_RUNTIME_DIR", "/run/user/7");
    let options =
        ssh_config(&home, &["-n", "app", "-cluster", "higher", "--env", "B=it's", "--linger", "5s", "--write"]);
    assert!(options.write);
    let read = read_back(&options);
    assert_eq!((&read.host, read.keeper), (&options.host, false));
    assert_eq!(read.host.linger, Duration::from_secs(5));
    assert_eq!(read.host.directory.parent(), Some(Path::new("/run/user/7/fargate-login")));
    let login = read.login;
    assert_eq!((login.task_definition.as_deref(), login.from.as_deref()), (Some("app"), None));
    assert_eq!((login.cluster.as_deref(), login.subnets.len()), (Some("higher"), 2));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(login.env, [pair("A", "1"), pair("B", "it's")]);
}

#[test]
fn a_variable_named_alone_has_its_value_where_openssh_runs_it() {
    let home = Home::new().with("TOKEN", "secret");
    let options = ssh_config(&home, &["-n", "app", "--env", "TOKEN"]);
    assert!(!options.proxy_arguments.iter().any(|word| word.contains("secret")), "{:?}", options.proxy_arguments);
}

#[test]
fn the_project_file_is_found_from_elsewhere() {
    let home = Home::new().project_file("cluster = \"tools\"\n");
    let options = ssh_config(&home, &["-n", "app"]);
    assert_eq!(read_back(&options).login.cluster.as_deref(), Some("tools"));
}

#[test]
fn a_host_with_other_flags_is_another_one() {
    let home = Home::new();
    let directory = |args: &[&str]| -> Host { ssh_config(&home, args).host };
    let one = directory(&["-n", "app"]);
    assert_eq!(one, directory(&["-n", "app", "--write"]));
    assert_ne!(one.directory, directory(&["-n", "web"]).directory);
    let elsewhere = directory(&["-n", "app", "--runtime-dir", "/elsewhere"]);
    assert_eq!(elsewhere.directory.file_name(), one.directory.file_name());
    assert_eq!(elsewhere.directory.parent(), Some(Path::new("/elsewhere")));
}

#[test]
fn the_keeper_has_the_proxys_words() {
    let home = Home::new();
    let words = ["proxy", "--host", "dev", "-n", "app"];
    let keeper = proxy(&home, &[&words[..], &[KEEPER_FLAG]].concat());
    assert!(keeper.keeper);
    assert_eq!(keeper.host, proxy(&home, &words).host);
}

#[test]
fn wrong_words_for_openssh_are_told() {
    let told: Vec<String> = [
        &["proxy", "-n", "app"][..],
        &["ssh-config", "--host", "*"],
        &["ssh-config", "--host", "a b"],
        &["ssh-config", "--host", "-x"],
        &["ssh-config", "--host", "dev", "--dry-run"],
        &["ssh-config", "--host", "dev", "--", "id"],
        &["ssh-config", "--host", "dev", "-t"],
        &["ssh-config", "--host", "dev", "-L", "0:db:5432"],
        &["proxy", "--host", "dev", "-N"],
        &["proxy", "--host", "dev", "--shell-command", "id"],
        &["proxy", "--host", "dev", "-n", "app", "--from", "web"],
        &["-n", "app", "ssh-config", "--host", "dev"],
        &["ssh-config", "--host", "dev", "--linger", "soon"],
        &["--host", "dev"],
    ]
    .into_iter()
    .map(|args| format!("$ {}\n{}", args.join(" "), Home::new().wrong(args)))
    .collect();
    snapshot("wrong_words_for_openssh_are_told", &told.join("\n"));
}
