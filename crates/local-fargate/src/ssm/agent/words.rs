//! What agents leave for the user when they fail: Go's names of errors, and the title above them.

use std::io;

use nix::errno::Errno;

/// Above the words of an agent that fails before or instead of its work (amazon-ssm-agent,
/// `agent/framework/processor/executer/iohandler/iohandler.go`). What a port session fails of has no title (`plugins/port/port.go`).
const TITLE: &str = "\n----------ERROR-------\n";

/// The last words of an agent that has failed like this.
pub(super) fn titled(words: &str) -> String {
    format!("{TITLE}{words}")
}

/// An error of the system, as Go names it.
pub(super) fn of_system(error: &io::Error) -> String {
    let known = error.raw_os_error().map(|number| Errno::from_raw(number).desc().to_ascii_lowercase());
    known.unwrap_or_else(|| error.to_string())
}

/// Why a program does not start, as Go's `os/exec` says it: names without a `/` are looked up before anything is started.
pub(super) fn of_start(name: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied if !name.contains('/') => {
            format!("exec: \"{name}\": executable file not found in $PATH")
        }
        _ => format!("fork/exec {name}: {}", of_system(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_names_that_go_gives_them() {
        let error = |number: Errno| io::Error::from_raw_os_error(number as i32);
        assert_eq!(of_system(&error(Errno::ECONNREFUSED)), "connection refused");
        assert_eq!(of_start("/bin/sh", &error(Errno::ENOENT)), "fork/exec /bin/sh: no such file or directory");
        assert_eq!(of_start("top", &error(Errno::ENOENT)), "exec: \"top\": executable file not found in $PATH");
        assert_eq!(of_start("./x", &error(Errno::EACCES)), "fork/exec ./x: permission denied");
        assert_eq!(of_start("/x", &io::Error::other("no such container")), "fork/exec /x: no such container");
    }
}
