//! The init alone: how large, how soon it listens, how much memory it holds while nobody is there.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::statistics::{Figure, median};

const RUNS: usize = 20;

/// Measures the static binary that `server-image/build-static` made, or the one that this profile made.
pub(crate) fn size_and_start() -> Vec<Figure> {
    let Some(program) = program() else { return Vec::new() };
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    let megabytes = std::fs::metadata(&program).map_or(0.0, |meta| meta.len() as f64 / 1e6);
    let mut starts = Vec::new();
    let mut resident = 0.0;
    for run in 0..RUNS {
        let began = Instant::now();
        let mut child = Command::new(&program)
            .env_clear()
            .envs([
                ("_AUTHORIZED_PUBLIC_KEY", KEY),
                ("_FARGATE_LOGIN_PORT", "2222"),
                ("_FARGATE_LOGIN_LISTEN", &format!("127.77.{run}.1")),
                ("HOME", "/nonexistent"),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the init starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let listens = lines.by_ref().map_while(Result::ok).any(|line| line.contains("\"listen\""));
        assert!(listens, "the init listens");
        starts.push(began.elapsed());
        resident = resident_megabytes(child.id());
        // SIGTERM reaches both roles; the rest is the init's own affair.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("the init runs");
        child.wait().expect("the init ends");
    }
    vec![
        Figure::new("init: binary", megabytes, "MB"),
        Figure::new("init: exec to listening, median of 20", median(&mut starts), "ms"),
        Figure::new("init: idle RSS of both roles", resident, "MB"),
    ]
}

/// Any valid key: nobody logs in.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";

pub(crate) fn program() -> Option<PathBuf> {
    let beside = e2e::world::executable().with_file_name("fargate-init");
    let fixed = beside.ancestors().nth(2)?.join("x86_64-unknown-linux-gnu/dist/fargate-init");
    [fixed, beside].into_iter().find(|path| path.exists())
}

/// The init that this profile made, and the static one where `FARGATE_INIT_STATIC` names it, each with what tells its rows apart.
pub(crate) fn programs() -> Vec<(&'static str, PathBuf)> {
    let beside = e2e::world::executable().with_file_name("fargate-init");
    let fixed = std::env::var_os("FARGATE_INIT_STATIC").map(|path| (", static init", PathBuf::from(path)));
    [("", beside)].into_iter().chain(fixed).filter(|(_, path)| path.exists()).collect()
}

/// Resident memory of a process and its children.
fn resident_megabytes(pid: u32) -> f64 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let pids = children.split_whitespace().map(str::to_owned).chain([pid.to_string()]);
    pids.filter_map(|pid| resident_kib(pid.parse().ok()?)).sum::<f64>() / 1e3
}

/// Resident memory of a process alone, in KiB.
pub(crate) fn resident_kib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().trim_end_matches(" kB").parse().ok())
}
