//! The grant: what one run allows the container to do, for whom and for how long. It travels as environment variables in
//! the RunTask override, which readers of `ecs:DescribeTasks` see: it can hold nothing that outlives the run.

use std::net::IpAddr;
use std::time::Duration;

use ssh_key::PublicKey;

use crate::forwarding::Forwarding;
use crate::host_seed::HostSeed;
use crate::limits;

/// The ancestor's name for the one public key that may log in, as an `authorized_keys` line.
pub const AUTHORIZED_PUBLIC_KEY: &str = "_AUTHORIZED_PUBLIC_KEY";
/// Seed of the pinned host key. Absent: the init makes a host key of its own.
pub const HOST_SEED: &str = "_FARGATE_LOGIN_HOST_SEED";
/// TCP port to listen on.
pub const PORT: &str = "_FARGATE_LOGIN_PORT";
/// Address to listen on. Absent: every address, IPv6 and IPv4.
pub const LISTEN: &str = "_FARGATE_LOGIN_LISTEN";
/// `1`: the key is burnt after the first login. `many`: it stays good for the life of the container.
pub const CONNECTIONS: &str = "_FARGATE_LOGIN_CONNECTIONS";
/// `post-quantum`: key exchanges that a quantum computer could break later are not offered. Absent: the classical curve is offered
/// as well, after the others, for clients like OpenSSH before 9.9.
pub const KEX: &str = "_FARGATE_LOGIN_KEX";
/// Milliseconds to wait for the first login.
pub const LOGIN_TIMEOUT: &str = "_FARGATE_LOGIN_LOGIN_TIMEOUT_MS";
/// Milliseconds without a byte in any session after which the container ends. Absent: never.
pub const IDLE_TIMEOUT: &str = "_FARGATE_LOGIN_IDLE_TIMEOUT_MS";
/// Milliseconds the container lives at most.
pub const MAX_LIFETIME: &str = "_FARGATE_LOGIN_MAX_LIFETIME_MS";
/// Milliseconds that the container waits for the next connection after the last has closed. Absent: it ends with the last.
pub const EMPTY_TIMEOUT: &str = "_FARGATE_LOGIN_EMPTY_TIMEOUT_MS";
/// Milliseconds that a session with a terminal is kept for its client after the connection was lost; 0 ends it at once.
pub const RECONNECT_GRACE: &str = "_FARGATE_LOGIN_RECONNECT_GRACE_MS";
/// Milliseconds from SIGTERM to SIGKILL, where SIGTERM is a notice: sessions may go on in that time. Absent: they end at once.
pub const STOP_NOTICE: &str = "_FARGATE_LOGIN_STOP_NOTICE_MS";
/// What the connection may forward: `none`, `local` (connections that the container makes for its client) or `remote` (connections that
/// come to listeners in the container). Absent: everything, agents too.
pub const FORWARDING: &str = "_FARGATE_LOGIN_FORWARDING";
/// How many links may carry one SSH connection (see [`crate::links`]), 2 to 16. Absent: one, and nothing is said of it.
pub const LINKS: &str = "_FARGATE_LOGIN_LINKS";
/// The run's name, for logs and tags; no secret.
pub const RUN: &str = "_FARGATE_LOGIN_RUN";
/// The ARN that STS names the caller by, for the log; no secret, and the client's word alone.
pub const CALLER: &str = "_FARGATE_LOGIN_CALLER";

/// Every variable of the grant: what the init removes from the environment before anybody else sees it.
pub const VARIABLES: [&str; 16] = [
    AUTHORIZED_PUBLIC_KEY,
    HOST_SEED,
    PORT,
    LISTEN,
    CONNECTIONS,
    KEX,
    LOGIN_TIMEOUT,
    IDLE_TIMEOUT,
    MAX_LIFETIME,
    EMPTY_TIMEOUT,
    RECONNECT_GRACE,
    STOP_NOTICE,
    FORWARDING,
    LINKS,
    RUN,
    CALLER,
];

/// How many authenticated connections the key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// One; afterwards the key is burnt.
    Once,
    /// As many as come while the container lives.
    Many,
}

/// Which key exchanges the server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyExchange {
    /// Post-quantum ones first, and the classical curve.
    Any,
    /// Post-quantum ones alone: what our own client always speaks.
    PostQuantum,
}

/// What the container is allowed to do, for whom and for how long.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The only key that may log in.
    pub authorized_key: PublicKey,
    /// Seed of the pinned host key; `None` makes the init draw a host key of its own.
    pub host_seed: Option<HostSeed>,
    /// TCP port to listen on.
    pub port: u16,
    /// Address to listen on; `None` is every address.
    pub listen: Option<IpAddr>,
    /// How many authenticated connections the key is good for.
    pub connections: Connections,
    /// Which key exchanges the init offers. The engine `openssh` offers what the image's sshd has.
    pub key_exchange: KeyExchange,
    /// How long the init waits for the first login.
    pub login_timeout: Duration,
    /// How long all sessions may be without a byte; `None` is for ever.
    pub idle_timeout: Option<Duration>,
    /// How long the container lives at most.
    pub max_lifetime: Duration,
    /// How long the container waits for the next connection after the last has closed; `None` ends it with the last.
    pub empty_timeout: Option<Duration>,
    /// How long a session is kept for its client after the connection was lost; zero ends it at once.
    pub reconnect_grace: Duration,
    /// Time from SIGTERM to SIGKILL, where SIGTERM is a notice; `None` ends sessions at once.
    pub stop_notice: Option<Duration>,
    /// What may be forwarded.
    pub forwarding: Forwarding,
    /// How many links may carry one SSH connection: 1 to [`limits::LINKS_MAX`]. The engine `openssh` has one.
    pub links: u8,
    /// The run's name.
    pub run: Option<String>,
    /// Who called, as far as the client knows: 1 to [`limits::CALLER_MAX_CHARS`] characters, none of them a control character.
    pub caller: Option<String>,
}

/// Why an environment holds no valid grant. Names the variable; never repeats a value that could be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// There is no key: nobody could ever log in.
    #[error("{AUTHORIZED_PUBLIC_KEY} is not set: nobody may log in")]
    NoKey,
    /// The key does not parse.
    #[error("{AUTHORIZED_PUBLIC_KEY} is not a public key in OpenSSH form: {0}")]
    BadKey(String),
    /// Another variable does not parse.
    #[error("{name} is not {expected}")]
    BadValue {
        /// The variable.
        name: &'static str,
        /// What it should have held.
        expected: &'static str,
    },
}

impl Grant {
    /// A grant for one key with every limit at its default.
    #[must_use]
    pub fn new(authorized_key: PublicKey) -> Self {
        Self {
            authorized_key,
            host_seed: None,
            port: limits::DEFAULT_PORT,
            listen: None,
            connections: Connections::Once,
            key_exchange: KeyExchange::Any,
            login_timeout: limits::LOGIN_TIMEOUT,
            idle_timeout: None,
            max_lifetime: limits::MAX_LIFETIME,
            empty_timeout: None,
            reconnect_grace: limits::RECONNECT_GRACE,
            stop_notice: None,
            forwarding: Forwarding::All,
            links: 1,
            run: None,
            caller: None,
        }
    }

    /// The grant as environment variables, the ancestor's first. Values that equal the default are left out: the override
    /// has 8192 characters.
    ///
    /// # Errors
    /// [`GrantError::BadKey`] when the key cannot be written in OpenSSH form.
    pub fn to_env(&self) -> Result<Vec<(&'static str, String)>, GrantError> {
        let key = self.authorized_key.to_openssh().map_err(|error| GrantError::BadKey(error.to_string()))?;
        let mut env = vec![(AUTHORIZED_PUBLIC_KEY, key)];
        if let Some(seed) = &self.host_seed {
            env.push((HOST_SEED, seed.encode().to_string()));
        }
        if self.port != limits::DEFAULT_PORT {
            env.push((PORT, self.port.to_string()));
        }
        if let Some(address) = self.listen {
            env.push((LISTEN, address.to_string()));
        }
        if self.connections == Connections::Many {
            env.push((CONNECTIONS, "many".to_owned()));
        }
        if self.key_exchange == KeyExchange::PostQuantum {
            env.push((KEX, "post-quantum".to_owned()));
        }
        if self.login_timeout != limits::LOGIN_TIMEOUT {
            env.push((LOGIN_TIMEOUT, self.login_timeout.as_millis().to_string()));
        }
        if let Some(idle) = self.idle_timeout {
            env.push((IDLE_TIMEOUT, idle.as_millis().to_string()));
        }
        if self.max_lifetime != limits::MAX_LIFETIME {
            env.push((MAX_LIFETIME, self.max_lifetime.as_millis().to_string()));
        }
        if let Some(empty) = self.empty_timeout {
            env.push((EMPTY_TIMEOUT, empty.as_millis().to_string()));
        }
        if self.reconnect_grace != limits::RECONNECT_GRACE {
            env.push((RECONNECT_GRACE, self.reconnect_grace.as_millis().to_string()));
        }
        if let Some(notice) = self.stop_notice {
            env.push((STOP_NOTICE, notice.as_millis().to_string()));
        }
        if let Some(word) = self.forwarding.word() {
            env.push((FORWARDING, word.to_owned()));
        }
        if self.links > 1 {
            env.push((LINKS, self.links.to_string()));
        }
        if let Some(run) = &self.run {
            env.push((RUN, run.clone()));
        }
        if let Some(caller) = &self.caller {
            env.push((CALLER, caller.clone()));
        }
        Ok(env)
    }

    /// Reads a grant through `lookup`, which answers a variable's value. Absent limits take their defaults.
    ///
    /// # Errors
    /// [`GrantError`] naming the first variable that is missing or wrong.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, GrantError> {
        let key = lookup(AUTHORIZED_PUBLIC_KEY).ok_or(GrantError::NoKey)?;
        let key = PublicKey::from_openssh(key.trim()).map_err(|error| GrantError::BadKey(error.to_string()))?;
        let bad = |name, expected| GrantError::BadValue { name, expected };
        let milliseconds = |name| match lookup(name).map(|text| text.parse::<u64>()) {
            None => Ok(None),
            Some(Ok(number)) if number > 0 => Ok(Some(Duration::from_millis(number))),
            Some(_) => Err(bad(name, "a number of milliseconds above 0")),
        };
        let mut grant = Self::new(key);
        if let Some(text) = lookup(HOST_SEED) {
            let seed = HostSeed::decode(&text).ok_or(bad(HOST_SEED, "32 bytes in base64 without padding"))?;
            grant.host_seed = Some(seed);
        }
        if let Some(text) = lookup(PORT) {
            grant.port = text.parse().ok().filter(|port| *port > 0).ok_or(bad(PORT, "a port from 1 to 65535"))?;
        }
        if let Some(text) = lookup(LISTEN) {
            grant.listen = Some(text.parse().map_err(|_| bad(LISTEN, "an IP address"))?);
        }
        grant.connections = match lookup(CONNECTIONS).as_deref() {
            None | Some("1") => Connections::Once,
            Some("many") => Connections::Many,
            Some(_) => return Err(bad(CONNECTIONS, "`1` or `many`")),
        };
        grant.key_exchange = match lookup(KEX).as_deref() {
            None => KeyExchange::Any,
            Some("post-quantum") => KeyExchange::PostQuantum,
            Some(_) => return Err(bad(KEX, "`post-quantum`")),
        };
        grant.login_timeout = milliseconds(LOGIN_TIMEOUT)?.unwrap_or(grant.login_timeout);
        grant.idle_timeout = milliseconds(IDLE_TIMEOUT)?;
        grant.max_lifetime = milliseconds(MAX_LIFETIME)?.unwrap_or(grant.max_lifetime);
        grant.empty_timeout = milliseconds(EMPTY_TIMEOUT)?;
        if let Some(text) = lookup(RECONNECT_GRACE) {
            let number = text.parse().map_err(|_| bad(RECONNECT_GRACE, "a number of milliseconds"))?;
            grant.reconnect_grace = Duration::from_millis(number);
        }
        grant.stop_notice = milliseconds(STOP_NOTICE)?;
        if let Some(text) = lookup(FORWARDING) {
            grant.forwarding = Forwarding::of_word(&text).ok_or(bad(FORWARDING, "`none`, `local` or `remote`"))?;
        }
        if let Some(text) = lookup(LINKS) {
            let links = text.parse().ok().filter(|links| (2..=limits::LINKS_MAX).contains(links));
            grant.links = links.ok_or(bad(LINKS, "a number from 2 to 16"))?;
        }
        grant.run = lookup(RUN);
        if let Some(caller) = lookup(CALLER) {
            let length = caller.chars().count();
            if !(1..=limits::CALLER_MAX_CHARS).contains(&length) || caller.chars().any(char::is_control) {
                return Err(bad(CALLER, "1 to 2048 characters without control characters"));
            }
            grant.caller = Some(caller);
        }
        Ok(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PublicKey {
        HostSeed::new([1; 32]).public_key()
    }

    fn read(env: &[(&str, &str)]) -> Result<Grant, GrantError> {
        Grant::from_env(|name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let grant = Grant {
            host_seed: Some(HostSeed::new([9; 32])),
            port: 2222,
            listen: Some("127.0.0.1".parse().expect("an address")),
            connections: Connections::Many,
            key_exchange: KeyExchange::PostQuantum,
            login_timeout: Duration::from_millis(1500),
            idle_timeout: Some(Duration::from_secs(60)),
            max_lifetime: Duration::from_secs(90),
            empty_timeout: Some(Duration::from_secs(40)),
            reconnect_grace: Duration::ZERO,
            stop_notice: Some(Duration::from_secs(120)),
            forwarding: Forwarding::Local,
            links: 4,
            run: Some("r-1".to_owned()),
            caller: Some("arn:aws:iam::000000000000:user/o'neil".to_owned()),
            ..Grant::new(key())
        };
        let env = grant.to_env().expect("an ed25519 key");
        assert_eq!(env.len(), VARIABLES.len());
        let back = Grant::from_env(|name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()));
        assert_eq!(format!("{:?}", back.expect("own encoding")), format!("{grant:?}"));
    }

    #[test]
    fn defaults_cost_one_variable_and_the_ancestor_sends_no_more() {
        let env = Grant::new(key()).to_env().expect("an ed25519 key");
        assert_eq!(env.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [AUTHORIZED_PUBLIC_KEY]);
        let line = format!("{}\n", env[0].1);
        let grant = read(&[(AUTHORIZED_PUBLIC_KEY, &line)]).expect("the ancestor's grant");
        assert_eq!((grant.port, grant.login_timeout), (22, limits::LOGIN_TIMEOUT));
    }

    #[test]
    fn bad_values_name_their_variable() {
        let key = key().to_openssh().expect("an ed25519 key");
        assert_eq!(read(&[]).expect_err("no key"), GrantError::NoKey);
        assert!(matches!(read(&[(AUTHORIZED_PUBLIC_KEY, "ssh-ed25519 AAAA")]), Err(GrantError::BadKey(_))));
        for (name, value) in [
            (HOST_SEED, "short"),
            (PORT, "0"),
            (PORT, "70000"),
            (LISTEN, "localhost"),
            (CONNECTIONS, "2"),
            (KEX, "classical"),
            (LOGIN_TIMEOUT, "0"),
            (IDLE_TIMEOUT, "-1"),
            (MAX_LIFETIME, "1h"),
            (EMPTY_TIMEOUT, "0"),
            (RECONNECT_GRACE, "-1"),
            (STOP_NOTICE, "2m"),
            (CALLER, ""),
            (CALLER, "arn:\n{}"),
            (CALLER, &"x".repeat(limits::CALLER_MAX_CHARS + 1)),
            (FORWARDING, "all"),
            (LINKS, "1"),
            (LINKS, "17"),
        ] {
            match read(&[(AUTHORIZED_PUBLIC_KEY, &key), (name, value)]) {
                Err(GrantError::BadValue { name: told, .. }) => assert_eq!(told, name),
                other => panic!("{name}={value}: {other:?}"),
            }
        }
    }
}
