//! What was counted, and what was left that should not be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use e2e::World;
use e2e::world::{PATIENCE, processes_of};
use local_fargate::{Call, TaskSummary};
use serde_json::json;

use crate::run::Ended;

/// Everything that is counted.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    runs: u64,
    /// Fate and exit status of clients.
    clients: BTreeMap<(String, i32), u64>,
    /// Stop code and exit code of tasks.
    tasks: BTreeMap<(String, String), u64>,
    /// Calls, and errors that they were answered with.
    calls: BTreeMap<(String, String), u64>,
    /// What should not be.
    left: Vec<String>,
    /// Mark of the round in the journal.
    round: u64,
    known_tasks: BTreeSet<String>,
}

impl Ledger {
    /// A round begins: a call of our own marks it in the journal.
    pub(crate) fn begin(&mut self, world: &World) {
        self.round += 1;
        let _ = world.call("ecs", "ListTasks", &json!({"startedBy": mark(self.round)}));
    }

    /// A run has ended.
    pub(crate) fn enter(&mut self, ended: Ended) {
        self.runs += 1;
        match ended.code {
            Some(code) => *self.clients.entry((ended.fate.kind(), code)).or_default() += 1,
            None => self.left.push(format!("run {}: the client hung ({})", ended.number, ended.fate.kind())),
        }
    }

    /// Whether nothing was left so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.left.is_empty()
    }

    /// Files and sockets that clients left in their own scratch directories.
    pub(crate) fn files(&mut self, scratch: &Path) {
        for run in std::fs::read_dir(scratch).expect("a directory").flatten() {
            let left = std::fs::read_dir(run.path()).expect("a directory").flatten();
            self.left.extend(left.map(|entry| format!("a file: {}", entry.path().display())));
        }
    }

    /// Waits for the end of every task, by its own limits if need be; then nothing of the round may be left.
    pub(crate) fn look(&mut self, world: &World) {
        let is_over = |task: &TaskSummary| task.last_status == "STOPPED";
        let began = std::time::Instant::now();
        while !world.stand_in().tasks().iter().all(is_over) && began.elapsed() < PATIENCE {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let tasks = world.stand_in().tasks();
        self.left.extend(tasks.iter().filter(|task| !is_over(task)).map(|task| format!("a task: {task:?}")));
        let listed = listed(world);
        self.left.extend(listed.iter().map(|arn| format!("ListTasks still shows {arn}")));
        let addresses: BTreeSet<_> = tasks.iter().filter_map(|task| task.address.clone()).collect();
        self.left.extend(processes_of(&addresses, world.home()).into_iter().map(|path| format!("a process: {path}")));
        let home = std::fs::read_dir(world.home()).expect("a directory").flatten();
        self.left.extend(home.map(|entry| format!("a file: {}", entry.path().display())));
        let new: Vec<_> = tasks.into_iter().filter(|task| self.known_tasks.insert(task.arn.clone())).collect();
        for task in &new {
            let code = task.exit_codes.first().and_then(|(_, code)| *code);
            let code = code.map_or_else(|| "never ran".to_owned(), |code| code.to_string());
            *self.tasks.entry((task.stop_code.clone().unwrap_or_default(), code)).or_default() += 1;
        }
        self.compare(&calls(world, self.round), new.len());
    }

    /// The journal against the tasks: each task was asked for by a launch of its own, and no launch has two.
    fn compare(&mut self, calls: &[Call], tasks: usize) {
        let mut launches = BTreeSet::new();
        for call in calls {
            let error = call.error.clone().unwrap_or_else(|| "answered".to_owned());
            *self.calls.entry((call.action.clone(), error)).or_default() += 1;
            if call.action == "RunTask" {
                launches.insert(call.request["clientToken"].as_str().unwrap_or_default().to_owned());
            }
        }
        if tasks > launches.len() {
            self.left.push(format!("{tasks} tasks of {} launches", launches.len()));
        }
    }
}

fn mark(round: u64) -> String {
    format!("soak-round-{round}")
}

/// The calls since the mark.
fn calls(world: &World, round: u64) -> Vec<Call> {
    let journal = world.stand_in().journal();
    let at = journal.iter().rposition(|call| call.request["startedBy"] == *mark(round));
    journal.into_iter().skip(at.expect("the journal holds a round") + 1).collect()
}

/// What ListTasks shows of this tool's, on all pages.
fn listed(world: &World) -> Vec<String> {
    let (mut arns, mut token) = (Vec::new(), serde_json::Value::Null);
    loop {
        let mut request = json!({"startedBy": "ecs-fargate-login"});
        if !token.is_null() {
            request["nextToken"] = token;
        }
        // The round's faults are over.
        let Ok(mut page) = world.call("ecs", "ListTasks", &request) else { return vec!["it was refused".to_owned()] };
        arns.extend(
            page["taskArns"].as_array().into_iter().flatten().map(|arn| arn.as_str().unwrap_or_default().to_owned()),
        );
        token = page["nextToken"].take();
        if token.is_null() {
            return arns;
        }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} runs, {} tasks", self.runs, self.known_tasks.len())?;
        table(f, "clients: what became of them, exit status", &self.clients)?;
        table(f, "tasks: stop code, exit code of the container", &self.tasks)?;
        table(f, "calls: action, answer", &self.calls)?;
        match self.left.as_slice() {
            [] => write!(f, "\nnothing is left"),
            left => write!(f, "\nLEFT:\n{}", left.join("\n")),
        }
    }
}

fn table<A: fmt::Display, B: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    rows: &BTreeMap<(A, B), u64>,
) -> fmt::Result {
    writeln!(f, "\n{title}")?;
    rows.iter().try_for_each(|((one, other), count)| writeln!(f, "{count:>8}  {one}, {other}"))
}
