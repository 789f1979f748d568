//! A container's health, as Docker's own checks find it.

use bollard::Docker;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt as _;
use std::collections::HashMap;

use crate::task::Health;

/// Tells the health of one container as it changes.
#[derive(Debug)]
pub(crate) struct HealthWatch {
    docker: Docker,
    id: String,
}

impl HealthWatch {
    pub(super) fn new(docker: Docker, id: String) -> Self {
        Self { docker, id }
    }

    /// Tells every change; ends with the daemon's patience only.
    pub(crate) async fn tell(self, tell: impl Fn(Health)) {
        let filters = HashMap::from([("container", vec![self.id.as_str()]), ("event", vec!["health_status"])]);
        // From the daemon's beginning: what happened before we asked is told as well.
        let options = EventsOptionsBuilder::default().since("0").filters(&filters).build();
        let mut events = std::pin::pin!(self.docker.events(Some(options)));
        while let Some(Ok(event)) = events.next().await {
            match event.action.as_deref() {
                Some("health_status: healthy") => tell(Health::Healthy),
                Some("health_status: unhealthy") => tell(Health::Unhealthy),
                _ => {}
            }
        }
    }
}
