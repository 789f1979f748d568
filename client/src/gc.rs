//! `fargate-login gc`: clears away what runs have left: registered task definitions, and tasks whose own limits did not end them.
//!
//! Each kind of thing has a module of its own, which finds what nobody needs any more and takes it away, one by one.

mod rules;
mod task_definitions;
mod tasks;

use crate::aws::{Aws, ServiceError};
use crate::error::EXIT_FAILURE;
use crate::options::GcOptions;
use crate::signals::Stop;
use crate::ui::Ui;

/// One thing that is not needed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rubbish {
    /// ARN or id.
    id: String,
    /// Why it is not needed, as a predicate: `has a newer revision`.
    why: String,
}

/// Finds what is not needed and, unless it is a dry run, takes it away. Standard output has one line for each. Returns the exit
/// status of the program.
pub async fn run(options: GcOptions, aws: &Aws, ui: &Ui, stop: &Stop) -> u8 {
    let (tasks, rules, definitions) = tokio::select! {
        swept = async {
            // A rule goes once its run has no task.
            let tasks = tasks::sweep(&options, aws, ui).await;
            (tasks, rules::sweep(&options, aws, ui).await, sweep(&options, aws, ui).await)
        } => swept,
        () = stop.first.cancelled() => {
            ui.clear();
            return stop.exit_code().unwrap_or(EXIT_FAILURE);
        }
    };
    ui.clear();
    let (Ok(count) | Err(count)) = tasks;
    count_told(count, "task", "stopped", &options, ui);
    let code = if tasks.is_ok() { 0 } else { EXIT_FAILURE };
    let rules = told(rules, "security group rule", "revoked", &options, ui);
    code.max(rules).max(told(definitions, "task definition", "deregistered", &options, ui))
}

/// How many of a kind went, or why not. Returns the exit status: one kind that fails does not hold up the others.
fn told(swept: Result<usize, ServiceError>, what: &str, done: &str, options: &GcOptions, ui: &Ui) -> u8 {
    match swept {
        Ok(count) => {
            count_told(count, what, done, options, ui);
            0
        }
        Err(error) => {
            ui.error(&error);
            EXIT_FAILURE
        }
    }
}

fn count_told(count: usize, what: &str, done: &str, options: &GcOptions, ui: &Ui) {
    let would = if options.dry_run { "would be " } else { "" };
    ui.note(&format!("{count} {what}{} {would}{done}", if count == 1 { "" } else { "s" }));
}

async fn sweep(options: &GcOptions, aws: &Aws, ui: &Ui) -> Result<usize, ServiceError> {
    ui.phase("ListTaskDefinitions");
    let found = task_definitions::find(aws, ui).await?;
    for rubbish in &found {
        if !options.dry_run {
            ui.phase(&format!("DeregisterTaskDefinition {}", rubbish.id));
            task_definitions::take_away(aws, rubbish).await?;
        }
        tell(rubbish, ui);
    }
    Ok(found.len())
}

fn tell(rubbish: &Rubbish, ui: &Ui) {
    use std::io::Write as _;
    ui.clear();
    // A reader that has gone does not stop the sweeping.
    let _ = writeln!(std::io::stdout(), "{}\t{}", rubbish.id, rubbish.why);
}
