//! Configuration files: where they are, and what they set. What the settings mean is the business of `cli`.

use std::io;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// The project file, looked for from the working directory upward.
pub const PROJECT_FILE: &str = ".fargate-login.toml";
/// The user file, below the XDG configuration directory.
const USER_FILE: &str = "fargate-login/config.toml";

/// One key of a file and its values as text: several for an array or a table of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key, as written.
    pub key: String,
    /// Its values.
    pub values: Vec<String>,
}

/// Why a file says nothing that can be used. `Display` is a predicate: the file's name goes before it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It exists, but cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is not TOML.
    #[error("is not TOML: line {line}: {message}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A value is of a type that no setting has.
    #[error("has a value in `{key}` that is neither text, a number, true, false nor a list of these")]
    Type {
        /// The key.
        key: String,
    },
}

/// The project file that is nearest to `cwd`, if there is one.
#[must_use]
pub fn project_file(cwd: &Path) -> Option<PathBuf> {
    cwd.ancestors().map(|folder| folder.join(PROJECT_FILE)).find(|file| file.is_file())
}

/// Where the user file would be: below `XDG_CONFIG_HOME`, or `~/.config` where that is unset or relative (XDG Base
/// Directory Specification).
#[must_use]
pub fn user_file(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    Some(folder?.join(USER_FILE))
}

/// Reads a file; one that does not exist sets nothing.
///
/// # Errors
/// [`FileError`].
pub fn read(file: &Path) -> Result<Vec<Setting>, FileError> {
    match std::fs::read_to_string(file) {
        Ok(text) => settings(&text),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(FileError::Read(error)),
    }
}

fn settings(text: &str) -> Result<Vec<Setting>, FileError> {
    let table = text.parse::<Table>().map_err(|error| FileError::Syntax {
        line: error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1),
        message: error.message().lines().next().unwrap_or_default().to_owned(),
    })?;
    let setting = |(key, value): (String, Value)| {
        let values = values(value).ok_or_else(|| FileError::Type { key: key.clone() })?;
        Ok(Setting { key, values })
    };
    table.into_iter().map(setting).collect()
}

fn values(value: Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.into_iter().map(text).collect(),
        Value::Table(table) => {
            table.into_iter().map(|(name, value)| Some(format!("{name}={}", text(value)?))).collect()
        }
        scalar => Some(vec![text(scalar)?]),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(key: &str, values: &[&str]) -> Setting {
        Setting { key: key.to_owned(), values: values.iter().map(|value| (*value).to_owned()).collect() }
    }

    #[test]
    fn every_type_becomes_text() {
        let text = "cluster = 'c'\nport = 22\ncpu = 0.25\nspot = true\nsubnets = ['a', 'b']\n[env]\nA = 1\nB = 'x=y'\n";
        let mut found = settings(text).expect("TOML");
        found.sort_by(|a, b| a.key.cmp(&b.key));
        let want = [
            setting("cluster", &["c"]),
            setting("cpu", &["0.25"]),
            setting("env", &["A=1", "B=x=y"]),
            setting("port", &["22"]),
            setting("spot", &["true"]),
            setting("subnets", &["a", "b"]),
        ];
        assert_eq!(found, want);
    }

    #[test]
    fn what_is_wrong_is_found() {
        assert!(matches!(settings("a = 1\nb = = 2\n"), Err(FileError::Syntax { line: 2, .. })));
        assert!(matches!(settings("a = 1979-05-27"), Err(FileError::Type { key }) if key == "a"));
        assert!(matches!(settings("a = [[1]]"), Err(FileError::Type { .. })));
    }

    #[test]
    fn the_nearest_project_file_is_found_upward() {
        let root = tempfile::tempdir().expect("a folder");
        let deep = root.path().join("a/b/c");
        std::fs::create_dir_all(&deep).expect("folders");
        assert_ne!(project_file(&deep), Some(deep.join(PROJECT_FILE)));
        std::fs::write(root.path().join(PROJECT_FILE), "").expect("a file");
        std::fs::write(root.path().join("a").join(PROJECT_FILE), "").expect("a file");
        assert_eq!(project_file(&deep), Some(root.path().join("a").join(PROJECT_FILE)));
        // A folder of that name is no file.
        std::fs::create_dir(deep.join(PROJECT_FILE)).expect("a folder");
        assert_eq!(project_file(&deep), Some(root.path().join("a").join(PROJECT_FILE)));
    }

    #[test]
    fn the_user_file_follows_xdg() {
        let user = |xdg: Option<&str>| {
            user_file(&move |name| match name {
                "XDG_CONFIG_HOME" => xdg.map(str::to_owned),
                "HOME" => Some("/home/u".to_owned()),
                _ => None,
            })
        };
        assert_eq!(user(Some("/x")), Some(PathBuf::from("/x/fargate-login/config.toml")));
        let fallback = Some(PathBuf::from("/home/u/.config/fargate-login/config.toml"));
        assert_eq!((user(None), user(Some("")), user(Some("rel"))), (fallback.clone(), fallback.clone(), fallback));
        assert_eq!(user_file(&|_| None), None);
    }

    #[test]
    fn a_missing_file_sets_nothing_and_an_unreadable_one_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(read(&folder.path().join("none")).expect("nothing").is_empty());
        assert!(matches!(read(folder.path()), Err(FileError::Read(_))));
    }
}
