//! A future that is finished even when nobody waits for it any more.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Handing a message to russh takes from the channel's window first and then waits for a place: dropped in between, the window
/// would be smaller for ever. Dropped here, the rest runs as a task.
pub(crate) struct Finishing<T: Send + 'static> {
    rest: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    tasks: TaskTracker,
}

impl<T: Send + 'static> Finishing<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static, tasks: &TaskTracker) -> Self {
        Self { rest: Some(Box::pin(future)), tasks: tasks.clone() }
    }
}

impl<T: Send + 'static> Future for Finishing<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(rest) = &mut self.rest else { return Poll::Pending };
        let outcome = rest.as_mut().poll(cx);
        if outcome.is_ready() {
            self.rest = None;
        }
        outcome
    }
}

impl<T: Send + 'static> Drop for Finishing<T> {
    fn drop(&mut self) {
        // Without a runtime the connection is gone as well, and its window with it.
        if let (Some(rest), Ok(runtime)) = (self.rest.take(), Handle::try_current()) {
            self.tasks.spawn_on(rest, &runtime);
        }
    }
}
