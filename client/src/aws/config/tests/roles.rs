//! Roles of profiles against an STS on a loopback port.

use std::cell::Cell;
use std::os::unix::fs::PermissionsExt as _;

use super::service::Service;
use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const SERIAL: &str = "arn:aws:iam::123456789012:mfa/alice";

const CHAIN: &str = "\
[profile first]
region = eu-west-1
role_arn = arn:aws:iam::123456789012:role/first
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/alice
external_id = ext-42
duration_seconds = 7200
role_session_name = alice
[profile second]
region = eu-west-1
role_arn = arn:aws:iam::123456789012:role/second
source_profile = first
duration_seconds = 1800
";
const BASE: &str = "[base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n";

fn at(service: &Service, profile: &str) -> Source {
    Source { endpoint_url: Some(service.url.clone()), ..flags(Some(profile), None) }
}

fn code(digits: &str) -> Result<MfaCode, CodeError> {
    MfaCode::parse(digits)
}

/// Files in the AWS CLI's cache.
fn cached(home: &Home) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(home.0.path().join(".aws/cli/cache"));
    entries.map(|entries| entries.map(|entry| entry.expect("an entry").path()).collect()).unwrap_or_default()
}

#[tokio::test]
async fn every_role_of_a_chain_is_assumed_as_its_profile_says() {
    let sts = Service::sts(HOUR).await;
    let home = Home::new(CHAIN, BASE);
    let asked = Cell::new(0);
    let ask = async |serial: &str| {
        assert_eq!(serial, SERIAL);
        asked.set(asked.get() + 1);
        code("123456")
    };
    let config = load_from(&at(&sts, "second"), &home.environment(&[]), &ask).await.expect("a configuration");
    assert_eq!(key_id(&config).await, "ASIA-second");
    assert_eq!(asked.get(), 1);
    let requests = sts.requests();
    assert_eq!(requests.iter().map(|request| request.signer()).collect::<Vec<_>>(), ["AKIABASE", "ASIA-first"]);
    let fields = ["Action", "RoleArn", "SerialNumber", "TokenCode", "DurationSeconds", "RoleSessionName", "ExternalId"];
    let first = fields.map(|name| requests[0].field(name));
    let role = "arn:aws:iam::123456789012:role/first";
    let expected = ["AssumeRole", role, SERIAL, "123456", "7200", "alice", "ext-42"];
    assert_eq!(first, expected.map(Some));
    let second = &requests[1];
    assert_eq!(second.field("RoleArn"), Some("arn:aws:iam::123456789012:role/second"));
    assert_eq!(second.field("DurationSeconds"), Some("1800"));
    assert!(second.field("RoleSessionName").is_some_and(|name| name.starts_with("fargate-login-")));
    assert_eq!(
        (second.field("SerialNumber"), second.field("TokenCode"), second.field("ExternalId")),
        (None, None, None)
    );
}

#[tokio::test]
async fn a_session_is_kept_for_the_next_run_and_the_aws_cli() {
    let sts = Service::sts(HOUR).await;
    let home = Home::new(CHAIN, BASE);
    let ask = async |_: &str| code("123456");
    load_from(&at(&sts, "first"), &home.environment(&[]), &ask).await.expect("a configuration");
    let files = cached(&home);
    // hashlib.sha1(json.dumps({...}, sort_keys=True).encode()).hexdigest() of the profile's request
    assert_eq!(files.len(), 1);
    assert!(files[0].ends_with("07c9497500b27dd69dbbeeba04f8d658f3be33dc.json"), "{}", files[0].display());
    assert_eq!(files[0].metadata().expect("exists").permissions().mode() & 0o777, 0o600);
    let again = load_quietly(&at(&sts, "first"), &home.environment(&[])).await.expect("a configuration");
    assert_eq!(key_id(&again).await, "ASIA-first");
    assert_eq!(sts.requests().len(), 1);
}

#[tokio::test]
async fn a_session_that_is_about_to_end_is_replaced() {
    let sts = Service::sts(Duration::from_secs(14 * 60)).await;
    let home = Home::new(CHAIN, BASE);
    let asked = Cell::new(0);
    let ask = async |_: &str| {
        asked.set(asked.get() + 1);
        code("123456")
    };
    for _ in 0..2 {
        load_from(&at(&sts, "first"), &home.environment(&[]), &ask).await.expect("a configuration");
    }
    assert_eq!((asked.get(), sts.requests().len()), (2, 2));
}

#[tokio::test]
async fn a_wrong_code_is_the_services_error_and_is_not_cached() {
    let sts = Service::sts(HOUR).await;
    let home = Home::new(CHAIN, BASE);
    let ask = async |_: &str| code("000000");
    let error = load_from(&at(&sts, "first"), &home.environment(&[]), &ask).await.expect_err("refused");
    let shown = error.to_string();
    assert!(shown.contains("`first`") && shown.contains("AccessDenied: MultiFactorAuthentication failed"), "{shown}");
    assert!(!shown.contains("000000"));
    assert!(error.hints()[0].starts_with("wait for the next code"), "{:?}", error.hints());
    assert!(cached(&home).is_empty());
    assert_eq!(sts.requests().len(), 1, "a refused code must not be sent again");
}

#[tokio::test]
async fn without_a_terminal_nothing_is_sent() {
    let sts = Service::sts(HOUR).await;
    let home = Home::new(CHAIN, BASE);
    let ask = async |_: &str| Err(CodeError::NoTerminal);
    let error = load_from(&at(&sts, "first"), &home.environment(&[]), &ask).await.expect_err("nobody to ask");
    assert_eq!(error.to_string(), format!("no MFA code for {SERIAL}: there is no terminal to ask on"));
    assert!(error.hints()[0].contains("`aws sts get-caller-identity --profile first`"), "{:?}", error.hints());
    assert!(sts.requests().is_empty());
}

#[tokio::test]
async fn a_role_begins_with_the_environments_keys_or_its_own() {
    let sts = Service::sts(HOUR).await;
    let config = "[profile environment]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = Environment\n\
                  [profile own]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = own\n\
                  aws_access_key_id = AKIAOWN\naws_secret_access_key = s\n";
    let home = Home::new(config, "");
    for profile in ["environment", "own"] {
        load_quietly(&at(&sts, profile), &home.environment(&KEYS)).await.expect("a configuration");
    }
    let signers: Vec<String> = sts.requests().iter().map(|request| request.signer().to_owned()).collect();
    assert_eq!(signers, ["AKIAENV", "AKIAOWN"]);
}

#[tokio::test]
async fn the_profiles_endpoint_serves_its_role_unless_a_flag_names_another() {
    let (own, other) = (Service::sts(HOUR).await, Service::sts(HOUR).await);
    let config = format!(
        "[profile r]\nregion = eu-west-1\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\nservices = here\n\
         [services here]\nsts =\n  endpoint_url = {}\n",
        own.url
    );
    let home = Home::new(&config, BASE);
    load_quietly(&flags(Some("r"), None), &home.environment(&[])).await.expect("a configuration");
    assert_eq!((own.requests().len(), other.requests().len()), (1, 0));
    load_quietly(&at(&other, "r"), &home.environment(&[])).await.expect("a configuration");
    assert_eq!((own.requests().len(), other.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_profile_that_contradicts_itself_is_named() {
    let role = "region = eu-west-1\nrole_arn = arn:aws:iam::1:role/r\n";
    for (profiles, at_fault, fault) in [
        ("[profile a]\nROLEsource_profile = b\ncredential_source = Environment\n", "a", ProfileFault::TwoSources),
        ("[profile a]\nROLE", "a", ProfileFault::NeitherSource),
        ("[profile a]\nROLEsource_profile = b\n", "a", ProfileFault::NoSource("b".to_owned())),
        ("[profile a]\nROLEcredential_source = Moon\n", "a", ProfileFault::UnknownCredentialSource("Moon".to_owned())),
        ("[profile a]\nROLEsource_profile = a\n", "a", ProfileFault::Loop),
        ("[profile a]\nROLEsource_profile = b\n[profile b]\nROLEsource_profile = a\n", "b", ProfileFault::Loop),
        ("[profile a]\nROLEsource_profile = b\n[profile b]\naws_access_key_id = A\n", "b", ProfileFault::HalfKeys),
        ("[profile a]\nROLEsource_profile = b\nduration_seconds = 1h\n", "a", ProfileFault::Duration("1h".to_owned())),
    ] {
        let home = Home::new(&profiles.replace("ROLE", role), "");
        let error = load_quietly(&flags(Some("a"), None), &home.environment(&[])).await.expect_err("contradictory");
        assert_eq!(error, ConfigError::Profile { profile: at_fault.to_owned(), fault }, "{profiles}");
    }
}
