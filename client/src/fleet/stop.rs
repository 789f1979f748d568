//! `fargate-login stop`: ends tasks of this tool that are named, the caller's own, or everybody's.

use std::io::Write as _;

use super::{Fleet, Member, find, ps};
use crate::aws::get_caller_identity::get_caller_identity;
use crate::aws::{Aws, ServiceError};
use crate::error::{Advice, EXIT_FAILURE};
use crate::options::{Clusters, StopWish};
use crate::plan::tag_value;
use crate::task;
use crate::ui::Ui;

/// Reason that ECS shows with the stopped task.
const REASON: &str = "stopped by fargate-login stop";

/// Why a task is not stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum StopRefusal {
    /// No task of ours has this name.
    #[error("`{0}` is no running task of fargate-login in the clusters looked at")]
    Unknown(String),
    /// Several begin like this.
    #[error("{count} tasks begin with `{word}`")]
    Ambiguous {
        /// As it was written.
        word: String,
        /// How many.
        count: usize,
    },
    /// Whose tasks are the caller's is not known.
    #[error("who you are is not known: {0}")]
    NoCaller(String),
}

impl Advice for StopRefusal {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Unknown(_) => "`fargate-login ps` lists them; `-cluster NAME` or `--all-clusters` looks elsewhere",
            Self::Ambiguous { .. } => "write more of the id; `fargate-login ps` lists them",
            Self::NoCaller(_) => "name the tasks, or stop everybody's with `--all --everybody`",
        };
        vec![hint.to_owned()]
    }
}

/// Stops them, with one line on standard output for each. Returns the exit status of the program.
pub(super) async fn run(clusters: &Clusters, wish: &StopWish, aws: &Aws, ui: &Ui) -> u8 {
    let fleet = match find(clusters, aws, ui).await {
        Ok(fleet) => fleet,
        Err(error) => {
            ui.error(&error);
            return EXIT_FAILURE;
        }
    };
    let mut done = fleet.tell_failures(ui);
    let chosen = match wish {
        StopWish::Tasks(words) => {
            let (chosen, refusals) = named(&fleet, words);
            refusals.iter().for_each(|refusal| ui.error(refusal));
            done &= refusals.is_empty();
            chosen
        }
        StopWish::Everybodys => fleet.members.iter().collect(),
        StopWish::Own => match caller(aws).await {
            Ok(caller) => own(&fleet, &caller, ui),
            Err(refusal) => {
                ui.error(&refusal);
                return EXIT_FAILURE;
            }
        },
    };
    if chosen.is_empty() && done {
        ui.note("nothing to stop");
    }
    for member in chosen {
        done &= stop(member, aws, ui).await;
    }
    if done { 0 } else { EXIT_FAILURE }
}

async fn stop(member: &Member, aws: &Aws, ui: &Ui) -> bool {
    ui.phase(&format!("StopTask {}", member.id()));
    let stopped = task::stop(aws, &member.cluster, &member.task.arn, REASON).await;
    ui.clear();
    if let Err(error) = stopped {
        ui.error(&error);
        return false;
    }
    let whose = member.task.caller.as_deref().map_or_else(|| "nobody known".to_owned(), ps::who);
    // A reader that has gone does not stop the stopping.
    let _ = writeln!(std::io::stdout(), "{}\tstopped, was {}, of {whose}", member.id(), member.phase());
    true
}

/// The tasks that are meant by these words, each once, and what is wrong with the other words.
fn named<'a>(fleet: &'a Fleet, words: &[String]) -> (Vec<&'a Member>, Vec<StopRefusal>) {
    let (mut chosen, mut refusals) = (Vec::<&Member>::new(), Vec::new());
    for word in words {
        let is_whole = |member: &&Member| member.task.arn == *word || member.id() == word;
        let mut meant: Vec<_> = fleet.members.iter().filter(is_whole).collect();
        if meant.is_empty() {
            meant = fleet.members.iter().filter(|member| member.id().starts_with(word.as_str())).collect();
        }
        match meant.as_slice() {
            [] => refusals.push(StopRefusal::Unknown(word.clone())),
            [one] if chosen.iter().any(|known| known.task.arn == one.task.arn) => {}
            [one] => chosen.push(one),
            more => refusals.push(StopRefusal::Ambiguous { word: word.clone(), count: more.len() }),
        }
    }
    (chosen, refusals)
}

/// The tasks that bear this caller's tag. Those without one are nobody's.
fn own<'a>(fleet: &'a Fleet, caller: &str, ui: &Ui) -> Vec<&'a Member> {
    let (own, others): (Vec<_>, Vec<_>) =
        fleet.members.iter().partition(|member| member.task.caller.as_deref() == Some(caller));
    if !others.is_empty() {
        ui.note(&format!("{} left alone: not tagged with {caller}", others.len()));
    }
    own
}

/// The caller as a run's tag has it.
async fn caller(aws: &Aws) -> Result<String, StopRefusal> {
    let arn = get_caller_identity(aws).await.map_err(|error: ServiceError| StopRefusal::NoCaller(error.to_string()))?;
    arn.map(|arn| tag_value(&arn)).ok_or_else(|| StopRefusal::NoCaller("STS names nobody".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::tests::{Sample, fleet};

    const IDS: [&str; 3] = ["aa01", "aa02", "ab01"];

    fn ids(members: &[&Member]) -> Vec<String> {
        members.iter().map(|member| member.id().to_owned()).collect()
    }

    #[test]
    fn tasks_are_named_by_id_by_arn_or_by_a_beginning_that_is_theirs_alone() {
        let fleet = fleet(&IDS.map(Sample::new));
        let words = ["aa01", "arn:aws:ecs:r:1:task/shop/aa02", "ab", "ab01"].map(str::to_owned);
        let (chosen, refusals) = named(&fleet, &words);
        assert_eq!((ids(&chosen), refusals), (IDS.map(str::to_owned).to_vec(), Vec::new()));
    }

    #[test]
    fn a_word_that_means_no_task_or_several_stops_none() {
        let fleet = fleet(&IDS.map(Sample::new));
        let (chosen, refusals) = named(&fleet, &["aa", "b", ""].map(str::to_owned));
        assert!(chosen.is_empty());
        let ambiguous = |word: &str, count| StopRefusal::Ambiguous { word: word.to_owned(), count };
        assert_eq!(refusals, [ambiguous("aa", 2), StopRefusal::Unknown("b".to_owned()), ambiguous("", 3)]);
    }

    #[test]
    fn all_is_the_callers_own() {
        let jane = "arn:aws:iam::1:user/jane";
        let fleet = fleet(&[
            Sample::new("aa01").caller(jane),
            Sample::new("aa02").caller("arn:aws:iam::1:user/janet"),
            Sample::new("aa03"),
        ]);
        assert_eq!(ids(&own(&fleet, jane, &Ui::new(true))), ["aa01"]);
    }
}
