//! The program: reads the command line, runs what it says, turns the result into an exit status.

use std::ffi::OsString;
use std::process::ExitCode;

/// First word of the command line when this executable is a container's init (the embedded stand-in starts it so).
const INIT: &str = fargate_login::local::INIT_WORD;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match arguments.get(1) {
        Some(word) if word == INIT => fargate_init::run(arguments.get(2..).unwrap_or_default(), &[INIT]),
        _ => ExitCode::from(fargate_login::run(arguments)),
    }
}
