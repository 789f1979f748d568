//! Files of a run: those that go along with its errand, and those that are its errand.

use indicatif::BinaryBytes;

use super::{LoginError, Run};
use crate::checkpoint::checkpoint;
use crate::error::EXIT_FAILURE;
use crate::files::{self, CopyError, CopyRequest};
use crate::options::{Errand, GetWhen};
use crate::plan::Plan;
use crate::session::ExitStatus;
use crate::ssh::Connection;
use crate::timings::Owner;

/// What has to be on this machine, before anything is launched for it.
///
/// # Errors
/// [`CopyError::Here`].
pub(super) fn check(plan: &Plan) -> Result<(), CopyError> {
    let own = match &plan.errand {
        Errand::Copy(request) => Some(request),
        _ => None,
    };
    let carried = &plan.carried;
    own.into_iter().chain(&carried.put).chain(&carried.get).try_for_each(files::check)
}

/// Brings in what goes along.
pub(super) async fn put(run: &Run<'_>, connection: &Connection) -> Result<(), LoginError> {
    if run.plan.carried.put.is_empty() {
        return Ok(());
    }
    for request in &run.plan.carried.put {
        run.timings.begin("put", Owner::Client);
        tell(run, files::copy(connection, request, run.ui, &run.stop.first).await?);
    }
    run.timings.begin("session", Owner::Session);
    Ok(())
}

/// The errand that is a copy.
pub(super) async fn copy(
    run: &Run<'_>,
    connection: &Connection,
    request: &CopyRequest,
) -> Result<ExitStatus, LoginError> {
    checkpoint("before-copy", &run.stop.first).await;
    tell(run, files::copy(connection, request, run.ui, &run.stop.first).await?);
    Ok(ExitStatus::Code(0))
}

/// Takes out what goes along, after an errand that ended so. Its exit status stays, unless it was success and something is missing.
pub(super) async fn get(
    run: &Run<'_>,
    connection: &Connection,
    ended: Result<ExitStatus, LoginError>,
) -> Result<ExitStatus, LoginError> {
    let carried = &run.plan.carried;
    let status = ended?;
    let is_time = status.exit_code() == 0 || carried.get_when == GetWhen::Always;
    if carried.get.is_empty() || !is_time {
        return Ok(status);
    }
    run.timings.begin("get", Owner::Client);
    let mut missing = false;
    for request in &carried.get {
        match files::copy(connection, request, run.ui, &run.stop.first).await {
            Ok(copied) => tell(run, copied),
            Err(CopyError::Cancelled) => return Err(CopyError::Cancelled.into()),
            Err(error) => {
                missing = true;
                run.ui.error(&error);
            }
        }
    }
    let is_success = status.exit_code() == 0;
    Ok(if missing && is_success { ExitStatus::Code(u32::from(EXIT_FAILURE)) } else { status })
}

fn tell(run: &Run<'_>, copied: files::Copied) {
    let files = if copied.files == 1 { "file" } else { "files" };
    run.ui.note(&format!("{} {files} copied, {}", copied.files, BinaryBytes(copied.bytes)));
}
