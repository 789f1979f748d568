//! A shell that waits for the stand-in to end: told so, it goes; untold, the stand-in was killed, and it ends what is left.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::stragglers::MARK;

/// `$1` is the mark that all containers of the stand-in have in their environment, `$2` its scratch directory. End of file
/// without a line before it means that nobody said goodbye.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
if read -r _; then exit 0; fi
for round in 1 2 3 4 5 6 7 8 9 10; do
    found=$(grep -lsazF -- "$1" /proc/[0-9]*/environ | cut -d/ -f3)
    [ -n "$found" ] || break
    kill -9 $found
done
rm -rf -- "$2"
"#;

/// The shell; dropping it without [`Watchdog::dismiss`] is taken for the stand-in's death.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

impl Watchdog {
    /// Starts it; `None` on a machine without a shell, where only the containers' first processes die with a killed stand-in.
    pub(crate) fn start(mark: &str, scratch: &Path) -> Option<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "local-fargate-watchdog", &format!("{MARK}={mark}")]).arg(scratch);
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C in the terminal of the stand-in is not for it.
        command.process_group(0);
        match command.spawn() {
            Ok(shell) => Some(Self(shell)),
            Err(error) => {
                tracing::warn!(%error, "no watchdog: descendants of tasks may outlive a stand-in that is killed");
                None
            }
        }
    }

    /// Sends it home.
    pub(crate) fn dismiss(mut self) {
        if let Some(mut stdin) = self.0.stdin.take() {
            // A watchdog that is gone already cannot be told, and needs not.
            let _ = stdin.write_all(b"done\n");
        }
        // It ends as soon as it has read the line.
        let _ = self.0.wait();
    }
}
