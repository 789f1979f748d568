//! Whose a container is: a process is told by its machine, its pid namespace, its number and the moment it started, so that a number used again
//! is not taken for it.

use std::path::Path;

/// Field of proc_pid_stat(5) that has the start time, counted from the one behind the name.
const START_TIME: usize = 22 - 3;

/// What names this process.
pub(super) fn own() -> String {
    let pid = std::process::id();
    format!("{}:{pid}:{}", namespace(), start_time(pid).unwrap_or_default())
}

/// Whether the named process is gone; one of another pid namespace cannot be judged, and counts as there.
pub(super) fn is_gone(owner: &str) -> bool {
    let parts: Vec<_> = owner.rsplitn(3, ':').collect();
    let [started, pid, namespace_of_owner] = parts.as_slice() else { return false };
    let Ok(pid) = pid.parse::<u32>() else { return false };
    *namespace_of_owner == namespace() && start_time(pid).as_deref() != Some(*started)
}

fn namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid");
    // `pid:[4026531836]`: the colon would be in the way.
    let namespace = link.map(|link| link.to_string_lossy().replace(':', "")).unwrap_or_default();
    // The first namespace of every machine has the same number.
    let machine = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{machine}/{namespace}")
}

fn start_time(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    match fields.first() {
        // Dead, and only not waited for.
        Some(&("Z" | "X")) => None,
        _ => fields.get(START_TIME).map(|field| (*field).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_gone_when_it_is_or_when_another_has_its_number() {
        assert!(!is_gone(&own()));
        let pid = std::process::id();
        assert!(is_gone(&format!("{}:{pid}:1", namespace())), "started at another time");
        assert!(is_gone(&format!("{}:{}:1", namespace(), i32::MAX)), "no such process");
        assert!(!is_gone(&format!("pid[1]:{pid}:1")), "of another namespace");
        assert!(!is_gone("nonsense"));
    }
}
