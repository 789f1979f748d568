//! The options of `ssh -o` that mean something here, by OpenSSH's names (ssh_config(5)).

use std::time::Duration;

use super::forward_values;
use super::nearest::nearest;
use super::values::{self, BadValue, Variable};
use crate::forward::spec::{Forward, Listen, RemoteForward};
use crate::options::{EscapeChar, HostKeyMode, Tty};

/// One option of `ssh -o`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SshOption {
    ServerAliveInterval(Duration),
    ServerAliveCountMax(u32),
    ConnectTimeout(Duration),
    User(String),
    Port(u16),
    RequestTty(Tty),
    EscapeChar(EscapeChar),
    SetEnv(Vec<(String, String)>),
    LogLevel(Talk),
    StrictHostKeyChecking(HostKeyMode),
    LocalForward(Forward),
    RemoteForward(RemoteForward),
    DynamicForward(Listen),
    ForwardAgent(bool),
    GatewayPorts(bool),
    ExitOnForwardFailure(bool),
}

/// How much to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talk {
    /// Errors only.
    Quiet,
    /// 0 is the default, 3 is everything.
    Verbose(u8),
}

const KEYS: [&str; 16] = [
    "ServerAliveInterval",
    "ServerAliveCountMax",
    "ConnectTimeout",
    "User",
    "Port",
    "RequestTTY",
    "EscapeChar",
    "SetEnv",
    "LogLevel",
    "StrictHostKeyChecking",
    "LocalForward",
    "RemoteForward",
    "DynamicForward",
    "ForwardAgent",
    "GatewayPorts",
    "ExitOnForwardFailure",
];

/// `Key=Value` or `Key Value`; keys in any case.
pub(super) fn parse(text: &str) -> Result<SshOption, BadValue> {
    let (key, rest) = text.split_at(text.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(text.len()));
    // `Key = Value` is also how a configuration file has it.
    let rest = rest.trim();
    let value = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let Some(known) = KEYS.into_iter().find(|known| known.eq_ignore_ascii_case(key)) else {
        return Err(unknown(key));
    };
    let refuse = |bad: BadValue| BadValue {
        complaint: format!("in {known} {}", bad.complaint),
        shown: bad.shown.or(Some(value.to_owned())),
        ..bad
    };
    if value.is_empty() {
        let hint = format!("write `-o {known}=VALUE`");
        return Err(BadValue { shown: Some(known.to_owned()), ..BadValue::new("has no value", hint) });
    }
    parse_value(known, value).map_err(refuse)
}

fn parse_value(key: &str, value: &str) -> Result<SshOption, BadValue> {
    Ok(match key {
        "ServerAliveInterval" => SshOption::ServerAliveInterval(values::duration_or_off(value)?),
        "ServerAliveCountMax" => SshOption::ServerAliveCountMax(count(value)?),
        "ConnectTimeout" => SshOption::ConnectTimeout(values::duration(value)?),
        "User" => SshOption::User(values::name(value)?),
        "Port" => SshOption::Port(values::port(value)?),
        "RequestTTY" => SshOption::RequestTty(request_tty(value)?),
        "EscapeChar" => SshOption::EscapeChar(values::escape(value)?),
        "SetEnv" => SshOption::SetEnv(set_env(value)?),
        "LogLevel" => SshOption::LogLevel(log_level(value)?),
        "StrictHostKeyChecking" => SshOption::StrictHostKeyChecking(strict_host_key_checking(value)?),
        "LocalForward" => SshOption::LocalForward(forward_values::forward(value)?),
        "RemoteForward" => SshOption::RemoteForward(forward_values::remote_forward(value)?),
        "DynamicForward" => SshOption::DynamicForward(forward_values::listen(value)?),
        "ForwardAgent" => SshOption::ForwardAgent(yes_or_no(value)?),
        "GatewayPorts" => SshOption::GatewayPorts(yes_or_no(value)?),
        "ExitOnForwardFailure" => SshOption::ExitOnForwardFailure(yes_or_no(value)?),
        other => return Err(unknown(other)),
    })
}

fn unknown(key: &str) -> BadValue {
    let hint = match nearest(key, KEYS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", KEYS.join(", ")),
    };
    BadValue { shown: Some(key.to_owned()), ..BadValue::new("is not an option of ours", hint) }
}

fn count(value: &str) -> Result<u32, BadValue> {
    let count = value.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| BadValue::new("is not a count", "a count is a number above 0"))
}

fn yes_or_no(value: &str) -> Result<bool, BadValue> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(BadValue::new("is not an answer", "write `yes` or `no`")),
    }
}

fn request_tty(value: &str) -> Result<Tty, BadValue> {
    match value.to_ascii_lowercase().as_str() {
        "no" => Ok(Tty::Never),
        "yes" => Ok(Tty::Request),
        "force" => Ok(Tty::Force),
        "auto" => Ok(Tty::Auto),
        _ => Err(BadValue::new("is not an answer", "write `no`, `yes`, `force` or `auto`")),
    }
}

/// `NAME=VALUE` pairs, quoted as in a shell.
fn set_env(value: &str) -> Result<Vec<(String, String)>, BadValue> {
    let hidden = |bad: BadValue| BadValue { shown: Some(bad.shown.unwrap_or_else(|| "SetEnv".to_owned())), ..bad };
    let words = shlex::split(value).ok_or_else(|| hidden(BadValue::new("has an open quote", "close it")))?;
    let pair = |word: &String| match values::variable(word).map_err(hidden)? {
        Variable::Set(name, value) => Ok((name, value)),
        Variable::TakeOver(name) => {
            Err(BadValue { shown: Some(name), ..BadValue::new("has no value", "write `-o SetEnv=NAME=VALUE`") })
        }
    };
    words.iter().map(pair).collect()
}

fn log_level(value: &str) -> Result<Talk, BadValue> {
    match value.to_ascii_uppercase().as_str() {
        // We have no level between silence and the default.
        "QUIET" | "FATAL" | "ERROR" => Ok(Talk::Quiet),
        "INFO" => Ok(Talk::Verbose(0)),
        "VERBOSE" | "DEBUG" | "DEBUG1" => Ok(Talk::Verbose(1)),
        "DEBUG2" => Ok(Talk::Verbose(2)),
        "DEBUG3" => Ok(Talk::Verbose(3)),
        _ => {
            let hint = "write QUIET, FATAL, ERROR, INFO, VERBOSE, DEBUG, DEBUG1, DEBUG2 or DEBUG3";
            Err(BadValue::new("is not a level", hint))
        }
    }
}

fn strict_host_key_checking(value: &str) -> Result<HostKeyMode, BadValue> {
    match value.to_ascii_lowercase().as_str() {
        "yes" => Ok(HostKeyMode::Pinned),
        "accept-new" => Ok(HostKeyMode::AcceptNew),
        "no" | "off" => {
            let hint =
                "the host is new in every run: `yes` pins its key, `accept-new` takes what an `sshd` of your own shows";
            Err(BadValue::new("is not offered", hint))
        }
        _ => Err(BadValue::new("is not an answer", "write `yes` or `accept-new`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_in_both_spellings_and_any_case() {
        let ten = Duration::from_secs(10);
        for (text, want) in [
            ("ServerAliveInterval=10", SshOption::ServerAliveInterval(ten)),
            ("serveraliveinterval 0", SshOption::ServerAliveInterval(Duration::ZERO)),
            ("ServerAliveCountMax=5", SshOption::ServerAliveCountMax(5)),
            ("connecttimeout = 10s", SshOption::ConnectTimeout(ten)),
            ("User ubuntu", SshOption::User("ubuntu".to_owned())),
            ("PORT=2222", SshOption::Port(2222)),
            ("RequestTTY=force", SshOption::RequestTty(Tty::Force)),
            ("RequestTTY=auto", SshOption::RequestTty(Tty::Auto)),
            ("EscapeChar none", SshOption::EscapeChar(EscapeChar::None)),
            ("SetEnv A=1 B='x y'", SshOption::SetEnv(vec![("A".into(), "1".into()), ("B".into(), "x y".into())])),
            ("LogLevel=quiet", SshOption::LogLevel(Talk::Quiet)),
            ("LogLevel=DEBUG3", SshOption::LogLevel(Talk::Verbose(3))),
            ("StrictHostKeyChecking=yes", SshOption::StrictHostKeyChecking(HostKeyMode::Pinned)),
            ("stricthostkeychecking accept-new", SshOption::StrictHostKeyChecking(HostKeyMode::AcceptNew)),
            ("LocalForward=1 db:2", SshOption::LocalForward(Forward::parse("1:db:2").expect("a forward"))),
            (
                "RemoteForward [::1]:1 db:2",
                SshOption::RemoteForward(RemoteForward::parse("[::1]:1:db:2").expect("a forward")),
            ),
            ("DynamicForward=*:1080", SshOption::DynamicForward(Listen::parse("*:1080").expect("a listener"))),
            ("ForwardAgent=yes", SshOption::ForwardAgent(true)),
            ("gatewayports=no", SshOption::GatewayPorts(false)),
            ("ExitOnForwardFailure no", SshOption::ExitOnForwardFailure(false)),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn every_key_refuses_what_it_cannot_mean() {
        for key in KEYS {
            for value in ["", "é\u{7f}="] {
                assert!(parse(&format!("{key}={value}")).is_err(), "{key}={value}");
            }
        }
        assert_eq!(
            parse("StrictHostKeyChecking=no").expect_err("refused").complaint,
            "in StrictHostKeyChecking is not offered"
        );
        assert_eq!(parse("ProxyJump=x").expect_err("refused").shown.as_deref(), Some("ProxyJump"));
        assert!(!format!("{:?}", parse("SetEnv=1A=s3cret")).contains("s3cret"));
        assert!(!format!("{:?}", parse("SetEnv=A='s3cret")).contains("s3cret"));
    }
}
