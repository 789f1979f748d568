//! The phase timeline: what took how long, and whose time it was.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Whose time a phase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Ours: planning, dialling, handshakes.
    Client,
    /// AWS's: API calls, network interface, image pull, container start.
    Aws,
    /// The user's session.
    Session,
}

impl Owner {
    const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Aws => "aws",
            Self::Session => "session",
        }
    }
}

#[derive(Clone, Debug)]
struct Phase {
    name: String,
    owner: Owner,
    began: Instant,
}

/// Phases in the order in which they began; each lasts until the next.
#[derive(Debug)]
pub struct Timings {
    phases: Mutex<Vec<Phase>>,
}

impl Timings {
    /// Starts with the planning.
    #[must_use]
    pub fn start() -> Self {
        let phases = Self { phases: Mutex::new(Vec::new()) };
        phases.begin("plan", Owner::Client);
        phases
    }

    /// A new phase begins; beginning the phase that already runs changes nothing.
    pub fn begin(&self, name: &str, owner: Owner) {
        let mut phases = self.lock();
        if phases.last().is_none_or(|phase| phase.name != name) {
            phases.push(Phase { name: name.to_owned(), owner, began: Instant::now() });
        }
    }

    /// Each phase with its owner and how long it took, the last one until now.
    #[must_use]
    pub fn phases(&self) -> Vec<(String, Owner, Duration)> {
        let phases = self.lock();
        let ends = phases.iter().skip(1).map(|phase| phase.began).chain([Instant::now()]);
        phases.iter().zip(ends).map(|(phase, end)| (phase.name.clone(), phase.owner, end - phase.began)).collect()
    }

    /// Sum of one owner's phases.
    #[must_use]
    pub fn total(&self, owner: Owner) -> Duration {
        self.phases().into_iter().filter(|(_, whose, _)| *whose == owner).map(|(.., took)| took).sum()
    }

    /// For people: a line per phase, then the sums.
    #[must_use]
    pub fn to_text(&self) -> String {
        let row =
            |name: &str, owner: &str, took: Duration| format!("{name:<24} {owner:<8} {:>10.3} s", took.as_secs_f64());
        let phases = self.phases();
        let rows = phases.iter().map(|(name, owner, took)| row(name, owner.name(), *took));
        let sums = [Owner::Client, Owner::Aws].map(|owner| row("total", owner.name(), self.total(owner)));
        rows.chain(sums).collect::<Vec<_>>().join("\n")
    }

    /// For machines: milliseconds.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let ms = |took: Duration| (took.as_secs_f64() * 1e6).round() / 1e3;
        let phases = self.phases();
        let phases: Vec<_> = phases
            .iter()
            .map(|(name, owner, took)| json!({"phase": name, "owner": owner.name(), "ms": ms(*took)}))
            .collect();
        json!({
            "phases": phases,
            "clientMs": ms(self.total(Owner::Client)),
            "awsMs": ms(self.total(Owner::Aws)),
            "sessionMs": ms(self.total(Owner::Session)),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Phase>> {
        self.phases.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_each_other_and_are_summed_by_owner() {
        let timings = Timings::start();
        timings.begin("RunTask", Owner::Aws);
        timings.begin("RunTask", Owner::Aws);
        timings.begin("session", Owner::Session);
        let names: Vec<_> = timings.phases().into_iter().map(|(name, owner, _)| (name, owner)).collect();
        let expected = [("plan", Owner::Client), ("RunTask", Owner::Aws), ("session", Owner::Session)];
        assert_eq!(names, expected.map(|(name, owner)| (name.to_owned(), owner)));
        let json = timings.to_json();
        assert_eq!(json["phases"][1]["owner"], "aws");
        assert_eq!(timings.to_text().lines().count(), 5);
    }
}
