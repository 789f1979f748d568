//! The shared configuration files: which profile is meant, and where its credentials come from.

use std::error::Error;
use std::path::PathBuf;

use aws_config::profile::{Profile, ProfileSet};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::Fs;

use super::role::{Base, Role, RoleChain};
use super::{ConfigError, Environment, ProfileFault};
use crate::aws::ServiceError;

/// The profile that is meant when nothing names one.
const DEFAULT: &str = "default";

/// Where the credentials come from.
#[derive(Debug)]
pub(super) enum Choice {
    /// The environment's keys.
    Keys(Credentials),
    /// Roles, assumed one after the other.
    Roles(RoleChain),
    /// This profile and nothing else.
    Profile(String),
    /// The SDK's search: profile, web identity, container, instance.
    Search,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamedBy {
    Flag,
    Variable,
    Nobody,
}

/// The profiles of both files and the one that is meant.
pub(super) struct Profiles {
    set: ProfileSet,
    files: EnvConfigFiles,
    name: String,
    named_by: NamedBy,
}

impl Profiles {
    /// Reads both files; a missing file is an empty one, a missing profile that was named is an error.
    pub(super) async fn load(environment: &Environment, flag: Option<&str>) -> Result<Self, ConfigError> {
        // The AWS CLI looks at AWS_DEFAULT_PROFILE first, the SDK never does.
        let variable = environment.get("AWS_DEFAULT_PROFILE").or_else(|| environment.get("AWS_PROFILE"));
        let (name, named_by) = match (flag, variable) {
            (Some(name), _) => (name.to_owned(), NamedBy::Flag),
            (None, Some(name)) => (name, NamedBy::Variable),
            (None, None) => (DEFAULT.to_owned(), NamedBy::Nobody),
        };
        let paths = [
            (EnvConfigFileKind::Config, environment.file("AWS_CONFIG_FILE", ".aws/config")),
            (EnvConfigFileKind::Credentials, environment.file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")),
        ];
        let files = existing(&paths);
        let set = aws_config::profile::load(&Fs::real(), environment.env(), &files, Some(name.clone().into())).await;
        let set = set.map_err(|error| ConfigError::Files { cause: innermost(&error) })?;
        if set.get_profile(&name).is_none() && named_by != NamedBy::Nobody {
            let files = paths.into_iter().filter_map(|(_, path)| path).collect();
            return Err(ConfigError::UnknownProfile { known: nearest_first(&name, &set), name, files });
        }
        Ok(Self { set, files, name, named_by })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn files(&self) -> EnvConfigFiles {
        self.files.clone()
    }

    /// A setting of the profile that is meant.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.set.get(key).filter(|value| !value.is_empty())
    }

    /// A profile named on the command line wins over keys in the environment, which win over everything else.
    pub(super) fn choose(&self, environment: &Environment) -> Result<Choice, ConfigError> {
        if self.named_by != NamedBy::Flag
            && let Some(keys) = environment.keys()
        {
            return Ok(Choice::Keys(keys));
        }
        match self.roles()? {
            Some(chain) => Ok(Choice::Roles(chain)),
            None if self.named_by == NamedBy::Flag => Ok(Choice::Profile(self.name.clone())),
            None => Ok(Choice::Search),
        }
    }

    /// The roles to assume for the profile, following `source_profile`; `None` for a profile without a role.
    fn roles(&self) -> Result<Option<RoleChain>, ConfigError> {
        let mut roles: Vec<Role> = Vec::new();
        let mut at = self.name.as_str();
        let base = loop {
            let Some(profile) = self.set.get_profile(at) else {
                let Some(last) = roles.last() else { return Ok(None) };
                return Err(fault(&last.profile, ProfileFault::NoSource(at.to_owned())));
            };
            // As in the AWS CLI, keys win over a role everywhere but in the profile that was asked for.
            if !roles.is_empty()
                && let Some(keys) = keys(profile)?
            {
                break Base::Keys(keys);
            }
            let Some(role) = Role::of(profile)? else {
                break Base::Profile(at.to_owned());
            };
            roles.push(role);
            match (profile.get("source_profile"), profile.get("credential_source")) {
                (Some(_), Some(_)) => return Err(fault(at, ProfileFault::TwoSources)),
                (None, None) => return Err(fault(at, ProfileFault::NeitherSource)),
                (None, Some(source)) => {
                    let unknown = || fault(at, ProfileFault::UnknownCredentialSource(source.to_owned()));
                    break Base::parse(source).ok_or_else(unknown)?;
                }
                (Some(next), None) if next == at => {
                    break Base::Keys(keys(profile)?.ok_or_else(|| fault(at, ProfileFault::Loop))?);
                }
                (Some(next), None) if roles.iter().any(|role| role.profile == next) => {
                    return Err(fault(at, ProfileFault::Loop));
                }
                (Some(next), None) => at = next,
            }
        };
        if roles.is_empty() {
            return Ok(None);
        }
        roles.reverse();
        Ok(Some(RoleChain { base, roles }))
    }

    /// What a failed attempt to get credentials means for this profile.
    pub(super) fn explain(&self, error: &CredentialsError) -> ConfigError {
        let mut cause: &(dyn Error + 'static) = error;
        loop {
            if let Some(refused) = cause.downcast_ref::<ServiceError>() {
                return ConfigError::AssumeRole { profile: self.name.clone(), error: refused.clone() };
            }
            match cause.source() {
                Some(next) => cause = next,
                None => return self.no_credentials(&cause.to_string()),
            }
        }
    }

    pub(super) fn no_credentials(&self, cause: &str) -> ConfigError {
        let base = match self.roles() {
            Ok(Some(RoleChain { base: Base::Profile(name), .. })) => name,
            _ => self.name.clone(),
        };
        let profile = self.set.get_profile(&base);
        let has = |keys: &[&str]| profile.is_some_and(|profile| keys.iter().any(|key| profile.get(key).is_some()));
        let sign_in = if has(&["sso_session", "sso_start_url"]) {
            Some(format!("sign in: `aws sso login --profile {base}`"))
        } else if has(&["login_session"]) {
            Some(format!("sign in: `aws login --profile {base}`"))
        } else {
            None
        };
        let profile = (self.named_by != NamedBy::Nobody).then(|| self.name.clone());
        ConfigError::NoCredentials { profile, cause: cause.to_owned(), sign_in }
    }
}

fn existing(paths: &[(EnvConfigFileKind, Option<PathBuf>)]) -> EnvConfigFiles {
    let mut files = EnvConfigFiles::builder();
    for (kind, path) in paths {
        files = match path {
            Some(path) if path.exists() => files.with_file(*kind, path),
            _ => files.with_contents(*kind, ""),
        };
    }
    files.build()
}

/// The keys written in a profile; half a pair is an error.
fn keys(profile: &Profile) -> Result<Option<Credentials>, ConfigError> {
    match (profile.get("aws_access_key_id"), profile.get("aws_secret_access_key")) {
        (None, None) => Ok(None),
        (Some(id), Some(secret)) => {
            let mut keys =
                Credentials::builder().access_key_id(id).secret_access_key(secret).provider_name("ProfileFile");
            keys.set_session_token(profile.get("aws_session_token").map(str::to_owned));
            Ok(Some(keys.build()))
        }
        _ => Err(fault(profile.name(), ProfileFault::HalfKeys)),
    }
}

pub(super) fn fault(profile: &str, fault: ProfileFault) -> ConfigError {
    ConfigError::Profile { profile: profile.to_owned(), fault }
}

fn nearest_first(name: &str, set: &ProfileSet) -> Vec<String> {
    let mut known: Vec<String> = set.profiles().map(str::to_owned).collect();
    known.sort_by(|a, b| {
        let distance = |other: &str| strsim::damerau_levenshtein(name, other);
        distance(a).cmp(&distance(b)).then_with(|| a.cmp(b))
    });
    known
}

fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
