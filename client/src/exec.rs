//! `fargate-login exec`: a command or a shell in a container that runs already, through ECS Exec, with its exit status.
//!
//! `choose` finds the container, `missing` says what keeps ECS Exec out of it, `wrapper` puts around the command what tells its
//! status, `conversation` leads the session and takes that out of its output again (`marker`). Whatever ends it, no session is left.

mod ask;
mod canonical;
mod choose;
mod conversation;
mod error;
mod feeding;
mod marker;
mod missing;
mod new_lines;
mod quote;
mod wrapper;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::aws::describe_task_definition::describe_task_definition;
use crate::aws::execute_command::{ExecuteCommandRequest, execute_command};
use crate::aws::terminate_session::terminate_session;
use crate::aws::{Aws, ServiceError, last_part};
use crate::checkpoint::checkpoint;
use crate::error::EXIT_FAILURE;
use crate::listing::Place;
use crate::options::ExecOptions;
use crate::recording::{RecordError, Recorder, Recording};
use crate::session::ExitStatus;
use crate::signals::Stop;
use crate::ssm::{Services, Session};
use crate::ui::Ui;

use choose::Chosen;
use conversation::Manner;
use error::ExecError;
use marker::Nonce;
use missing::{Findings, Missing};
use wrapper::Mode;

/// Pauses between attempts at an agent that is said to run and is not connected: it may have started just now.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(3)];
/// For the end of a session that we leave, and for the answer that tells which one it is.
const FAREWELL: Duration = Duration::from_secs(10);
const NO_STATUS: &str = "the command's exit status is not known: nobody tells it with `--no-shell`";

/// Runs the command. Returns the exit status of the program: the command's own.
pub async fn run(options: ExecOptions, aws: &Aws, services: Services, ui: &Ui, stop: &Stop) -> u8 {
    let place = Place { clusters: &options.clusters, json: false, aws, ui };
    let has_terminal = io::stdin().is_terminal() && io::stdout().is_terminal() && !options.no_pty;
    let recording = match record(&options, has_terminal) {
        Ok(recording) => recording,
        Err(error) => {
            let error = ExecError::from(error);
            ui.error(&error);
            return error.exit_code();
        }
    };
    let recorder = recording.as_ref().map(Recording::recorder);
    let ended = enter(place, &options, has_terminal, recorder, services, stop).await;
    ui.clear();
    if let Some(recording) = recording
        && let Some(words) = recording.finish().await
    {
        ui.warn(&words);
    }
    match ended {
        Ok(status) => status.exit_code(),
        Err(ExecError::Cancelled) => stop.exit_code().unwrap_or(EXIT_FAILURE),
        Err(error) => {
            ui.error(&error);
            error.exit_code()
        }
    }
}

/// Makes the file of the recording, if one is wanted, before anything is asked of AWS.
fn record(options: &ExecOptions, has_terminal: bool) -> Result<Option<Recording>, RecordError> {
    match &options.record {
        None => Ok(None),
        Some(_) if !has_terminal => Err(RecordError::NoTerminal),
        Some(file) => Recording::create(file).map(Some),
    }
}

async fn enter(
    place: Place<'_>,
    options: &ExecOptions,
    has_terminal: bool,
    recorder: Option<Recorder>,
    services: Services,
    stop: &Stop,
) -> Result<ExitStatus, ExecError> {
    let found = async {
        let chosen = choose::choose(place, options).await?;
        let ready = missing::ready(place, &chosen).await;
        match ready {
            Ok(runtime_id) => Ok((chosen, runtime_id)),
            Err(error) => Err(explained(place, &chosen, error).await),
        }
    };
    let (chosen, runtime_id) = tokio::select! {
        found = found => found?,
        () = stop.first.cancelled() => return Err(ExecError::Cancelled),
    };
    let manner = Manner {
        mode: if has_terminal { Mode::Terminal } else { Mode::Pipes },
        bare: options.no_shell,
        escape: options.escape,
        nonce: Nonce::draw(),
        recorder,
    };
    let command = if options.no_shell {
        quote::line(options.command.iter().map(String::as_str))
    } else {
        wrapper::line(manner.mode, &manner.nonce, &options.command)
    };
    let session = start(place, &chosen, runtime_id, command, stop).await?;
    checkpoint("after-execute-command", &stop.first).await;
    let id = session.id.clone();
    let left = conversation::hold(session, services, &manner, place.ui, stop).await;
    if !left.is_over {
        terminate(place, &id, stop).await;
    }
    if options.no_shell && left.status.is_ok() {
        place.ui.warn(NO_STATUS);
    }
    left.status
}

/// Starts the session. A call that is under way when a signal comes is waited for: what it has started has to be ended.
async fn start(
    place: Place<'_>,
    chosen: &Chosen,
    runtime_id: String,
    command: String,
    stop: &Stop,
) -> Result<Session, ExecError> {
    let request = ExecuteCommandRequest {
        cluster: chosen.task.cluster_arn.clone(),
        task: chosen.task.arn.clone(),
        container: chosen.container.clone(),
        runtime_id,
        command,
    };
    let mut pauses = PAUSES.into_iter();
    loop {
        place.ui.phase(&format!("ExecuteCommand in container {}", chosen.container));
        let calling = execute_command(place.aws, &request);
        tokio::pin!(calling);
        let called = tokio::select! {
            called = &mut calling => called,
            () = stop.first.cancelled() => {
                if let Ok(Ok(session)) = timeout(FAREWELL, calling).await {
                    terminate(place, &session.id, stop).await;
                }
                return Err(ExecError::Cancelled);
            }
        };
        match (called, pauses.next()) {
            (Ok(session), _) => return Ok(session),
            (Err(error), Some(pause)) if is_disconnected(&error) => {
                place.ui.phase("waiting for the ExecuteCommandAgent to connect");
                tokio::select! {
                    // Nobody tells when it has connected.
                    () = sleep(pause) => {}
                    () = stop.first.cancelled() => return Err(ExecError::Cancelled),
                }
            }
            (Err(error), None) if is_disconnected(&error) => {
                let missing = Missing::NotConnected {
                    name: chosen.container.clone(),
                    task: last_part(&chosen.task.arn).to_owned(),
                    words: error.to_string(),
                    findings: Findings::default(),
                };
                return Err(explained(place, chosen, missing.into()).await);
            }
            (Err(error), _) => return Err(error.into()),
        }
    }
}

/// Whether ECS says that the agent is not there, though it was told to run.
fn is_disconnected(error: &ServiceError) -> bool {
    error.is_not_connected()
        || (error.code() == Some("InvalidParameterException") && error.message().contains("execute command agent isn"))
}

/// An error with what the task definition says about it, where that may help and can be read.
async fn explained(place: Place<'_>, chosen: &Chosen, error: ExecError) -> ExecError {
    let ExecError::Missing(missing) = error else { return error };
    if !missing.is_obscure() {
        return missing.into();
    }
    match describe_task_definition(place.aws, &chosen.task.task_definition_arn).await {
        Ok(definition) => missing.with(Findings::of(&definition, &chosen.container)).into(),
        // It was only to help.
        Err(_) => missing.into(),
    }
}

async fn terminate(place: Place<'_>, id: &str, stop: &Stop) {
    let terminated = tokio::select! {
        terminated = timeout(FAREWELL, terminate_session(place.aws, id)) => terminated,
        () = stop.second.cancelled() => return,
    };
    let told = match terminated {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_elapsed) => format!("no answer within {} s", FAREWELL.as_secs()),
    };
    place.ui.warn(&format!("session {id} is left to its idle limit of 20 minutes: {told}"));
}
