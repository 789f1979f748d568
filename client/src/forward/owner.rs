//! Who listens on a port of this machine, as far as we may see: Linux's `/proc/net/tcp` (proc(5)) and the descriptors of our processes.

use std::path::Path;

/// State of a listening socket in `/proc/net/tcp` (`TCP_LISTEN` of the kernel's `tcp_states.h`).
const LISTEN: &str = "0A";
/// Columns of a line: the local address, the state and the inode.
const LOCAL: usize = 1;
const STATE: usize = 3;
const INODE: usize = 9;

/// The process that listens on `port`: its name and id. `None` where it is somebody else's, or there is no `/proc`.
pub(super) fn owner(port: u16) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listeners(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut numbered = processes.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    numbered.find(|process| holds(&process.path(), &inodes)).map(|process| {
        let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        format!("{} (pid {})", name.trim(), process.file_name().to_string_lossy())
    })
}

fn listeners(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    let of_line = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let listens = columns.get(LOCAL)?.ends_with(&suffix) && *columns.get(STATE)? == LISTEN;
        listens.then(|| columns.get(INODE).map(|inode| (*inode).to_owned())).flatten()
    };
    table.lines().skip(1).filter_map(of_line).collect()
}

fn holds(process: &Path, inodes: &[String]) -> bool {
    // Another user's process does not show its descriptors.
    let Ok(descriptors) = std::fs::read_dir(process.join("fd")) else { return false };
    let targets = descriptors.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok());
    targets.into_iter().any(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_listener_is_ours() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        if Path::new("/proc/net/tcp").exists() {
            let owner = owner(port).expect("a process");
            assert!(owner.ends_with(&format!("(pid {})", std::process::id())), "{owner}");
        }
    }

    #[test]
    fn only_listeners_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0\n   \
             1: 0100007F:1538 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0 100 0\n";
        assert_eq!(listeners(table, 5432), ["4711"]);
        assert!(listeners(table, 40_000).is_empty());
    }
}
