//! Files by our own `put` and `get`, into a task with our init, beside OpenSSH's `sftp` into OpenSSH's server: one large one, and many
//! small ones. Ours compares each by SHA-256 and gives it its name only then; OpenSSH does neither. Everything lies in memory.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use e2e::World;
use e2e::world::IMAGE;
use local_fargate::ProcessImage;
use serde_json::Value;

use super::init;
use super::route::login;
use super::server::{Host, Server};
use super::sftp::{Batch, Connected, RUNS, make_files, take_away, warm};
use super::statistics::Figure;

/// Measures both in turns, with each init that is there. Nothing, where a program that this needs is not there.
pub(crate) fn copies() -> Vec<Figure> {
    let Ok(scratch) = tempfile::tempdir_in("/dev/shm") else { return Vec::new() };
    let Some(sshd) = Server::sshd(&Host::here(), scratch.path()) else { return Vec::new() };
    let peer = Connected::to(sshd, scratch.path());
    make_files(scratch.path());
    let mut figures = Vec::new();
    for (which, program) in init::programs() {
        let world = with_init(program);
        for batch in Batch::ALL {
            let (mut ours, mut theirs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
            for _ in 0..RUNS {
                for (times, took) in ours.iter_mut().zip(there_and_back(&world, batch, scratch.path())) {
                    times.push(took);
                }
                for (times, direction) in theirs.iter_mut().zip(["put", "get"]) {
                    times.push(peer.transfer(direction, batch, scratch.path()));
                }
            }
            for ((direction, ours), theirs) in ["put", "get"].into_iter().zip(&mut ours).zip(&mut theirs) {
                let name = format!("cp {direction} of {}{which}", batch.name());
                figures.push(batch.figure(name, ours, theirs));
            }
        }
    }
    figures
}

fn with_init(program: PathBuf) -> World {
    let image = ProcessImage { name: IMAGE.to_owned(), entry_point: vec![program.into()], env: Vec::new() };
    World::with(|config| config.images = vec![image])
}

/// How long one run takes to bring a batch in and another copy of it out again, each from asking for the subsystem until the last
/// file has its name.
fn there_and_back(world: &World, batch: Batch, directory: &Path) -> [Duration; 2] {
    let [here, there, back] = [batch.source(), "there", "back"].map(|name| directory.join(name).display().to_string());
    warm(directory);
    let (put, get) = (format!("{here}:{there}"), format!("{there}:{back}"));
    let errand = ["--put", &put, "--get", &get, "--timings=json", "--shell-command", "true"];
    let done = login(world, &[], &errand).stdin(Stdio::null()).output().expect("the client runs");
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{told}");
    let timings = told.lines().find_map(|line| serde_json::from_str::<Value>(line).ok()).expect("a timeline");
    let took = ["put", "get"].map(|phase| {
        let phases = timings["phases"].as_array().into_iter().flatten();
        let ms: f64 = phases.filter(|told| told["phase"] == phase).filter_map(|told| told["ms"].as_f64()).sum();
        assert!(ms > 0.0, "{phase}: {told}");
        Duration::from_secs_f64(ms / 1e3)
    });
    take_away(&directory.join("there"), batch);
    take_away(&directory.join("back"), batch);
    took
}
