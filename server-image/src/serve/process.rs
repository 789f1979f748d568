//! The process that serves: what it is given, what it gives up before it listens, and the signals that ask it to stop.

use std::io::{self, Read as _};

use fargate_contract::Grant;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::{handover, sys};

/// The host key and the grant are in our memory: no other process of this user may look into it, no core dump may hold it. This
/// thread, and every one that it starts, cannot gain rights by running a program. Each forward takes an open file, so their limit is
/// raised as far as we may; the spawner gives sessions theirs back. Returns the limit of core dumps that sessions get back.
pub(super) fn harden() -> (u64, u64) {
    let limit = getrlimit(Resource::RLIMIT_CORE).unwrap_or((0, 0));
    // A kernel that refuses these leaves us where every program is.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, limit.1);
    let _ = getrlimit(Resource::RLIMIT_NOFILE).and_then(|files| setrlimit(Resource::RLIMIT_NOFILE, files.1, files.1));
    let _ = prctl::set_dumpable(false);
    let _ = prctl::set_no_new_privs();
    sys::restrict_name_service();
    limit
}

/// The grant that `init` hands over.
pub(super) fn read_grant() -> Result<Grant, String> {
    // Room for all of it and for the read that finds the end: growing would leave copies behind.
    let mut records = Zeroizing::new(Vec::with_capacity(handover::MAX_BYTES + 1));
    let mut stdin = io::stdin().lock().take(handover::MAX_BYTES as u64);
    stdin.read_to_end(&mut records).map_err(|error| format!("the grant cannot be read: {error}"))?;
    handover::grant(&records).map_err(|error| error.to_string())
}

/// Completes at the first signal that asks us to stop. USR1, USR2 and ALRM would end a process that does not await them.
pub(super) fn told() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let harmless = [SignalKind::user_defined1(), SignalKind::user_defined2(), SignalKind::alarm()];
    let harmless = harmless.into_iter().map(signal).collect::<io::Result<Vec<_>>>()?;
    let mut term = signal(SignalKind::terminate())?;
    let (mut int, mut hup, mut quit) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?, signal(SignalKind::quit())?);
    Ok(async move {
        let _kept = harmless;
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            _ = hup.recv() => {}
            _ = quit.recv() => {}
        }
    })
}
