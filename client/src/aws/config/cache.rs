//! The AWS CLI's cache of assumed roles: one file to a session in `~/.aws/cli/cache`, so that a code given to either
//! program serves both.
//!
//! Name and contents are botocore's (`AssumeRoleCredentialFetcher`, `JSONFileCache`): the name is the SHA-1 of the
//! request as Python's `json.dumps(..., sort_keys=True)` writes it, the contents are the reply of `sts:AssumeRole`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use super::role::{AssumedUser, Role};

/// Only the owner may look for sessions.
const DIRECTORY_MODE: u32 = 0o700;

/// The file of one role's session.
#[derive(Debug)]
pub(super) struct CacheFile {
    path: PathBuf,
}

impl CacheFile {
    /// The file that the AWS CLI uses for this role.
    pub(super) fn of(home: &Path, role: &Role) -> Self {
        Self { path: home.join(".aws/cli/cache").join(format!("{}.json", key(role))) }
    }

    /// The session in the file, expired or not; a file that is absent or not understood is no session.
    pub(super) fn load(&self) -> Option<Credentials> {
        let text = std::fs::read(&self.path).ok()?;
        let entry: Entry = serde_json::from_slice(&text).ok()?;
        let given = entry.credentials;
        let mut credentials = Credentials::builder()
            .access_key_id(given.access_key_id)
            .secret_access_key(given.secret_access_key)
            .session_token(given.session_token)
            .expiry(instant(&given.expiration)?)
            .provider_name("AssumeRole");
        credentials.set_account_id(given.account_id.map(Into::into));
        Some(credentials.build())
    }

    /// Puts a session into the file, whole or not at all; only the owner can read it.
    pub(super) fn store(&self, credentials: &Credentials, user: Option<&AssumedUser>) -> io::Result<()> {
        let entry = Entry {
            credentials: Keys {
                access_key_id: credentials.access_key_id().to_owned(),
                secret_access_key: credentials.secret_access_key().to_owned(),
                session_token: credentials.session_token().unwrap_or_default().to_owned(),
                expiration: timestamp(credentials.expiry())?,
                account_id: credentials.account_id().map(|account| account.as_str().to_owned()),
            },
            assumed_role_user: user.map(|user| CachedUser { assumed_role_id: user.id.clone(), arn: user.arn.clone() }),
        };
        let Some(directory) = self.path.parent() else {
            return Err(io::ErrorKind::InvalidFilename.into());
        };
        std::fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
        // tempfile creates with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(&serde_json::to_vec(&entry)?)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    credentials: Keys,
    #[serde(skip_serializing_if = "Option::is_none")]
    assumed_role_user: Option<CachedUser>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Keys {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CachedUser {
    assumed_role_id: String,
    arn: String,
}

/// `RoleSessionName` counts only when the profile sets it: a made-up one differs from run to run. The code never
/// counts.
fn key(role: &Role) -> String {
    let text = |name, value: &Option<String>| value.as_ref().map(|value| (name, python_string(value)));
    // In the order that `sort_keys` gives.
    let members = [
        role.duration_seconds.map(|seconds| ("DurationSeconds", seconds.to_string())),
        text("ExternalId", &role.external_id),
        Some(("RoleArn", python_string(&role.arn))),
        text("RoleSessionName", &role.session_name),
        text("SerialNumber", &role.mfa_serial),
    ];
    let members: Vec<String> =
        members.into_iter().flatten().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    let digest = Sha1::digest(format!("{{{}}}", members.join(", ")));
    digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A JSON string as Python writes it by default: ASCII only, the rest as UTF-16 escapes.
fn python_string(value: &str) -> String {
    let mut json = String::from('"');
    for c in value.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            ' '..='~' => json.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                // Writing to a string cannot fail.
                let _ = write!(json, "\\u{unit:04x}");
            }),
        }
    }
    json.push('"');
    json
}

/// botocore writes `...T00:00:00UTC` or, in the form of ISO 8601, `...T00:00:00+00:00`.
fn instant(expiration: &str) -> Option<SystemTime> {
    let iso = match expiration.strip_suffix("UTC") {
        Some(time) => format!("{time}Z"),
        None => expiration.to_owned(),
    };
    iso.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

fn timestamp(expiry: Option<SystemTime>) -> io::Result<String> {
    let expiry = expiry.ok_or_else(|| io::Error::other("a session without an end is not kept"))?;
    let time = jiff::Timestamp::try_from(expiry).map_err(io::Error::other)?;
    Ok(time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn role() -> Role {
        Role {
            profile: "ops".to_owned(),
            arn: "arn:aws:iam::123456789012:role/ops".to_owned(),
            mfa_serial: Some("arn:aws:iam::123456789012:mfa/alice".to_owned()),
            external_id: None,
            session_name: None,
            duration_seconds: None,
        }
    }

    // The digests are those of Python 3.11: hashlib.sha1(json.dumps({...}, sort_keys=True).encode()).hexdigest()
    #[test]
    fn the_name_is_the_one_that_python_computes() {
        assert_eq!(key(&role()), "5e49fb44cac4e7c0947a99409d87865745b3768c");
        let full = Role {
            external_id: Some("ext-42".to_owned()),
            session_name: Some("alice".to_owned()),
            duration_seconds: Some(3600),
            ..role()
        };
        assert_eq!(key(&full), "df67469b208389d9d01d5f28dfcb3aeab15e5338");
        let escaped = Role {
            mfa_serial: Some("arn:aws:iam::123456789012:mfa/zo\u{eb}".to_owned()),
            external_id: Some("a\"b\\c/\t\u{7f}\u{1d11e}".to_owned()),
            ..role()
        };
        assert_eq!(key(&escaped), "4f97c111b461aa24ad19d5d10608e9f549684fd1");
    }

    #[test]
    fn both_forms_of_time_that_botocore_writes_are_read() {
        let expected = Some(UNIX_EPOCH + Duration::from_secs(1_767_225_600));
        for text in ["2026-01-01T00:00:00UTC", "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z"] {
            assert_eq!(instant(text), expected, "{text}");
        }
        assert_eq!(instant("tomorrow"), None);
    }

    #[test]
    fn a_session_comes_back_from_a_file_of_the_owner_alone() {
        let home = tempfile::tempdir().expect("a directory");
        let file = CacheFile::of(home.path(), &role());
        assert!(file.load().is_none());
        let expiry = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let session =
            Credentials::builder().access_key_id("ASIA").secret_access_key("s").session_token("t").account_id("1");
        let session = session.expiry(expiry).provider_name("test").build();
        let user = AssumedUser { id: "AROA:x".to_owned(), arn: "arn:aws:sts::1:assumed-role/r/x".to_owned() };
        file.store(&session, Some(&user)).expect("stored");
        let loaded = file.load().expect("loaded");
        assert_eq!((loaded.access_key_id(), loaded.session_token()), ("ASIA", Some("t")));
        assert_eq!(loaded.expiry(), Some(expiry));
        let mode = |path: &Path| path.metadata().expect("exists").permissions().mode() & 0o777;
        assert_eq!(mode(&file.path), 0o600);
        assert_eq!(mode(file.path.parent().expect("a directory")), 0o700);
        let text = std::fs::read_to_string(&file.path).expect("text");
        assert_eq!(
            text,
            r#"{"Credentials":{"AccessKeyId":"ASIA","SecretAccessKey":"s","SessionToken":"t","Expiration":"2026-01-01T00:00:00+00:00","AccountId":"1"},"AssumedRoleUser":{"AssumedRoleId":"AROA:x","Arn":"arn:aws:sts::1:assumed-role/r/x"}}"#
        );
    }
}
