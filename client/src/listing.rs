//! What there is to choose a target from: services and tasks of clusters, whoever has made them, as `services`, `tasks` and
//! `describe` tell of them.

mod addresses;
mod columns;
pub(crate) mod describe;
mod exec;
mod json;
mod services;
pub(crate) mod tasks;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io::Write as _;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;

use crate::aws::{Aws, ServiceError, last_part};
use crate::error::EXIT_FAILURE;
use crate::fleet;
use crate::options::{Clusters, ListingOptions, Subject};
use crate::signals::Stop;
use crate::ui::Ui;

/// Calls under way at once. Everybody who uses the account shares its 20 reads a second (Amazon ECS API reference, "Request
/// throttling"): this many that wait for their turn, with the SDK's pauses, all get one.
const AT_ONCE: usize = 4;

/// Tells what was asked for. Returns the exit status of the program.
pub async fn run(options: ListingOptions, aws: &Aws, ui: &Ui, stop: &Stop) -> u8 {
    let place = Place { clusters: &options.clusters, json: options.json, aws, ui };
    let told = async {
        match &options.subject {
            Subject::Services => services::run(place).await,
            Subject::Tasks(filter) => tasks::run(place, filter).await,
            Subject::Task(name) => describe::run(place, name).await,
        }
    };
    let code = tokio::select! {
        code = told => code,
        () = stop.first.cancelled() => stop.exit_code().unwrap_or(EXIT_FAILURE),
    };
    ui.clear();
    code
}

/// What a call answers. Boxed, so that whoever awaits it may be a task of its own.
type Answer<'a, T> = BoxFuture<'a, Result<Vec<T>, ServiceError>>;

/// Where to look, and how to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) clusters: &'a Clusters,
    pub(crate) json: bool,
    pub(crate) aws: &'a Aws,
    pub(crate) ui: &'a Ui,
}

/// What is known of things of one kind, and where nothing could be known.
#[derive(Debug)]
pub(crate) struct Found<T> {
    pub(crate) items: Vec<T>,
    /// Whether any cluster had a list, be it an empty one.
    any_listed: bool,
    pub(crate) failures: Vec<ServiceError>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { items: Vec::new(), any_listed: false, failures: Vec::new() }
    }
}

impl Place<'_> {
    /// The clusters that are meant.
    pub(crate) async fn names(&self) -> Result<Vec<String>, ServiceError> {
        fleet::names(self.clusters, self.aws, self.ui).await
    }

    /// Lists ARNs in every cluster, then looks at them in batches of `most`: a few calls at a time, in the order of the clusters and
    /// of the lists. A cluster that cannot be looked at hides no other one.
    async fn gather<'a, T>(
        &self,
        what: &str,
        names: Vec<String>,
        most: usize,
        list: impl Fn(String) -> Answer<'a, String>,
        describe: impl Fn(String, Vec<String>) -> Answer<'a, T>,
    ) -> Found<T> {
        let mut found = Found::default();
        let mut batches = Vec::new();
        let (list, count) = (&list, names.len());
        let asked = names.into_iter().enumerate().map(|(number, name)| async move {
            self.ui.phase(&format!("List{what} {name} ({} of {count})", number + 1));
            (list(name.clone()).await, name)
        });
        let mut listed = futures_util::stream::iter(asked).buffered(AT_ONCE);
        while let Some((arns, name)) = listed.next().await {
            match arns {
                Ok(arns) => {
                    found.any_listed = true;
                    let batch = |batch: &[String]| (name.clone(), batch.to_vec());
                    batches.extend(once_each(arns).chunks(most).map(batch));
                }
                Err(error) => found.failures.push(error),
            }
        }
        let (describe, count) = (&describe, batches.len());
        let asked = batches.into_iter().enumerate().map(|(number, (name, arns))| async move {
            self.ui.phase(&format!("Describe{what} {name} ({} of {count})", number + 1));
            describe(name, arns).await
        });
        let mut described = futures_util::stream::iter(asked).buffered(AT_ONCE);
        while let Some(answer) = described.next().await {
            match answer {
                Ok(items) => found.items.extend(items),
                Err(error) => found.failures.push(error),
            }
        }
        found
    }

    /// Writes to standard output, says what could not be known, and returns the exit status of the program.
    fn tell(&self, text: &str, failures: &[ServiceError]) -> u8 {
        self.ui.clear();
        let written = std::io::stdout().write_all(text.as_bytes());
        failures.iter().for_each(|error| self.ui.error(error));
        if failures.is_empty() && written.is_ok() { 0 } else { EXIT_FAILURE }
    }

    /// Where it was looked, for people.
    pub(crate) fn wherever(&self) -> String {
        match self.clusters {
            Clusters::Default => format!("in cluster {}", fleet::DEFAULT_CLUSTER),
            Clusters::Named(name) => format!("in cluster {}", last_part(name)),
            Clusters::All => "in any cluster".to_owned(),
        }
    }
}

/// A list that changed while its pages were read may name something twice.
fn once_each(arns: Vec<String>) -> Vec<String> {
    let mut known = BTreeSet::new();
    arns.into_iter().filter(|arn| known.insert(arn.clone())).collect()
}
