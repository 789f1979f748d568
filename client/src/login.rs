//! The sentence: plan, task, ready, connect, errand, stop. The only module that sees every stage.

mod carriers;
pub(crate) mod child;
mod definition;
mod errand;
mod files;
mod for_openssh;
mod letting_in;
mod planning;
mod routing;
mod way_back;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fargate_contract::exit_code;
use tokio_util::sync::CancellationToken;

use crate::aws::describe_tasks::{TaskState, describe_task};
use crate::aws::{Aws, ServiceError};
use crate::checkpoint::checkpoint;
use crate::error::{Advice, EXIT_FAILURE, EXIT_USAGE};
use crate::files::CopyError;
use crate::forward::{ForwardError, Forwarding};
use crate::ingress::OpenError;
use crate::my_ip::MyIpError;
use crate::openssh::directory::DirectoryError;
use crate::options::{Errand, Options, TimingsFormat};
use crate::origin::OriginError;
use crate::plan::{Plan, PlanError};
use crate::ready::dial::DialFailure;
use crate::ready::sessions::Sessions;
use crate::ready::{Reached, ReadyError, Stopped, Wait, wait_until_ready};
use crate::recording::{self, RecordError, Recording};
use crate::session::{self, ExitStatus, SessionError};
use crate::signals::Stop;
use crate::ssh::{self, HANDSHAKE_TIMEOUT, Settings, SshError};
use crate::ssm::SsmError;
use crate::task::{LaunchError, Task};
use crate::timings::{Owner, Timings};
use crate::ui::Ui;
use child::ChildError;
use way_back::WayToTask;

/// Time for a clean SSH disconnect, which nobody waits for.
const DISCONNECT_TIMEOUT: Duration = Duration::from_millis(200);

/// Everything that can end a login early.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The session cannot be recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There is no task definition for it.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// The caller could not be identified, or the derived task definition not be registered.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Our public address is not known.
    #[error(transparent)]
    MyIp(#[from] MyIpError),
    /// We could not be let in.
    #[error(transparent)]
    Ingress(#[from] OpenError),
    /// There is no task.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The task did not answer.
    #[error(transparent)]
    Ready(#[from] ReadyError),
    /// SSH failed.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The session failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Something is not forwarded.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// The program of this machine does not run.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// Files were not copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The task ended under the session.
    #[error("the task stopped: {}", .0.describe())]
    Stopped(Stopped),
    /// What the connection went through has ended.
    #[error("the session of Systems Manager that carried the connection has ended: {0}")]
    Carrier(Box<SsmError>),
    /// It took connections before, and does not any more.
    #[error("the task does not answer any more: {0}")]
    Unreachable(DialFailure),
    /// There is no place for what OpenSSH is told.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A signal ended it.
    #[error("stopped by {0}")]
    Interrupted(&'static str),
}

impl Advice for LoginError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Record(error) => error.hints(),
            Self::Plan(error) => error.hints(),
            Self::Origin(error) => error.hints(),
            Self::Service(error) => error.hints(),
            Self::MyIp(error) => error.hints(),
            Self::Ingress(error) => error.hints(),
            Self::Launch(error) => error.hints(),
            Self::Ready(error) => error.hints(),
            Self::Ssh(error) => error.hints(),
            Self::Session(error) => error.hints(),
            Self::Forward(error) => error.hints(),
            Self::Child(error) => error.hints(),
            Self::Copy(error) => error.hints(),
            Self::Stopped(stopped) => stopped.hints(),
            Self::Carrier(error) => match error.hints() {
                hints if hints.is_empty() => {
                    vec!["CloudTrail's TerminateSession events say who ends sessions".to_owned()]
                }
                hints => hints,
            },
            Self::Unreachable(failure) => vec![failure.hint()],
            Self::Directory(error) => error.hints(),
            Self::Interrupted(_) => Vec::new(),
        }
    }
}

/// One login, from the plan to the farewell. Returns the exit status of the program.
pub async fn run(options: Options, aws: &Aws, ui: &Ui, stop: &Stop) -> u8 {
    let timings = Timings::start();
    if let Err(error) = recording::check(&options) {
        return fail(&LoginError::Record(error), ui, stop);
    }
    let (dry_run, record) = (options.dry_run, options.record.clone());
    let planned = tokio::select! {
        planned = planning::plan(options, aws, ui, &timings, &stop.first) => planned,
        () = stop.first.cancelled() => Err(LoginError::Interrupted(stop.signal_name())),
    };
    match planned {
        // A plan that was finished at the last moment is not launched any more.
        Ok(_) if stop.first.is_cancelled() => fail(&LoginError::Interrupted(stop.signal_name()), ui, stop),
        Err(error) => fail(&error, ui, stop),
        Ok(planned) if dry_run => planned.show(aws, ui),
        Ok(planned) => match prepare(&planned.plan, record.as_deref(), ui).await {
            Ok(prepared) => launch_prepared(&planned.plan, aws, ui, stop, &timings, prepared).await,
            Err(error) => fail(&error, ui, stop),
        },
    }
}

/// What this machine has for the errand.
struct Prepared {
    forwarding: Forwarding,
    recording: Option<Recording>,
}

/// What this machine has to have for the errand, before anything is launched for it.
async fn prepare(plan: &Plan, record: Option<&Path>, ui: &Ui) -> Result<Prepared, LoginError> {
    if let Errand::Child(words) = &plan.errand {
        child::check(words)?;
    }
    files::check(plan)?;
    let forwarding = Forwarding::prepare(plan.forwards.clone(), ui).await.map_err(ForwardError::Bind)?;
    if let Errand::Child(_) = &plan.errand
        && forwarding.local().len() < plan.forwards.local.len()
    {
        // With `--keep-going` one may be missing, and the numbers in the program's arguments would be others'.
        ui.warn("not every forward stands: their numbers count those that do");
    }
    // The last: a file that no session will come to would stay.
    Ok(Prepared { forwarding, recording: record.map(Recording::create).transpose()? })
}

async fn launch_prepared(plan: &Plan, aws: &Aws, ui: &Ui, stop: &Stop, timings: &Timings, prepared: Prepared) -> u8 {
    let Prepared { forwarding, recording } = prepared;
    let (recorded, settled) = (recording.as_ref(), &CancellationToken::new());
    let sessions = &Sessions::new(aws.clone(), &plan.run, stop.first.clone());
    let run = Run { plan, aws, ui, stop, timings, settled, recording: recorded, forwarding: &forwarding, sessions };
    let code = Box::pin(letting_in::launch_admitted(&run)).await;
    if let Some(recording) = recording
        && let Some(loss) = recording.finish().await
    {
        ui.warn(&loss);
    }
    code
}

#[derive(Clone, Copy, Debug)]
struct Run<'a> {
    plan: &'a Plan,
    aws: &'a Aws,
    ui: &'a Ui,
    stop: &'a Stop,
    timings: &'a Timings,
    /// What the session shows is kept there, if anywhere.
    recording: Option<&'a Recording>,
    /// Cancelled once the connection stands, or will not stand any more.
    settled: &'a CancellationToken,
    forwarding: &'a Forwarding,
    /// Sessions of Systems Manager that carry connections.
    sessions: &'a Sessions,
}

async fn launch_and_visit(run: &Run<'_>) -> u8 {
    run.timings.begin("RunTask", Owner::Aws);
    run.ui.phase(&format!("RunTask {} in {}", run.plan.request.task_definition, run.plan.request.cluster));
    // Not a cancellation point: a request that was dropped half-way may leave a task that nobody knows.
    let launched = tokio::select! {
        launched = Task::run(run.plan, run.aws) => launched,
        () = run.stop.second.cancelled() => return leave_unknown(run),
    };
    let task = match launched {
        Ok(task) => task,
        Err(error) => return fail(&LoginError::Launch(error), run.ui, run.stop),
    };
    checkpoint("after-run-task", &run.stop.first).await;
    let outcome = visit(run, &task).await;
    run.ui.clear();
    let broken = carriers::close(run).await;
    let outcome = explain(run, &task, outcome, broken).await;
    let code = match &outcome {
        Ok(status) => status.exit_code(),
        Err(error) => fail(error, run.ui, run.stop),
    };
    let reason = if outcome.is_ok() { "the session ended" } else { "the run ended early" };
    farewell(run, task, reason, code).await
}

/// Everything between a launched task and its end. Cancellable at every point.
async fn visit(run: &Run<'_>, task: &Task) -> Result<ExitStatus, LoginError> {
    if let Errand::OpenSsh(door) = &run.plan.errand {
        return for_openssh::serve(run, task, door).await;
    }
    let connected = tokio::select! {
        connected = connect(run, task) => connected,
        () = run.stop.first.cancelled() => Err(LoginError::Interrupted(run.stop.signal_name())),
    };
    let (mut connection, way) = match connected {
        Err(_) if run.stop.first.is_cancelled() => return Err(LoginError::Interrupted(run.stop.signal_name())),
        other => other?,
    };
    run.settled.cancel();
    checkpoint("after-connect", &run.stop.first).await;
    let status = errand::run(run, &mut connection, &way).await;
    run.timings.begin("disconnect", Owner::Client);
    // The errand is over either way; the disconnect message is a courtesy.
    let _ = tokio::time::timeout(DISCONNECT_TIMEOUT, connection.disconnect()).await;
    match status {
        Err(_) if run.stop.first.is_cancelled() => Err(LoginError::Interrupted(run.stop.signal_name())),
        other => other,
    }
}

async fn connect<'a>(run: &'a Run<'a>, task: &'a Task) -> Result<(ssh::Connection, WayToTask<'a>), LoginError> {
    let wait = Wait { task, plan: run.plan, aws: run.aws, ui: run.ui, timings: run.timings, sessions: run.sessions };
    let Reached { stream, route, host_key } = wait_until_ready(wait).await?;
    checkpoint("after-route", &run.stop.first).await;
    run.timings.begin("SSH handshake", Owner::Client);
    tracing::info!(%route, "the task answers");
    let settings = Settings {
        user: run.plan.user.clone(),
        identity: Arc::new(run.plan.identity.clone()),
        host_key,
        server_alive_interval: run.plan.server_alive_interval,
        server_alive_count_max: run.plan.server_alive_count_max as usize,
        handshake_timeout: HANDSHAKE_TIMEOUT,
    };
    let connection = ssh::connect(stream, &settings).await?;
    Ok((connection, WayToTask::new(run, task, route, settings)))
}

/// A connection that broke because the task ended is told as the end of the task, and one whose session `broken` says how that ended.
async fn explain(
    run: &Run<'_>,
    task: &Task,
    outcome: Result<ExitStatus, LoginError>,
    broken: Option<SsmError>,
) -> Result<ExitStatus, LoginError> {
    let lost = match &outcome {
        Err(LoginError::Ssh(_) | LoginError::Session(_) | LoginError::Forward(_)) => true,
        // How a copy can be gone on with is told where nothing says more.
        Err(LoginError::Copy(CopyError::Lost { .. })) => broken.is_some(),
        _ => false,
    };
    if !lost || run.stop.second.is_cancelled() {
        return outcome;
    }
    match describe_task(run.aws, &task.cluster, &task.arn, &run.plan.container).await {
        Ok(Some(state)) if state.is_ending() && !(broken.is_some() && is_consequence(&state)) => {
            Err(LoginError::Stopped(Stopped::of(&state)))
        }
        _ => match broken {
            Some(error) => Err(LoginError::Carrier(Box::new(error))),
            None => outcome,
        },
    }
}

/// Whether a task that lost its connection ended for that: its init's last program did, however it took the loss (SIGHUP, a write that
/// failed, the end of its input). An init whose time was up, that was told to end or was killed had another reason.
fn is_consequence(state: &TaskState) -> bool {
    let is_own_end = state.stop_code.as_deref() == Some("EssentialContainerExited") && state.container.reason.is_none();
    let others = [exit_code::IDLE, exit_code::MAX_LIFETIME, exit_code::NO_LOGIN, exit_code::TOLD, exit_code::KILLED];
    is_own_end && state.container.exit_code.is_some_and(|code| !others.map(i32::from).contains(&code))
}

async fn farewell(run: &Run<'_>, task: Task, reason: &str, code: u8) -> u8 {
    checkpoint("before-stop-task", &run.stop.first).await;
    run.timings.begin("StopTask", Owner::Aws);
    let (id, age, command) = (task.id().to_owned(), task.age(), task.stop_command());
    let size = run.plan.size(task.state.cpu.as_deref(), task.state.memory.as_deref());
    let left = tokio::select! {
        stopped = task.stop(run.aws, reason) => stopped.err(),
        () = run.stop.second.cancelled() => {
            session::terminal::restore();
            run.ui.warn(&format!("leaving before the task {id} is known to be stopped; to be sure: {command}"));
            return code;
        }
    };
    if let Some(error) = &left {
        run.ui.error(error);
    }
    let cost = size.map(|size| format!(", about ${:.4}", size.cost(age))).unwrap_or_default();
    let ended = if left.is_some() { "not stopped" } else { "stopped" };
    run.ui.note(&format!("task {id} {ended} after {}{cost}", human(age)));
    match run.plan.timings {
        None => {}
        Some(TimingsFormat::Text) => run.ui.note(&run.timings.to_text()),
        Some(TimingsFormat::Json) => run.ui.data(&run.timings.to_json().to_string()),
    }
    if left.is_some() && code == 0 { EXIT_FAILURE } else { code }
}

/// The second signal came while RunTask was under way: whether a task exists is not known.
fn leave_unknown(run: &Run<'_>) -> u8 {
    run.ui.clear();
    let request = &run.plan.request;
    run.ui.warn(&format!(
        "RunTask was under way: look for a task with tag fargate-login:run={} with: aws ecs list-tasks --region {} --cluster {} --started-by {}",
        run.plan.run, run.aws.region, request.cluster, request.started_by,
    ));
    run.stop.exit_code().unwrap_or(EXIT_FAILURE)
}

fn fail(error: &LoginError, ui: &Ui, stop: &Stop) -> u8 {
    ui.clear();
    if let LoginError::Interrupted(name) = error {
        ui.note(&format!("{name}: cleaning up; a second one leaves at once"));
        return stop.exit_code().unwrap_or(EXIT_FAILURE);
    }
    ui.error(error);
    match error {
        LoginError::Plan(_) | LoginError::Record(_) => EXIT_USAGE,
        LoginError::Origin(error) if error.is_usage() => EXIT_USAGE,
        LoginError::Child(error) => error.exit_code(),
        _ => EXIT_FAILURE,
    }
}

fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) => format!("{:.1} s", duration.as_secs_f64()),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_as_people_say_them() {
        let told = |seconds| human(Duration::from_secs_f64(seconds));
        assert_eq!([told(1.25), told(61.0), told(7260.0)], ["1.2 s", "1 min 1 s", "2 h 1 min"]);
    }
}
