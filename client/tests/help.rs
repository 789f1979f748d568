//! The built program as a stranger meets it: help and version on standard output with status 0, wrong usage on standard
//! error with status 2, and no colour where nobody can see it.

use std::process::{Command, Output};

/// Runs the program in an empty home, with no variables but those given.
fn run(args: &[&str], variables: &[(&str, &str)]) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_fargate-login"))
        .args(args)
        .env_clear()
        .env("HOME", home.path())
        .envs(variables.iter().copied())
        .current_dir(home.path())
        .output()
        .expect("the program starts")
}

/// Everything that can be seen of a run.
fn seen(args: &[&str], variables: &[(&str, &str)]) -> String {
    let output = run(args, variables);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    format!(
        "status: {:?}\n--- stdout\n{}--- stderr\n{}",
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn help() {
    snapshot("help", &seen(&["--help"], &[]));
}

#[test]
fn help_of_local() {
    snapshot("help_of_local", &seen(&["local", "--help"], &[]));
}

#[test]
fn help_of_forward() {
    snapshot("help_of_forward", &seen(&["forward", "--help"], &[]));
}

#[test]
fn help_of_cp() {
    snapshot("help_of_cp", &seen(&["cp", "--help"], &[]));
}

#[test]
fn help_of_gc() {
    snapshot("help_of_gc", &seen(&["gc", "--help"], &[]));
}

#[test]
fn help_of_ps() {
    snapshot("help_of_ps", &seen(&["ps", "--help"], &[]));
}

#[test]
fn help_of_stop() {
    snapshot("help_of_stop", &seen(&["stop", "--help"], &[]));
}

#[test]
fn help_of_ssh_config() {
    snapshot("help_of_ssh_config", &seen(&["ssh-config", "--help"], &[]));
}

#[test]
fn help_of_proxy() {
    snapshot("help_of_proxy", &seen(&["proxy", "--help"], &[]));
}

#[test]
fn help_of_services() {
    snapshot("help_of_services", &seen(&["services", "--help"], &[]));
}

#[test]
fn help_of_tasks() {
    snapshot("help_of_tasks", &seen(&["tasks", "--help"], &[]));
}

#[test]
fn help_of_exec() {
    snapshot("help_of_exec", &seen(&["exec", "--help"], &[]));
}

#[test]
fn help_of_describe() {
    snapshot("help_of_describe", &seen(&["describe", "--help"], &[]));
}

#[test]
fn wrong_usage_of_listings() {
    let told = [
        seen(&["describe"], &[]),
        seen(&["describe", "arn:aws:ecs:r:1:service/shop/web"], &[]),
        seen(&["describe", "0123", "4567"], &[]),
        seen(&["tasks", "--service", "we b"], &[]),
        seen(&["tasks", "-o", "wide"], &[]),
        seen(&["tasks", "-A", "--cluster", "shop"], &[]),
        seen(&["services", "--stopped"], &[]),
        seen(&["-n", "x", "tasks"], &[]),
        seen(&["tsaks"], &[]),
    ];
    snapshot("wrong_usage_of_listings", &told.join("\n"));
}

#[test]
fn wrong_usage_of_ps_and_stop() {
    let told = [
        seen(&["stop"], &[]),
        seen(&["stop", "0123", "--all"], &[]),
        seen(&["stop", "--everybody"], &[]),
        seen(&["ps", "--spot"], &[]),
        seen(&["ps", "-o", "yaml"], &[]),
        seen(&["ps", "-cluster", "a", "--all-clusters"], &[]),
        seen(&["-n", "x", "stop", "0123"], &[]),
    ];
    snapshot("wrong_usage_of_ps_and_stop", &told.join("\n"));
}

#[test]
fn version() {
    let version = format!("fargate-login {}\n", env!("CARGO_PKG_VERSION"));
    for flag in ["--version", "-V"] {
        assert_eq!(seen(&[flag], &[]), format!("status: Some(0)\n--- stdout\n{version}--- stderr\n"), "{flag}");
    }
}

#[test]
fn wrong_usage() {
    let told = [
        seen(&["-clusterfoo"], &[]),
        seen(&["--port", "ssh"], &[]),
        seen(&["psql"], &[]),
        seen(&["--cpu", "512", "--memory", "8g"], &[]),
        seen(&["--shell-command", "id", "--", "id"], &[]),
        seen(&["--from", "web:42", "-n", "web"], &[]),
        seen(&["local"], &[("FARGATE_LOGIN_LISTEN", "0.0.0.0:1")]),
        seen(&[], &[("FARGATE_LOGIN_IDLE_TIMEOUT", "soon")]),
    ];
    snapshot("wrong_usage", &told.join("\n"));
}

#[test]
fn colour_is_for_those_who_want_and_see_it() {
    // `CLICOLOR_FORCE` stands in for a terminal.
    const TERMINAL: (&str, &str) = ("CLICOLOR_FORCE", "1");
    const ESCAPE: u8 = 0x1b;
    let coloured = |args: &[&str], variables: &[(&str, &str)]| {
        let output = run(args, variables);
        (output.stdout.contains(&ESCAPE), output.stderr.contains(&ESCAPE))
    };
    assert_eq!(coloured(&["--help"], &[TERMINAL]), (true, false));
    assert_eq!(coloured(&["--wibble"], &[TERMINAL]), (false, true));
    for args in [&["--help"][..], &["--wibble"]] {
        assert_eq!(coloured(args, &[]), (false, false), "{args:?}");
        assert_eq!(coloured(args, &[TERMINAL, ("NO_COLOR", "1")]), (false, false), "{args:?}");
    }
}
