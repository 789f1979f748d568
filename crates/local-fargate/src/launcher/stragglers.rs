//! Processes that a container's first process leaves behind: those of its session, and those that carry its mark.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The variable whose value tells the processes of one container from all others.
pub(crate) const MARK: &str = "LOCAL_FARGATE_CONTAINER";
/// A process may fork while we look; each round kills what it sees, and a killed process does not fork.
const ROUNDS: usize = 10;

/// Kills every process of the container but the first, until there is none.
///
/// `session` must be the id of a first process that was not waited for yet: until then nobody else can have its number.
pub(super) fn end(session: Pid, mark: &str) {
    let variable = format!("{MARK}={mark}").into_bytes();
    for _ in 0..ROUNDS {
        let mut found = false;
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            if pid != session.as_raw() && belongs(&entry.path(), session, &variable) {
                found |= kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok();
            }
        }
        if !found {
            return;
        }
    }
}

/// Zombies do not count: they are gone for everybody but their parent.
fn belongs(process: &Path, session: Pid, variable: &[u8]) -> bool {
    let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    let Some((state, of_session)) = state_and_session(&stat) else { return false };
    if state == "Z" || state == "X" {
        return false;
    }
    of_session == session.as_raw()
        || std::fs::read(process.join("environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|known| known == variable))
}

/// Fields 3 and 6 of proc_pid_stat(5); field 2, the name, is in parentheses and may hold anything.
fn state_and_session(stat: &str) -> Option<(&str, i32)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    Some((state, fields.nth(2)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_parentheses() {
        assert_eq!(state_and_session("7 (a) b) S 1 2 3 0 -1"), Some(("S", 3)));
        assert_eq!(state_and_session("7 (a"), None);
    }

    #[test]
    fn our_own_process_is_found_by_its_session() {
        let own = Path::new("/proc/self");
        let session = nix::unistd::getsid(None).expect("a session");
        assert!(belongs(own, session, b"NOT=THERE"));
        assert!(!belongs(own, Pid::from_raw(-1), b"NOT=THERE"));
    }
}
