//! The directory that holds every container's home.

use std::path::Path;

/// Scratch directories are named by this and the process id of the stand-in that made them.
const SCRATCH: &str = "local-fargate-";

/// Makes the directory, and removes those of stand-ins that were killed.
pub(crate) fn scratch() -> std::io::Result<tempfile::TempDir> {
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(SCRATCH)?.split_once('-')?.0.parse::<u32>().ok());
        if maker.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Somebody else's, or being removed by another stand-in.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new().prefix(&format!("{SCRATCH}{}-", std::process::id())).tempdir()
}
