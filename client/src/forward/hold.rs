//! A connection that has no session of its own, held over as many connections as that takes: forwards alone, or beside a program of
//! this machine.

use std::time::Duration;

use tokio::time::Instant;

use crate::session::SessionError;
use crate::session::way_back::{WayBack, come_back};
use crate::ssh::Connection;
use crate::ui::Ui;

/// Holds the connection until it is lost for good, and says why; for `grace`, each time, it is looked for a way back. `connection` is
/// another one afterwards where there was one.
pub async fn hold(connection: &mut Connection, way: &impl WayBack, grace: Duration, ui: &Ui) -> SessionError {
    loop {
        let cause = connection.closed().await;
        if grace.is_zero() || !cause.is_loss() {
            return cause.into();
        }
        let lost = Instant::now();
        ui.note("connection lost; reconnecting...");
        match come_back(|| async { Ok(way.connect().await?) }, way, grace, cause).await {
            Ok(next) => *connection = next,
            Err(error) => return error,
        }
        match way.back(connection).await {
            Ok(()) => ui.note(&format!("connected again after {:.1} s", lost.elapsed().as_secs_f64())),
            // Lost again before its forwards stood.
            Err(_) if connection.is_closed() => {}
            Err(error) => return error,
        }
    }
}
