//! Signals by the names of the wire (RFC 4254, section 6.10).

use nix::sys::signal::Signal;
use russh::Sig;

/// The signals that RFC 4254 names and russh knows.
const NAMED: [(Sig, Signal); 12] = [
    (Sig::ABRT, Signal::SIGABRT),
    (Sig::ALRM, Signal::SIGALRM),
    (Sig::FPE, Signal::SIGFPE),
    (Sig::HUP, Signal::SIGHUP),
    (Sig::ILL, Signal::SIGILL),
    (Sig::INT, Signal::SIGINT),
    (Sig::KILL, Signal::SIGKILL),
    (Sig::PIPE, Signal::SIGPIPE),
    (Sig::QUIT, Signal::SIGQUIT),
    (Sig::SEGV, Signal::SIGSEGV),
    (Sig::TERM, Signal::SIGTERM),
    (Sig::USR1, Signal::SIGUSR1),
];

/// The signal that a client names: one of the RFC's, or another of this system by its name without `SIG`.
pub(crate) fn from_wire(name: &Sig) -> Option<Signal> {
    match name {
        Sig::Custom(custom) => format!("SIG{custom}").parse().ok(),
        named => NAMED.iter().find(|(sig, _)| same(sig, named)).map(|(_, signal)| *signal),
    }
}

/// The name that a client is told: the RFC's, else the system's with a domain behind it, as the RFC wants.
pub(super) fn to_wire(number: i32) -> Sig {
    let Ok(signal) = Signal::try_from(number) else {
        return Sig::Custom(format!("SIG{number}@openssh.com"));
    };
    if let Some((sig, _)) = NAMED.iter().find(|(_, named)| *named == signal) {
        return sig.clone();
    }
    match signal {
        // In the RFC's list, but not in russh's.
        Signal::SIGUSR2 => Sig::Custom("USR2".to_owned()),
        other => Sig::Custom(format!("{}@openssh.com", other.as_str().trim_start_matches("SIG"))),
    }
}

fn same(one: &Sig, other: &Sig) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for number in [1, 2, 3, 6, 9, 10, 11, 12, 13, 14, 15] {
            let signal = from_wire(&to_wire(number)).expect("a name of the RFC");
            assert_eq!(signal as i32, number);
        }
        assert!(matches!(to_wire(7), Sig::Custom(name) if name == "BUS@openssh.com"));
        assert!(matches!(to_wire(40), Sig::Custom(name) if name == "SIG40@openssh.com"));
        assert_eq!(from_wire(&Sig::Custom("NOSUCH".to_owned())), None);
    }
}
