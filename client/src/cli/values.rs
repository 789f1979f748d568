//! Values of flags, parsed: what they may look like, and what is said when they do not.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fargate_contract::grant;

use crate::options::{Derive, EscapeChar, HostKeyMode, Latency, Launcher, TimingsFormat};

/// Longest time that makes sense in any limit; also far from what clocks overflow at.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Ephemeral storage that RunTask takes, in GiB (ECS API reference, EphemeralStorage).
const EPHEMERAL_STORAGE: std::ops::RangeInclusive<u32> = 21..=200;
/// Longest name of a host: one label of a domain name (RFC 1035, section 2.3.4).
const HOST_MAX: usize = 63;
/// Digits of an AWS account id.
const ACCOUNT_DIGITS: usize = 12;

/// Why a value is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{complaint}")]
pub(crate) struct BadValue {
    /// A predicate on the value: `is not a duration`.
    pub(crate) complaint: String,
    /// What would do.
    pub(crate) hint: String,
    /// What to show instead of the value, where that can hold a secret.
    pub(crate) shown: Option<String>,
}

impl BadValue {
    pub(super) fn new(complaint: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { complaint: complaint.into(), hint: hint.into(), shown: None }
    }
}

type Parsed<T> = Result<T, BadValue>;

/// A name or an id: some characters, no white space.
pub(super) fn name(text: &str) -> Parsed<String> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(BadValue::new("is not a name", "a name has no white space and is not empty"));
    }
    Ok(text.to_owned())
}

/// A host of OpenSSH's configuration: one word that neither it nor known_hosts takes for a pattern or a path.
pub(super) fn host(text: &str) -> Parsed<String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.len() <= HOST_MAX && text.chars().all(known) {
        return Ok(text.to_owned());
    }
    Err(BadValue::new(
        "is not a name for a host",
        format!("write letters, digits, `.`, `_` and `-`, at most {HOST_MAX} of them, a letter or digit first"),
    ))
}

/// A subnet id. Other shapes than AWS's are let through, but not a security group's.
pub(super) fn subnet(text: &str) -> Parsed<String> {
    if text.starts_with("sg-") {
        return Err(BadValue::new("is a security group", "security groups go into `-sg`, subnets into `-sn`"));
    }
    name(text)
}

/// A security-group id. Other shapes than AWS's are let through, but not a subnet's.
pub(super) fn security_group(text: &str) -> Parsed<String> {
    if text.starts_with("subnet-") {
        return Err(BadValue::new("is a subnet", "subnets go into `-sn`, security groups into `-sg`"));
    }
    name(text)
}

/// A TCP port that something can listen on.
pub(super) fn port(text: &str) -> Parsed<u16> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| BadValue::new("is not a port", "a port is a number from 1 to 65535"))
}

/// A switch, as Go's `flag` and people write it.
pub(super) fn switch(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "on" => Ok(true),
        "false" | "f" | "0" | "no" | "off" => Ok(false),
        _ => Err(BadValue::new("is neither true nor false", "write `true` or `false`")),
    }
}

/// A length of time above zero: `90s`, `15m`, `1h30m`; a bare number is seconds.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    match duration_or_zero(text) {
        Some(time) if time > LONGEST => Err(BadValue::new("is too long", "a year is the most")),
        Some(time) if time.is_zero() => Err(BadValue::new("is no time at all", "give it at least a millisecond")),
        Some(time) => Ok(time),
        None => {
            Err(BadValue::new("is not a duration", "write it as `90s`, `15m` or `1h30m`; a bare number is seconds"))
        }
    }
}

/// Like [`duration`], but `0` and `off` are zero: no limit.
pub(super) fn duration_or_off(text: &str) -> Parsed<Duration> {
    if text.eq_ignore_ascii_case("off") || duration_or_zero(text) == Some(Duration::ZERO) {
        return Ok(Duration::ZERO);
    }
    duration(text).map_err(|bad| BadValue { hint: format!("{}; `off` is no limit", bad.hint), ..bad })
}

fn duration_or_zero(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60 * 1000,
            "h" => 60 * 60 * 1000,
            "d" => 24 * 60 * 60 * 1000,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(milliseconds)?;
        total = total.checked_add(Duration::from_millis(part))?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// Ephemeral storage in GiB.
pub(super) fn ephemeral_storage(text: &str) -> Parsed<u32> {
    let gib = text.parse().ok().filter(|gib| EPHEMERAL_STORAGE.contains(gib));
    gib.ok_or_else(|| BadValue::new("is not a size of ephemeral storage", "it is a number of GiB from 21 to 200"))
}

/// A Fargate platform version.
pub(super) fn platform_version(text: &str) -> Parsed<String> {
    if text.eq_ignore_ascii_case("latest") {
        return Ok("LATEST".to_owned());
    }
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() == 3 && parts.iter().all(|part| part.parse::<u16>().is_ok()) {
        return Ok(text.to_owned());
    }
    Err(BadValue::new("is not a platform version", "write `LATEST` or a version such as `1.4.0`"))
}

/// ARN of an IAM role.
pub(super) fn role_arn(text: &str) -> Parsed<String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let shaped = matches!(parts[..], ["arn", partition, "iam", "", account, resource]
        if partition.starts_with("aws")
            && account.len() == ACCOUNT_DIGITS
            && account.chars().all(|c| c.is_ascii_digit())
            && resource.strip_prefix("role/").is_some_and(|role| name(role).is_ok()));
    if shaped {
        return Ok(text.to_owned());
    }
    Err(BadValue::new("is not the ARN of a role", "it looks like `arn:aws:iam::123456789012:role/NAME`"))
}

/// Address of a service.
pub(super) fn endpoint_url(text: &str) -> Parsed<String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if name(host).is_ok() && !host.starts_with('/') => Ok(text.to_owned()),
        _ => Err(BadValue::new("is not an endpoint", "it looks like `http://127.0.0.1:4566`")),
    }
}

/// A variable for the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// `NAME=VALUE`.
    Set(String, String),
    /// `NAME`: the value that it has here.
    TakeOver(String),
}

/// `NAME=VALUE` or `NAME`. What is wrong is told without the value.
pub(super) fn variable(text: &str) -> Parsed<Variable> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let refuse =
        |complaint: &str, hint: &str| BadValue { shown: Some(name.to_owned()), ..BadValue::new(complaint, hint) };
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(refuse("is not the name of a variable", "a name has letters, digits and `_`, and no digit first"));
    }
    if name == grant::AUTHORIZED_PUBLIC_KEY || name.starts_with(OURS) {
        return Err(refuse("is a variable of our own", "it says who may log in: choose another name"));
    }
    if value.is_some_and(|value| value.contains('\0')) {
        return Err(refuse("has a NUL in its value", "no variable can hold one"));
    }
    Ok(match value {
        Some(value) => Variable::Set(name.to_owned(), value.to_owned()),
        None => Variable::TakeOver(name.to_owned()),
    })
}

/// Beginning of every variable that is between the client and the init.
const OURS: &str = "_FARGATE_LOGIN_";

/// The escape character, as `ssh -e` has it: a character, `^` and a letter, or `none`.
pub(super) fn escape(text: &str) -> Parsed<EscapeChar> {
    /// What the Ctrl key leaves of a character.
    const CONTROL: u8 = 0x1f;
    match text.as_bytes() {
        b"none" => Ok(EscapeChar::None),
        [byte] if byte.is_ascii() => Ok(EscapeChar::Byte(*byte)),
        [b'^', byte @ (b'@'..=b'_' | b'a'..=b'z')] => Ok(EscapeChar::Byte(byte & CONTROL)),
        _ => Err(BadValue::new("is not an escape character", "write one character, `^` and a letter, or `none`")),
    }
}

/// What a list is printed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Text,
    Json,
}

/// What to print a list as.
pub(super) fn output(text: &str) -> Parsed<Output> {
    match text {
        "text" => Ok(Output::Text),
        "json" => Ok(Output::Json),
        _ => Err(BadValue::new("is not a format", "write `text` or `json`")),
    }
}

/// When to derive a task definition.
pub(super) fn derive(text: &str) -> Parsed<Derive> {
    match text {
        "auto" => Ok(Derive::Auto),
        "always" => Ok(Derive::Always),
        "never" => Ok(Derive::Never),
        _ => Err(BadValue::new("does not say when to derive", "write `auto`, `always` or `never`")),
    }
}

/// A file that is to be made. Standard output is the remote's, so `-` is none.
pub(super) fn record(text: &str) -> Parsed<PathBuf> {
    match text {
        "" | "-" => Err(BadValue::new("is no file", "name a file that does not exist yet, such as `session.cast`")),
        _ => Ok(PathBuf::from(text)),
    }
}

/// How the host key is verified.
pub(super) fn host_key(text: &str) -> Parsed<HostKeyMode> {
    match text {
        "pinned" => Ok(HostKeyMode::Pinned),
        "logs" => Ok(HostKeyMode::Logs),
        "accept-new" => Ok(HostKeyMode::AcceptNew),
        _ => Err(BadValue::new("is not a way to verify the host key", "write `pinned`, `logs` or `accept-new`")),
    }
}

/// Format of the phase timeline.
pub(super) fn timings(text: &str) -> Parsed<TimingsFormat> {
    match text {
        "text" => Ok(TimingsFormat::Text),
        "json" => Ok(TimingsFormat::Json),
        _ => Err(BadValue::new("is not a format", "write `text` or `json`")),
    }
}

/// Whether to use a stand-in, and what runs its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Local {
    No,
    On(Launcher),
}

/// A switch that may also say what runs the tasks.
pub(super) fn local(text: &str) -> Parsed<Local> {
    match (launcher(text), switch(text)) {
        (Ok(launcher), _) => Ok(Local::On(launcher)),
        (_, Ok(true)) => Ok(Local::On(Launcher::default())),
        (_, Ok(false)) => Ok(Local::No),
        _ => Err(BadValue::new("is no launcher", "write `process` or `docker`, or nothing for `process`")),
    }
}

/// Name of a launcher.
pub(super) fn launcher(text: &str) -> Parsed<Launcher> {
    match text {
        "process" => Ok(Launcher::Process),
        "docker" => Ok(Launcher::Docker),
        _ => Err(BadValue::new("is no launcher", "write `process` or `docker`")),
    }
}

/// Name of a latency profile.
pub(super) fn latency(text: &str) -> Parsed<Latency> {
    match text {
        "instant" => Ok(Latency::Instant),
        "fargate" => Ok(Latency::Fargate),
        _ => Err(BadValue::new("is not a latency", "write `instant` or `fargate`")),
    }
}

/// A loopback address and a port: the stand-in runs processes for whoever asks.
pub(super) fn loopback(text: &str) -> Parsed<SocketAddr> {
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
    address.ok_or_else(|| BadValue::new("is not a loopback address and port", "it looks like `127.0.0.1:4566`"))
}

/// Seed of the stand-in's random choices.
pub(super) fn seed(text: &str) -> Parsed<u64> {
    text.parse().map_err(|_| BadValue::new("is not a seed", "a seed is a number from 0 to 18446744073709551615"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let ms = |text| duration(text).map(|time| time.as_millis()).ok();
        for (text, want) in [
            ("90s", 90_000),
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("300ms", 300),
            ("1s500ms", 1500),
            ("45", 45_000),
            ("2d", 172_800_000),
        ] {
            assert_eq!(ms(text), Some(want), "{text}");
        }
        for text in
            ["", "s", "m5", "1.5h", "-1s", "1w", "5 s", "0", "0s", "99999d", "18446744073709551615h", "1h30", "ä"]
        {
            assert_eq!(ms(text), None, "{text}");
        }
        for text in ["0", "off", "OFF", "0s"] {
            assert_eq!(duration_or_off(text), Ok(Duration::ZERO), "{text}");
        }
        assert!(duration_or_off("often").is_err());
    }

    #[test]
    fn escapes_are_sshs() {
        assert_eq!(escape("~"), Ok(EscapeChar::Byte(b'~')));
        assert_eq!(escape("^]"), Ok(EscapeChar::Byte(0x1d)));
        assert_eq!(escape("^c"), Ok(EscapeChar::Byte(3)));
        assert_eq!(escape("none"), Ok(EscapeChar::None));
        for text in ["", "ab", "ä", "^1"] {
            assert!(escape(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shapes() {
        assert!(role_arn("arn:aws:iam::123456789012:role/path/Name").is_ok());
        assert!(role_arn("arn:aws-cn:iam::123456789012:role/Name").is_ok());
        for arn in
            ["Name", "arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:user/x", "arn:aws:iam::123456789012:role/"]
        {
            assert!(role_arn(arn).is_err(), "{arn}");
        }
        assert_eq!(platform_version("latest").as_deref(), Ok("LATEST"));
        assert!(platform_version("1.4").is_err());
        assert!(endpoint_url("http://127.0.0.1:4566").is_ok() && endpoint_url("localhost:4566").is_err());
        assert!(loopback("127.0.0.1:0").is_ok() && loopback("0.0.0.0:4566").is_err());
        assert_eq!(
            (ephemeral_storage("21").ok(), ephemeral_storage("20").ok(), ephemeral_storage("201").ok()),
            (Some(21), None, None)
        );
    }

    #[test]
    fn variables_of_our_own_are_refused_and_values_are_not_repeated() {
        assert_eq!(variable("A=b=c"), Ok(Variable::Set("A".to_owned(), "b=c".to_owned())));
        assert_eq!(variable("A="), Ok(Variable::Set("A".to_owned(), String::new())));
        assert_eq!(variable("A"), Ok(Variable::TakeOver("A".to_owned())));
        for text in
            ["_AUTHORIZED_PUBLIC_KEY=s3cret", "_FARGATE_LOGIN_PORT=s3cret", "1A=s3cret", "A-B=s3cret", "=s3cret"]
        {
            let bad = variable(text).expect_err(text);
            assert!(!format!("{bad:?}").contains("s3cret") && bad.shown.is_some(), "{bad:?}");
        }
    }
}
