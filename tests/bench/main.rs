//! The figures we hold ourselves to, each beside its peer in the same run: `cargo bench -p e2e`, or some of them by the names of
//! their groups or what these begin with: `cargo bench -p e2e -- sftp wide`. Prints a table, and the same as one JSON line. Needs `ssh`, `sshd` and `sftp` (OpenSSH); the
//! AWS CLI is measured when `FARGATE_LOGIN_AWSCLI` names it.
#![allow(clippy::print_stdout, reason = "a benchmark's figures are its output")]

mod bulk;
mod copies;
mod echo;
mod forwards;
mod images;
mod init;
mod plain;
mod route;
mod server;
mod setup;
mod sftp;
mod ssm;
mod stall;
mod start;
mod statistics;
mod target;
mod wide;

use statistics::Figure;

/// A group's name, and what measures it.
type Group = (&'static str, fn() -> Vec<Figure>);

/// What is measured, in this order.
const GROUPS: [Group; 17] = [
    ("run-task", start::run_task_on_the_wire),
    ("local", start::local_prompt),
    ("prompt", start::listening_to_prompt),
    ("init", init::size_and_start),
    ("images", images::images),
    ("echo", echo::keystrokes),
    ("setup", setup::first_byte),
    ("sftp", sftp::transfers),
    ("cp", copies::copies),
    ("bulk", bulk::streams),
    ("forwards", forwards::connections),
    ("stall", stall::waits),
    ("ssm", ssm::figures),
    ("wide-50-one", wide::one_at_50),
    ("wide-50-many", wide::many_at_50),
    ("wide-100-one", wide::one_at_100),
    ("wide-100-many", wide::many_at_100),
];

/// By its name, or by the first words of it.
fn is_meant(group: &str, chosen: &str) -> bool {
    group.strip_prefix(chosen).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn main() -> std::io::Result<()> {
    if let Some(ended) = plain::role() {
        return ended;
    }
    // Cargo says `--bench`.
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let groups =
        GROUPS.iter().filter(|(name, _)| chosen.is_empty() || chosen.iter().any(|chosen| is_meant(name, chosen)));
    let figures: Vec<Figure> = groups.flat_map(|(_, measure)| measure()).collect();
    println!("{:<46} {:>10} {:>10} {:>7}  unit", "figure", "ours", "peer", "ratio");
    for figure in &figures {
        println!("{figure}");
    }
    let json: Vec<_> = figures.iter().map(Figure::to_json).collect();
    println!("{}", serde_json::Value::from(json));
    Ok(())
}
