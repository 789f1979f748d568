//! How long a keystroke takes to come back through a terminal, against `ssh` into the same init.

use std::time::{Duration, Instant};

use e2e::{Program, Terminal, World};

use super::statistics::{Figure, percentile};

const KEYSTROKES: usize = 500;

/// Types into a remote `cat` with echo off at the remote terminal, so that each key comes back once, from the program.
pub(crate) fn keystrokes() -> Vec<Figure> {
    let world = World::new();
    let mut ours = Terminal::start(&world.login());
    ours.expect_prompt();
    let mut samples = type_into(&mut ours);
    let (p50, p99) = (percentile(&mut samples, 0.5), percentile(&mut samples, 0.99));
    let (median, worst) = ("keystroke echo p50", "keystroke echo p99");
    match through_ssh() {
        None => vec![Figure::new(median, p50, "ms"), Figure::new(worst, p99, "ms")],
        Some(mut samples) => vec![
            Figure::new(median, p50, "ms").against("ssh", percentile(&mut samples, 0.5)),
            Figure::new(worst, p99, "ms").against("ssh", percentile(&mut samples, 0.99)),
        ],
    }
}

fn type_into(terminal: &mut Terminal) -> Vec<Duration> {
    terminal.send("stty raw -echo; echo ready; cat\r");
    terminal.expect("ready\n");
    let alphabet = "abcdefghijklmnopqrstuvwxyz";
    alphabet
        .chars()
        .cycle()
        .take(KEYSTROKES)
        .map(|key| {
            let key = key.to_string();
            let began = Instant::now();
            terminal.send(&key);
            terminal.expect(&key);
            began.elapsed()
        })
        .collect()
}

/// An init of its own with a key of OpenSSH's, and `ssh` in a terminal.
fn through_ssh() -> Option<Vec<Duration>> {
    let scratch = tempfile::tempdir().ok()?;
    let key = scratch.path().join("key");
    let made =
        std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    made.ok().filter(std::process::ExitStatus::success)?;
    let public = std::fs::read_to_string(key.with_extension("pub")).ok()?;
    let init = e2e::world::executable();
    let mut child = std::process::Command::new(init)
        .arg("__fargate-init")
        .env("_AUTHORIZED_PUBLIC_KEY", public.trim())
        .env("_FARGATE_LOGIN_PORT", "2222")
        .env("_FARGATE_LOGIN_LISTEN", "127.78.1.1")
        .env("HOME", scratch.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .ok()?;
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take()?));
    lines.map_while(Result::ok).find(|line| line.contains("\"listen\""))?;
    let ssh = Program::new("/usr/bin/ssh".into())
        .args([
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
        ])
        .args(["-p", "2222", "-i"])
        .arg(key)
        .args(["root@127.78.1.1"])
        .env("TERM", "xterm");
    let mut terminal = Terminal::start(&ssh);
    terminal.expect_prompt();
    let samples = type_into(&mut terminal);
    drop(terminal);
    child.wait().ok()?;
    Some(samples)
}
