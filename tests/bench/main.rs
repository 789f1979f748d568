//! The figures we hold ourselves to, each beside its peer in the same run: `cargo bench -p e2e`. Prints a table, and the same
//! as one JSON line. Needs `ssh` (OpenSSH); the AWS CLI is measured when `FARGATE_LOGIN_AWSCLI` names it.
#![allow(clippy::print_stdout, reason = "a benchmark's figures are its output")]

mod echo;
mod images;
mod init;
mod start;
mod statistics;

use statistics::Figure;

fn main() {
    let mut figures = Vec::new();
    figures.extend(start::run_task_on_the_wire());
    figures.extend(start::local_prompt());
    figures.extend(start::listening_to_prompt());
    figures.extend(init::size_and_start());
    figures.extend(images::images());
    figures.extend(echo::keystrokes());
    println!("{:<46} {:>10} {:>10} {:>7}  unit", "figure", "ours", "peer", "ratio");
    for figure in &figures {
        println!("{figure}");
    }
    let json: Vec<_> = figures.iter().map(Figure::to_json).collect();
    println!("{}", serde_json::Value::from(json));
}
