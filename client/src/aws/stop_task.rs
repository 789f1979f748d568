//! `ecs:StopTask`: SIGTERM to the containers, SIGKILL after `stopTimeout`. Asking twice is harmless.

use super::{Aws, ServiceError};

/// Longest `reason` we send: the service's limit is not published, 255 has always been taken.
const REASON_MAX_CHARS: usize = 255;

/// Asks ECS to stop the task; does not wait until it has.
///
/// # Errors
/// [`ServiceError`]. A task that is gone already counts as stopped.
pub async fn stop_task(aws: &Aws, cluster: &str, task_arn: &str, reason: &str) -> Result<(), ServiceError> {
    let reason: String = reason.chars().take(REASON_MAX_CHARS).collect();
    let reply = aws.ecs.stop_task().cluster(cluster).task(task_arn).reason(reason).send().await;
    match reply.map_err(|error| ServiceError::new("ecs:StopTask", &error)) {
        Err(error) if error.message().contains("referenced task was not found") => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}
