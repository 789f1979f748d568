//! Copying the own executable into a directory: how a carrier container brings the init into a volume, from where another image
//! starts it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::init::own_executable;
use crate::log::{Event, Log};

/// The file's name in the directory.
const NAME: &str = "fargate-init";

/// Everybody may run it, nobody has to write it.
const MODE: u32 = 0o555;

/// Why it was not installed.
#[derive(Debug, thiserror::Error)]
enum InstallError {
    #[error("the init cannot be installed in {}: it is not a directory", directory.display())]
    NotADirectory { directory: PathBuf },
    #[error("the init cannot be installed: its own executable cannot be read: {source}")]
    Own { source: io::Error },
    #[error("the init cannot be installed in {}: {source}", directory.display())]
    Refused { directory: PathBuf, source: io::Error },
}

/// Installs, and tells in one line of the log. Exit code 1 when it did not.
pub(crate) fn run(directory: &Path) -> ExitCode {
    let log = Log::to_stdout(None);
    match install(directory) {
        Ok((path, bytes)) => {
            log.write(&Event::Installed { path: path.display().to_string(), bytes });
            ExitCode::SUCCESS
        }
        Err(error) => {
            log.write(&Event::Failed { error: error.to_string() });
            ExitCode::FAILURE
        }
    }
}

/// Where it is now, and its size in bytes. Whoever looks at the path sees the whole file or what was there before.
fn install(directory: &Path) -> Result<(PathBuf, u64), InstallError> {
    let own = own_executable().and_then(File::open).map_err(|source| InstallError::Own { source })?;
    let refused = |source: io::Error| match source.kind() {
        io::ErrorKind::NotADirectory => InstallError::NotADirectory { directory: directory.to_owned() },
        _ => InstallError::Refused { directory: directory.to_owned(), source },
    };
    if fs::metadata(directory).map_err(refused)?.is_file() {
        return Err(InstallError::NotADirectory { directory: directory.to_owned() });
    }
    let path = directory.join(NAME);
    let beside = directory.join(format!(".{NAME}.{}", std::process::id()));
    let copied = copy(own, &beside).and_then(|bytes| {
        fs::rename(&beside, &path)?;
        // The name has to last as the content does.
        File::open(directory)?.sync_all()?;
        Ok(bytes)
    });
    let bytes = copied.map_err(|source| {
        let _ = fs::remove_file(&beside);
        refused(source)
    })?;
    Ok((path, bytes))
}

fn copy(mut own: File, beside: &Path) -> io::Result<u64> {
    // Left behind by a carrier that was killed while it copied: process ids repeat from container to container.
    let _ = fs::remove_file(beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(beside)?;
    let bytes = io::copy(&mut own, &mut file)?;
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.sync_all()?;
    Ok(bytes)
}
