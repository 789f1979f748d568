//! The configuration as a whole: given files and variables, an STS on a loopback port, and no environment of the
//! process.

mod reach;
mod roles;
mod service;

use std::collections::HashMap;

use aws_credential_types::provider::ProvideCredentials as _;

use super::*;
use crate::error::Advice as _;

/// A home directory with both files of the AWS CLI.
struct Home(tempfile::TempDir);

impl Home {
    fn new(config: &str, credentials: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(home.path().join(".aws")).expect("created");
        std::fs::write(home.path().join(".aws/config"), config).expect("written");
        std::fs::write(home.path().join(".aws/credentials"), credentials).expect("written");
        Self(home)
    }

    fn environment(&self, variables: &[(&str, &str)]) -> Environment {
        let home = [("HOME", self.0.path().to_str().expect("text"))];
        let variables = home.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Environment::given(variables.collect::<HashMap<_, _>>())
    }
}

fn flags(profile: Option<&str>, region: Option<&str>) -> Source {
    Source { profile: profile.map(str::to_owned), region: region.map(str::to_owned), endpoint_url: None }
}

async fn nobody_asks(serial: &str) -> Result<MfaCode, CodeError> {
    Err(CodeError::Terminal(format!("nobody should be asked for a code of {serial}")))
}

async fn load_quietly(source: &Source, environment: &Environment) -> Result<SdkConfig, ConfigError> {
    load_from(source, environment, &nobody_asks).await
}

async fn key_id(config: &SdkConfig) -> String {
    let provider = config.credentials_provider().expect("a provider");
    provider.provide_credentials().await.expect("credentials").access_key_id().to_owned()
}

const TWO_PROFILES: &str = "[default]\nregion = eu-west-1\n[profile blue]\nregion = eu-central-1\n";
const TWO_KEYS: &str = "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = s\n\
                        [blue]\naws_access_key_id = AKIABLUE\naws_secret_access_key = s\n";
const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "s")];

#[tokio::test]
async fn a_profile_flag_wins_over_keys_which_win_over_a_profile_variable() {
    let home = Home::new(TWO_PROFILES, TWO_KEYS);
    let with_keys = |more: &[(&'static str, &'static str)]| [&KEYS[..], more].concat();
    for (flag, variables, key, region) in [
        (Some("blue"), with_keys(&[]), "AKIABLUE", "eu-central-1"),
        (Some("blue"), with_keys(&[("AWS_PROFILE", "default")]), "AKIABLUE", "eu-central-1"),
        (None, with_keys(&[("AWS_PROFILE", "blue")]), "AKIAENV", "eu-central-1"),
        (None, with_keys(&[]), "AKIAENV", "eu-west-1"),
        (None, vec![("AWS_PROFILE", "blue")], "AKIABLUE", "eu-central-1"),
        (None, vec![("AWS_DEFAULT_PROFILE", "blue"), ("AWS_PROFILE", "default")], "AKIABLUE", "eu-central-1"),
        (Some("default"), vec![("AWS_PROFILE", "blue")], "AKIADEFAULT", "eu-west-1"),
        (None, vec![("AWS_PROFILE", " ")], "AKIADEFAULT", "eu-west-1"),
        (None, vec![], "AKIADEFAULT", "eu-west-1"),
    ] {
        let config = load_quietly(&flags(flag, None), &home.environment(&variables)).await.expect("a configuration");
        assert_eq!(key_id(&config).await, key, "{flag:?} {variables:?}");
        assert_eq!(config.region().map(Region::as_ref), Some(region), "{flag:?} {variables:?}");
    }
}

#[tokio::test]
async fn an_unknown_profile_is_an_error_that_names_the_nearest() {
    let home = Home::new(TWO_PROFILES, TWO_KEYS);
    let variables = [&KEYS[..], &[("AWS_PROFILE", "bleu")]].concat();
    for (source, environment) in [
        (flags(Some("bleu"), Some("us-east-1")), home.environment(&KEYS)),
        (flags(None, Some("us-east-1")), home.environment(&variables)),
    ] {
        let error = load_quietly(&source, &environment).await.expect_err("no such profile");
        assert_eq!(error.to_string(), "there is no AWS profile `bleu`");
        assert_eq!(error.hints(), ["the profiles found are `blue`, `default`"]);
    }
}

#[tokio::test]
async fn the_files_that_variables_name_are_read() {
    let home = Home::new("", "");
    let other = Home::new(
        "[profile green]\nregion = sa-east-1\n",
        "[green]\naws_access_key_id = AKIAGREEN\naws_secret_access_key = s\n",
    );
    let path = |name: &str| other.0.path().join(".aws").join(name).to_str().expect("text").to_owned();
    let (config, credentials) = (path("config"), path("credentials"));
    let variables = [("AWS_CONFIG_FILE", config.as_str()), ("AWS_SHARED_CREDENTIALS_FILE", credentials.as_str())];
    let config =
        load_quietly(&flags(Some("green"), None), &home.environment(&variables)).await.expect("a configuration");
    assert_eq!((key_id(&config).await.as_str(), config.region().map(Region::as_ref)), ("AKIAGREEN", Some("sa-east-1")));
    let missing = [("AWS_CONFIG_FILE", "/nonexistent/config")];
    let error = load_quietly(&flags(Some("green"), None), &home.environment(&missing)).await.expect_err("no file");
    assert!(error.hints()[0].starts_with("there are no profiles in /nonexistent/config and /"), "{:?}", error.hints());
}

#[tokio::test]
async fn a_region_is_a_flag_then_a_variable_then_the_profiles_own() {
    let home = Home::new(TWO_PROFILES, TWO_KEYS);
    let both = [("AWS_REGION", "ap-south-1"), ("AWS_DEFAULT_REGION", "ca-central-1")];
    for (flag, variables, region) in [
        (Some("us-east-2"), &both[..], "us-east-2"),
        (None, &both[..], "ap-south-1"),
        (None, &both[1..], "ca-central-1"),
        (None, &[][..], "eu-west-1"),
    ] {
        let config = load_quietly(&flags(None, flag), &home.environment(variables)).await.expect("a configuration");
        assert_eq!(config.region().map(Region::as_ref), Some(region));
    }
}

#[tokio::test]
async fn without_a_region_there_is_no_guess() {
    let home = Home::new("[profile bare]\noutput = json\n", TWO_KEYS);
    let error = load_quietly(&flags(Some("bare"), None), &home.environment(&[])).await.expect_err("no region");
    assert_eq!(error, ConfigError::NoRegion { profile: "bare".to_owned() });
    let hint = &error.hints()[0];
    assert!(hint.contains("--region") && hint.contains("AWS_REGION") && hint.contains("--profile bare"), "{hint}");
}

#[tokio::test]
async fn a_profile_flag_without_credentials_takes_none_from_elsewhere() {
    let home = Home::new("[profile bare]\nregion = eu-west-1\n", TWO_KEYS);
    let error = load_quietly(&flags(Some("bare"), None), &home.environment(&KEYS)).await.expect_err("no credentials");
    assert!(matches!(&error, ConfigError::NoCredentials { profile: Some(name), .. } if name == "bare"), "{error:?}");
}

#[tokio::test]
async fn an_sso_profile_that_is_signed_out_says_how_to_sign_in() {
    let config = "[profile sso]\nregion = eu-west-1\nsso_start_url = https://example.awsapps.com/start\n\
                  sso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = Ops\n\
                  [profile role]\nregion = eu-west-1\nrole_arn = arn:aws:iam::123456789012:role/r\n\
                  mfa_serial = arn:aws:iam::123456789012:mfa/m\nsource_profile = sso\n";
    let home = Home::new(config, "");
    let error = load_quietly(&flags(Some("sso"), None), &home.environment(&[])).await.expect_err("signed out");
    assert_eq!(error.hints(), ["sign in: `aws sso login --profile sso`"]);
}

#[tokio::test]
async fn calls_are_bounded_and_signed_with_our_name() {
    let home = Home::new(TWO_PROFILES, TWO_KEYS);
    let config = load_quietly(&Source::default(), &home.environment(&[])).await.expect("a configuration");
    let timeouts = config.timeout_config().expect("timeouts");
    assert_eq!(timeouts.connect_timeout(), Some(CONNECT_TIMEOUT));
    assert_eq!(timeouts.read_timeout(), Some(READ_TIMEOUT));
    assert_eq!(timeouts.operation_attempt_timeout(), Some(ATTEMPT_TIMEOUT));
    assert_eq!(timeouts.operation_timeout(), Some(OPERATION_TIMEOUT));
    assert_eq!(config.retry_config().map(RetryConfig::max_attempts), Some(MAX_ATTEMPTS));
    assert_eq!(config.app_name().map(ToString::to_string).as_deref(), Some("fargate-login"));
}

#[test]
fn keys_in_the_environment_are_never_shown() {
    let home = Home::new("", "");
    let environment = home.environment(&[("AWS_SECRET_ACCESS_KEY", "wJalr")]);
    assert!(!format!("{environment:?}").contains("wJalr"));
}
