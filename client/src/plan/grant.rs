//! What the container is allowed to do: no more than the run is for.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use fargate_contract::{Connections, Forwarding, Grant, KeyExchange, limits};

use super::Given;
use crate::forward::Forwards;
use crate::options::{Errand, HostKeyMode, Launcher, Options};

/// Port of a task of the embedded stand-in: an ordinary user may not listen on 22.
const LOCAL_PORT: u16 = 2222;
/// Sessions that a connection may have when nobody says: four times what one carries, and few enough for everybody's share of StartSession.
const SSM_SESSIONS: u8 = 4;
/// How much longer the container waits for OpenSSH's next connection than its keeper does.
const EMPTY_MARGIN: Duration = Duration::from_secs(10);

/// The grant of one run.
pub(super) fn grant(options: &Options, given: &Given, mode: HostKeyMode) -> Grant {
    // A process of this machine is one of an ordinary user's; a container is as on Fargate.
    let default_port = if options.local == Some(Launcher::Process) { LOCAL_PORT } else { limits::DEFAULT_PORT };
    // A foreign sshd has its own mind: all of this would be words to it. Our init behind such a key keeps to what is safe for it, but
    // OpenSSH's connections are several wherever they go.
    let is_ours = mode != HostKeyMode::AcceptNew;
    let for_openssh = match &options.errand {
        Errand::OpenSsh(door) => Some(door.host()),
        Errand::Session(_) | Errand::Hold(_) | Errand::Stdio(_) | Errand::Child(_) | Errand::Copy(_) => None,
    };
    Grant {
        // Whoever has a host key of its own has no use for the seed: it would be a secret sent for nothing.
        host_seed: (mode == HostKeyMode::Pinned).then(|| given.host_seed.clone()),
        // Nobody has this key but our own client, or an OpenSSH that may be older than the post-quantum key exchange that we have.
        key_exchange: if is_ours && for_openssh.is_none() { KeyExchange::PostQuantum } else { KeyExchange::Any },
        connections: if is_ours || for_openssh.is_some() { connections(options) } else { Connections::Once },
        // The client ends the task earlier: this is for a client that is gone.
        empty_timeout: for_openssh.map(|host| host.linger + EMPTY_MARGIN),
        forwarding: if is_ours { forwarding(options) } else { Forwarding::All },
        port: options.port.unwrap_or(default_port),
        // The agent in the container is the only one who comes.
        listen: given.via.is_ssm().then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        links: if is_ours && given.via.is_ssm() { options.ssm_sessions.unwrap_or(SSM_SESSIONS) } else { 1 },
        login_timeout: options.login_timeout.unwrap_or(limits::LOGIN_TIMEOUT),
        idle_timeout: options.idle_timeout.filter(|idle| !idle.is_zero()),
        max_lifetime: options.max_lifetime.unwrap_or(limits::MAX_LIFETIME),
        reconnect_grace: options.reconnect_grace.unwrap_or(limits::RECONNECT_GRACE),
        stop_notice: given.stop_notice,
        run: Some(given.run.clone()),
        caller: given.caller.clone(),
        ..Grant::new(given.identity.public_key().clone())
    }
}

/// What has no session that is kept for it comes back by a login of its own, and OpenSSH connects as often as it likes.
fn connections(options: &Options) -> Connections {
    let comes_back = options.errand.outlives_its_connection() && options.reconnect_grace != Some(Duration::ZERO);
    if comes_back || matches!(options.errand, Errand::OpenSsh(_)) { Connections::Many } else { Connections::Once }
}

fn forwarding(options: &Options) -> Forwarding {
    let Forwards { local, dynamic, remote, agent, .. } = &options.forwards;
    let is_pipe = match options.errand {
        // What it will ask for, its user decides later.
        Errand::OpenSsh(_) => return Forwarding::All,
        Errand::Stdio(_) => true,
        Errand::Session(_) | Errand::Hold(_) | Errand::Child(_) | Errand::Copy(_) => false,
    };
    let (outward, inward) = (is_pipe || !local.is_empty() || !dynamic.is_empty(), !remote.is_empty());
    match (outward, inward) {
        _ if *agent => Forwarding::All,
        (true, true) => Forwarding::All,
        (true, false) => Forwarding::Local,
        (false, true) => Forwarding::Remote,
        (false, false) => Forwarding::None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{given, options};
    use super::*;
    use crate::forward::announce::Format;
    use crate::forward::spec::{Forward, Listen, RemoteForward, Target};

    #[test]
    fn nothing_is_granted_that_the_run_is_not_for() {
        let forward = || vec![Forward::parse("0:db:5432").expect("a forward")];
        let remote = || forward().into_iter().map(RemoteForward::from).collect();
        let dynamic = || vec![Listen::parse("0").expect("a listener")];
        let target = || Errand::Stdio(Target::parse("db:5432").expect("a target"));
        let of = |errand: Errand, forwards: Forwards| {
            let grant = grant(&Options { errand, forwards, ..options() }, &given(), HostKeyMode::Pinned);
            (grant.connections, grant.forwarding)
        };
        let (shell, hold) = (Errand::default, || Errand::Hold(Format::Text));
        let (once, many) = (Connections::Once, Connections::Many);
        assert_eq!(of(shell(), Forwards::default()), (once, Forwarding::None));
        let local = || Forwards { local: forward(), ..Forwards::default() };
        assert_eq!(of(shell(), local()), (once, Forwarding::Local));
        assert_eq!(of(hold(), local()), (many, Forwarding::Local));
        assert_eq!(of(hold(), Forwards { dynamic: dynamic(), ..Forwards::default() }), (many, Forwarding::Local));
        assert_eq!(of(hold(), Forwards { remote: remote(), ..Forwards::default() }), (many, Forwarding::Remote));
        assert_eq!(of(hold(), Forwards { remote: remote(), ..local() }), (many, Forwarding::All));
        assert_eq!(of(shell(), Forwards { agent: true, ..Forwards::default() }), (once, Forwarding::All));
        assert_eq!(of(target(), Forwards::default()), (once, Forwarding::Local));
        let at_once = Options { errand: hold(), forwards: local(), reconnect_grace: Some(Duration::ZERO), ..options() };
        assert_eq!(grant(&at_once, &given(), HostKeyMode::Pinned).connections, once);
        let foreign = grant(&options(), &given(), HostKeyMode::AcceptNew);
        assert_eq!((foreign.connections, foreign.forwarding), (once, Forwarding::All));
    }
}
