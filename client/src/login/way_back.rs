//! The way back to our task when its connection is lost: the same route, host and key, and a look at whether it still runs.

use std::time::Duration;

use super::Run;
use crate::aws::describe_tasks::describe_task;
use crate::ready::route::Route;
use crate::session::SessionError;
use crate::session::way_back::WayBack;
use crate::ssh::{self, Connection, Settings, SshError};
use crate::task::Task;

/// Pause between two looks at the task while there is no connection: the read bucket is shared by the whole account.
const LOOK_PAUSE: Duration = Duration::from_secs(3);
/// Key exchange and login again, with a server that runs already: beyond this another attempt is worth more.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The way back to one task.
pub(super) struct WayToTask<'a> {
    run: &'a Run<'a>,
    task: &'a Task,
    route: Route,
    settings: Settings,
}

impl<'a> WayToTask<'a> {
    /// By the route and the settings that led there the first time.
    pub(super) fn new(run: &'a Run<'a>, task: &'a Task, route: Route, settings: Settings) -> Self {
        let settings = Settings { handshake_timeout: HANDSHAKE_TIMEOUT, ..settings };
        Self { run, task, route, settings }
    }
}

impl WayBack for WayToTask<'_> {
    async fn connect(&self) -> Result<Connection, SshError> {
        let stream = self.route.dial(self.run.plan.connect_timeout).await;
        let stream = stream.map_err(|failure| SshError::Handshake { cause: failure.to_string() })?;
        ssh::connect(stream, &self.settings).await
    }

    async fn task_ended(&self) {
        loop {
            let Run { aws, plan, .. } = self.run;
            // Who cannot be asked does not say that it ended.
            let state = describe_task(aws, &self.task.cluster, &self.task.arn, &plan.container).await;
            if state.is_ok_and(|state| state.is_some_and(|state| state.is_ending())) {
                return;
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    fn lost(&self) {
        self.run.forwarding.lost();
    }

    async fn back(&self, connection: &Connection) -> Result<(), SessionError> {
        self.run.forwarding.stand(connection).await?;
        Ok(())
    }
}
