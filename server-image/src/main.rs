//! The executable: nothing but the choice of the role.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let role: Vec<OsString> = std::env::args_os().skip(1).collect();
    fargate_init::run(&role, &[])
}
