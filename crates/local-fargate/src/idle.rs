//! Tasks without a process: those of other people, which stand in the lists beside the ones that somebody logs in to.

use std::sync::Arc;

use tokio::time::Instant;

use crate::clock;
use crate::lifecycle::Event;
use crate::state::Shared;
use crate::task::Launch;

/// What happens to a task from its launch until it runs.
const START: [Event; 4] = [Event::InterfaceAttached, Event::PullStarted, Event::PullStopped, Event::ContainersStarted];
/// What happens to it from the moment on when it has to end.
const END: [Event; 4] = [Event::StopBegun, Event::ContainersEnded, Event::InterfaceReleased, Event::InterfaceDeleted];

/// Exit code of a program that ends with SIGTERM, as most do.
const TERMINATED: i32 = 128 + 15;

/// Whether nothing of a task would be a process.
pub(crate) fn is_idle(shared: &Shared, launch: &Launch) -> bool {
    let known = &shared.config.idle_images;
    launch.containers().iter().all(|container| known.contains(&container.image))
}

/// Has a task run. Wakes nobody: there may be thousands of them.
pub(crate) fn settle(shared: &Shared, arn: &str) {
    let mut world = shared.lock();
    // The newest stand last.
    let Some(task) = world.tasks.iter_mut().rfind(|task| task.arn == arn) else { return };
    task.visible_at = Instant::now();
    task.interface.associated = true;
    for container in &mut task.containers {
        container.last_status = "RUNNING";
        // Its agent has connected long ago.
        container.running_since = Instant::now().checked_sub(task.phases.agent).map(|at| (at, clock::now()));
    }
    START.into_iter().for_each(|event| task.advance(event));
}

/// Keeps a task that runs until somebody stops it.
pub(crate) async fn rest(shared: Arc<Shared>, arn: String) {
    // Not by an update, which would wake everybody.
    let stop = shared.lock().tasks.iter().rfind(|task| task.arn == arn).map(|task| task.stop.clone());
    let Some(stop) = stop else { return };
    tokio::select! {
        () = stop.cancelled() => {}
        () = shared.kill.cancelled() => {}
    }
    shared.update(&arn, |task| {
        task.containers.iter_mut().for_each(|container| container.exit_code = Some(TERMINATED));
        task.explain("UserInitiated", "Task stopped by user");
        END.into_iter().for_each(|event| task.advance(event));
    });
}
