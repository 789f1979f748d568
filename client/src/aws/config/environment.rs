//! The variables that AWS configuration is read from, and the places they lead to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;
use aws_types::os_shim_internal::Env;

/// Environment variables: those of the process, or given ones. Blank values count as absent.
#[derive(Clone)]
pub struct Environment(Env);

impl Environment {
    /// The variables of this process.
    #[must_use]
    pub fn process() -> Self {
        Self(Env::real())
    }

    /// These variables and no others.
    #[must_use]
    pub fn given(variables: HashMap<String, String>) -> Self {
        Self(Env::from(variables))
    }

    /// The value of a variable, unless it is blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).ok().filter(|value| !value.trim().is_empty())
    }

    pub(super) fn env(&self) -> &Env {
        &self.0
    }

    pub(super) fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }

    /// The file that a variable names, or else this one under the home directory.
    pub(super) fn file(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        match self.get(variable) {
            Some(path) => Some(match (path.strip_prefix("~/"), self.home()) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => Path::new(&path).to_owned(),
            }),
            None => self.home().map(|home| home.join(below_home)),
        }
    }

    /// The access keys, when both halves are there.
    pub(super) fn keys(&self) -> Option<Credentials> {
        let mut keys = Credentials::builder()
            .access_key_id(self.get("AWS_ACCESS_KEY_ID")?)
            .secret_access_key(self.get("AWS_SECRET_ACCESS_KEY")?)
            .provider_name("Environment");
        keys.set_session_token(self.get("AWS_SESSION_TOKEN"));
        keys.set_account_id(self.get("AWS_ACCOUNT_ID").map(Into::into));
        Some(keys.build())
    }
}

/// Variables hold keys: none is shown.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment(..)")
    }
}
