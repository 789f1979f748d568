//! The two engines behind one door: our own SSH server, and OpenSSH's where the image brings it.

use std::ffi::OsStr;
use std::path::PathBuf;

/// The variable of the image that names the engine. Not part of the grant: it says what the image holds.
pub const VARIABLE: &str = "FARGATE_INIT_ENGINE";

/// What speaks SSH on the connections that the init accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The embedded server.
    #[default]
    Russh,
    /// `sshd -i`, one for each connection.
    OpenSsh,
}

/// Why an engine cannot serve. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The variable holds another word.
    #[error("{VARIABLE} is {found:?}: the engines are `russh` (the default) and `openssh`")]
    Unknown {
        /// What it holds.
        found: String,
    },
    /// The image has no OpenSSH server.
    #[error(
        "{VARIABLE} is `openssh`, but this image has no sshd (looked for {}): install openssh-server or unset it",
        listed(looked_for)
    )]
    NoSshd {
        /// The paths that were tried.
        looked_for: Vec<PathBuf>,
    },
    /// OpenSSH's directory for its unprivileged part is missing and cannot be made.
    #[error("sshd needs the directory {}, which cannot be made ({reason}): add it to the image or mount a volume there", path.display())]
    NoPrivilegeSeparation {
        /// The directory.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// No directory for the public halves of the keys and the two sockets.
    #[error("no directory can be written (tried {}): mount a volume at one of them", listed(tried))]
    NoDirectory {
        /// The directories that were tried.
        tried: Vec<PathBuf>,
    },
    /// OpenSSH refuses its configuration.
    #[error("{} does not start: {told}", sshd.display())]
    Sshd {
        /// The executable.
        sshd: PathBuf,
        /// Its own words.
        told: String,
    },
}

impl Engine {
    /// The engine that the container's environment chooses.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] for a word that is no engine.
    pub fn from_variable(value: Option<&OsStr>) -> Result<Self, EngineError> {
        match value.map(|value| value.to_string_lossy()) {
            None => Ok(Self::default()),
            Some(word) if word == "russh" => Ok(Self::Russh),
            Some(word) if word == "openssh" => Ok(Self::OpenSsh),
            Some(other) => Err(EngineError::Unknown { found: other.into_owned() }),
        }
    }
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_choose() {
        let chosen = |word: Option<&str>| Engine::from_variable(word.map(OsStr::new));
        assert_eq!(chosen(None).expect("the default"), Engine::Russh);
        assert_eq!(chosen(Some("russh")).expect("an engine"), Engine::Russh);
        assert_eq!(chosen(Some("openssh")).expect("an engine"), Engine::OpenSsh);
        for wrong in ["", "OpenSSH", "dropbear"] {
            let told = chosen(Some(wrong)).expect_err("no engine").to_string();
            assert!(told.contains(VARIABLE) && told.contains(&format!("{wrong:?}")), "{told}");
        }
    }
}
