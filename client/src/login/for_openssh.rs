//! The errand of a keeper: OpenSSH logs in through it, as often as it likes, until nobody has for a while or the task has ended.

use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::{LoginError, Run};
use crate::aws::describe_tasks::describe_task;
use crate::checkpoint::checkpoint;
use crate::openssh::door::{Door, Way};
use crate::openssh::{agent, directory};
use crate::ready::dial::DialFailure;
use crate::ready::{Reached, Stopped, Wait, wait_until_ready};
use crate::session::ExitStatus;
use crate::ssh::host_key::HostKey;
use crate::task::Task;
use crate::timings::Owner;

/// Pauses before the looks at a task that may have ended: ECS learns of a container's end later than we do.
const LOOKS: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2)];
/// Shortest pause between two doubts: the read bucket is shared by the whole account.
const LOOK_PAUSE: Duration = Duration::from_secs(3);

/// Opens `door` once the task answers, and waits until it is closed. Cancellable at every point.
pub(super) async fn serve(run: &Run<'_>, task: &Task, door: &Door) -> Result<ExitStatus, LoginError> {
    let stop = &run.stop.first;
    let opened = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(LoginError::Interrupted(run.stop.signal_name())),
        opened = open(run, task, door) => opened,
    };
    run.settled.cancel();
    let _agent = opened?;
    checkpoint("after-connect", stop).await;
    let status = tokio::select! {
        biased;
        () = door.closed() => Ok(ExitStatus::Code(0)),
        () = stop.cancelled() => Err(LoginError::Interrupted(run.stop.signal_name())),
        ended = ended(run, task, door) => Err(ended),
    };
    checkpoint("after-session", stop).await;
    status
}

async fn open(run: &Run<'_>, task: &Task, door: &Door) -> Result<AbortOnDropHandle<()>, LoginError> {
    let wait = Wait { task, plan: run.plan, aws: run.aws, ui: run.ui, timings: run.timings, sessions: run.sessions };
    let Reached { stream, route, host_key } = wait_until_ready(wait).await?;
    checkpoint("after-route", &run.stop.first).await;
    run.timings.begin("connections", Owner::Session);
    let host = door.host();
    let known = match &host_key {
        HostKey::Pinned(key) | HostKey::Announced(key) => {
            format!("{} {}\n", host.name, key.to_openssh().unwrap_or_default())
        }
        // OpenSSH writes what it is shown first; every later connection of the run is held to that.
        HostKey::AcceptNew => String::new(),
    };
    directory::write(&host.directory, directory::KNOWN_HOSTS, &known)?;
    let listener = directory::listen(&host.directory, directory::AGENT)?;
    let listener = listener.set_nonblocking(true).and_then(|()| tokio::net::UnixListener::from_std(listener));
    let path = host.directory.join(directory::AGENT);
    let listener = listener.map_err(|source| directory::DirectoryError::System { path, source })?;
    let agent = AbortOnDropHandle::new(tokio::spawn(agent::serve(listener, run.plan.identity.clone())));
    // Only now: OpenSSH asks for both once it has the task's first bytes.
    door.open(Way { route, connect_timeout: run.plan.connect_timeout }, stream);
    Ok(agent)
}

/// Waits until the task has ended. ECS is asked only when a visitor doubts.
async fn ended(run: &Run<'_>, task: &Task, door: &Door) -> LoginError {
    loop {
        let doubt = door.doubted().await;
        for pause in LOOKS {
            tokio::time::sleep(pause).await;
            let state = describe_task(run.aws, &task.cluster, &task.arn, &run.plan.container).await;
            if let Ok(Some(state)) = state
                && state.is_ending()
            {
                return LoginError::Stopped(Stopped::of(&state));
            }
            // Silence may be the network's, and whoever cannot be asked does not say that it ended.
            if let Some(failure @ DialFailure::Refused) = doubt.failure {
                return LoginError::Unreachable(failure);
            }
            if doubt.lives.is_closed() {
                break;
            }
        }
        // Whoever has left in the meantime does not listen.
        let _ = doubt.lives.send(());
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}
