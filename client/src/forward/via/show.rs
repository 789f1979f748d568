//! What a dry run shows: the sessions that would be started.

use std::io::Write as _;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::document;
use super::error::ViaError;
use super::tunnel::Common;
use crate::error::EXIT_FAILURE;
use crate::options::{Through, TunnelOptions};

/// Prints the StartSession requests and the calls around them. Answers an exit status.
///
/// # Errors
/// [`ViaError`]: no task of the service can be gone through.
pub(super) async fn plan(options: &TunnelOptions, common: &Common) -> Result<u8, ViaError> {
    let target = common.targets.pick(Instant::now()).await?;
    common.ui.clear();
    let mut calls = match options.through {
        Through::Target(_) => Vec::new(),
        Through::Service { .. } => vec!["ecs:ListTasks", "ecs:DescribeTasks"],
    };
    calls.extend(["ssm:StartSession", "ssmmessages:OpenDataChannel", "ssm:ResumeSession", "ssm:TerminateSession"]);
    let sessions = options.forwards.local.iter().filter_map(|forward| {
        let request = document::request(&target, &forward.target)?;
        let parameter = |(name, value): &(String, String)| (name.clone(), json!([value]));
        let parameters: serde_json::Map<String, Value> = request.parameters.iter().map(parameter).collect();
        Some(json!({
            "listen": forward.listen.to_string(),
            "startSession": {
                "Target": request.target,
                "DocumentName": request.document,
                "Parameters": parameters,
                "Reason": request.reason,
            },
        }))
    });
    let plan = json!({"sessions": sessions.collect::<Vec<_>>(), "calls": calls});
    match std::io::stdout().write_all(format!("{plan:#}\n").as_bytes()) {
        Ok(()) => Ok(0),
        Err(_) => Ok(EXIT_FAILURE),
    }
}
