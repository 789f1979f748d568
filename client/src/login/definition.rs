//! The task definition behind a run, read once for whoever depends on what it says: Spot's notice, the host key's log, the price.

use std::time::Duration;

use super::LoginError;
use crate::announcement::{NoLog, Place};
use crate::aws::Aws;
use crate::aws::describe_task_definition::describe_task_definition;
use crate::options::{HostKeyMode, Options};
use crate::origin::Origin;
use crate::plan::{PlanError, overrides};
use crate::ui::Ui;

/// Capacity provider whose tasks may be taken back.
const SPOT: &str = "FARGATE_SPOT";

/// Looks up a task definition that was only named, where anything depends on it. Of those, only the log has to be known. `ssm`: whether
/// the task is to be reached through Systems Manager.
pub(super) async fn read(
    origin: Origin,
    options: &Options,
    ssm: bool,
    aws: &Aws,
    ui: &Ui,
) -> Result<Origin, LoginError> {
    let (spot, logged) = (may_be_spot(options), reads_the_log(options));
    if !matches!(origin, Origin::Named) || !(spot || logged || ssm || options.dry_run) {
        return Ok(origin);
    }
    let name = options.task_definition.as_deref().unwrap_or_default();
    ui.phase(&format!("DescribeTaskDefinition {name}"));
    match describe_task_definition(aws, name).await {
        Ok(definition) => return Ok(Origin::Found(definition)),
        Err(error) if logged => return Err(error.into()),
        // RunTask refuses what it does not allow.
        Err(error) if !(spot || options.dry_run) => tracing::debug!(%error, "the task definition is not known"),
        Err(error) => {
            let without_price = "the plan has no price";
            let without_notice = "if Spot takes the task back, the session ends without notice";
            let loss = if options.dry_run { without_price } else { without_notice };
            ui.warn(&format!("{error}; {loss}"));
        }
    }
    Ok(origin)
}

/// How long the container has after Spot's notice, if the task may run there: as long as the task definition leaves it between
/// SIGTERM and SIGKILL. A caller who may not read that has sessions end with the notice.
pub(super) fn stop_notice(options: &Options, origin: &Origin, container: &str) -> Option<Duration> {
    let definition = origin.definition().filter(|_| may_be_spot(options))?;
    Some(definition.stop_timeout(container))
}

/// Where the host key is to be read, if it is.
pub(super) fn log(options: &Options, origin: &Origin, container: &str) -> Result<Option<Place>, PlanError> {
    if !reads_the_log(options) {
        return Ok(None);
    }
    let definition = origin.definition().ok_or(NoLog::NotRead)?;
    Ok(Some(Place::of(definition, container)?))
}

fn may_be_spot(options: &Options) -> bool {
    overrides::capacity_providers(options).iter().any(|known| known.capacity_provider == SPOT)
}

fn reads_the_log(options: &Options) -> bool {
    options.host_key == Some(HostKeyMode::Logs)
}
