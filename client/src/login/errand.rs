//! What the connection is for: one errand, from the connection that stands to the exit status.

use super::way_back::WayToTask;
use super::{LoginError, Run, child, files};
use crate::checkpoint::checkpoint;
use crate::forward::announce::{self, Format};
use crate::forward::hold::hold;
use crate::forward::spec::Target;
use crate::forward::{ForwardError, stdio};
use crate::options::{Errand, RemoteCommand};
use crate::recording::Recording;
use crate::session::{self, ExitStatus, SessionError, SessionRequest, Stdio};
use crate::ssh::Connection;
use crate::timings::Owner;

/// Runs the plan's errand over `connection`, which is another one afterwards where the first was lost and there was a way back.
pub(super) async fn run(
    run: &Run<'_>,
    connection: &mut Connection,
    way: &WayToTask<'_>,
) -> Result<ExitStatus, LoginError> {
    let listening = tokio::select! {
        stands = run.forwarding.stand(connection) => stands?,
        () = run.stop.first.cancelled() => return Err(LoginError::Interrupted(run.stop.signal_name())),
    };
    run.timings.begin("session", Owner::Session);
    run.ui.clear();
    // Programs are told on standard output where that is ours.
    let format = if let Errand::Hold(format) = run.plan.errand { format } else { Format::Text };
    announce::tell(run.ui, format, &listening).map_err(ForwardError::stdout)?;
    checkpoint("after-forwards", &run.stop.first).await;
    files::put(run, connection).await?;
    let ended = match &run.plan.errand {
        Errand::Session(command) => session(run, connection, way, command).await,
        Errand::Hold(_) => tokio::select! {
            lost = hold(connection, way, run.plan.reconnect_grace, run.ui) => Err(lost.into()),
            () = run.stop.first.cancelled() => Err(LoginError::Interrupted(run.stop.signal_name())),
        },
        Errand::Stdio(target) => tokio::select! {
            ended = pipe(connection, target) => ended,
            () = run.stop.first.cancelled() => Err(LoginError::Interrupted(run.stop.signal_name())),
        },
        Errand::Child(words) => {
            let told = child::Told { local: run.forwarding.local(), all: &listening };
            let lost = async { hold(connection, way, run.plan.reconnect_grace, run.ui).await.into() };
            let ended = child::run(words, told, run.stop, run.ui, lost).await;
            ended.unwrap_or(Err(LoginError::Interrupted(run.stop.signal_name())))
        }
        Errand::Copy(request) => files::copy(run, connection, request).await,
        // OpenSSH has connections of its own: this one is not made for it.
        Errand::OpenSsh(door) => {
            door.closed().await;
            Ok(ExitStatus::Code(0))
        }
    };
    let ended = files::get(run, connection, ended).await;
    run.forwarding.end();
    checkpoint("after-session", &run.stop.first).await;
    ended
}

async fn session(
    run: &Run<'_>,
    connection: &mut Connection,
    way: &WayToTask<'_>,
    command: &RemoteCommand,
) -> Result<ExitStatus, LoginError> {
    let request = SessionRequest {
        command: command.clone(),
        tty: run.plan.tty,
        escape: run.plan.escape,
        set_env: run.plan.set_env.clone(),
        reconnect_grace: run.plan.reconnect_grace,
        quiet: run.plan.quiet,
        recorder: run.recording.map(Recording::recorder),
        agent: run.forwarding.offers_agent(),
    };
    Ok(session::run(connection, request, way, run.stop.first.clone()).await?)
}

async fn pipe(connection: &Connection, target: &Target) -> Result<ExitStatus, LoginError> {
    let own = Stdio::inherited().map_err(SessionError::Stdio)?;
    Ok(stdio::run(connection, target, own, stdio::release_stdout).await?)
}
