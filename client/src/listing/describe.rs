//! `fargate-login describe`: one task in full, with what one needs to choose a container of it.

mod name;
mod text;

#[cfg(test)]
pub(super) use text::lines;

use futures_util::{FutureExt as _, StreamExt as _};

use self::name::{TaskName, Whole};
use super::{AT_ONCE, Found, Place, addresses, columns, json, tasks};
use crate::aws::describe_tasks::listed::{ListedTask, TASKS_MAX, describe_listed};
use crate::aws::list_tasks::{TaskFilter, list_all_tasks};
use crate::aws::{ServiceError, last_part};
use crate::error::{Advice, EXIT_FAILURE};
use crate::fleet::clock::now;

/// Why there is nothing to tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DescribeError {
    /// It is not known which clusters there are.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// No task has this name.
    #[error("there is no task `{name}` {place}")]
    Unknown {
        /// As it was written.
        name: String,
        /// Where it was looked for.
        place: String,
    },
    /// Several begin like this.
    #[error("{count} tasks begin with `{word}`")]
    Ambiguous {
        /// As it was written.
        word: String,
        /// How many.
        count: usize,
    },
    /// The ARN is of another region than the one that would be asked.
    #[error("task {id} is in region {region}, not in {asked}")]
    OtherRegion {
        /// Its id.
        id: String,
        /// The region of its ARN.
        region: String,
        /// Ours.
        asked: String,
    },
}

impl Advice for DescribeError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Service(error) => error.hints(),
            Self::Unknown { .. } => vec![
                "`fargate-login tasks` lists those that run, `--stopped` those that have stopped within about an hour"
                    .to_owned(),
                "`-cluster NAME` or `--all-clusters` looks elsewhere".to_owned(),
            ],
            Self::Ambiguous { .. } => vec!["write more of the id; `fargate-login tasks` lists them".to_owned()],
            Self::OtherRegion { region, .. } => vec![format!("`--region {region}` asks there")],
        }
    }
}

/// Shows it on standard output. Returns the exit status of the program.
pub(super) async fn run(place: Place<'_>, name: &str) -> u8 {
    let mut failures = Vec::new();
    match find(place, name, &mut failures).await {
        Ok(mut task) => {
            addresses::find(place, std::slice::from_mut(&mut task)).await;
            let text = if place.json {
                format!("{:#}\n", json::task(&task))
            } else {
                columns::text(text::lines(&task, now()))
            };
            // Whatever could not be asked did not hide it.
            place.tell(&text, &[])
        }
        Err(error) => {
            place.ui.clear();
            failures.iter().for_each(|failure| place.ui.error(failure));
            // Where not everything could be looked through, that is the answer.
            if failures.is_empty() {
                place.ui.error(&error);
            }
            EXIT_FAILURE
        }
    }
}

/// The task that somebody means by an id, the beginning of one, or an ARN. Clusters that could not be looked at are added to `failures`.
///
/// # Errors
/// [`DescribeError`].
pub(crate) async fn find(
    place: Place<'_>,
    name: &str,
    failures: &mut Vec<ServiceError>,
) -> Result<ListedTask, DescribeError> {
    let unknown = || DescribeError::Unknown { name: last_part(name).to_owned(), place: place.wherever() };
    let mut found = match TaskName::parse(name) {
        TaskName::Arn { region, cluster, id } => {
            if region != place.aws.region {
                return Err(DescribeError::OtherRegion { id, region, asked: place.aws.region.clone() });
            }
            // An ARN of the old form does not name the cluster.
            let clusters = match cluster {
                Some(cluster) => vec![cluster],
                None => place.names().await?,
            };
            whole(place, clusters, &id).await
        }
        TaskName::Id(Whole(id)) => whole(place, place.names().await?, &id).await,
        TaskName::Beginning(word) => {
            let clusters = place.names().await?;
            let found = beginning(place, clusters.clone(), &word, false).await;
            let is_known = !found.items.is_empty() || !found.failures.is_empty();
            if is_known { found } else { beginning(place, clusters, &word, true).await }
        }
    };
    failures.append(&mut found.failures);
    match found.items.len() {
        0 => Err(unknown()),
        1 => Ok(found.items.remove(0)),
        count => Err(DescribeError::Ambiguous { word: name.to_owned(), count }),
    }
}

/// The task of this id, in whichever of the clusters.
async fn whole(place: Place<'_>, clusters: Vec<String>, id: &str) -> Found<ListedTask> {
    let names = [id.to_owned()];
    let asked = clusters.into_iter().map(|cluster| {
        let names = &names;
        async move {
            place.ui.phase(&format!("DescribeTasks {cluster}"));
            describe_listed(place.aws, &cluster, names).await
        }
    });
    collect(futures_util::stream::iter(asked).buffered(AT_ONCE)).await
}

async fn collect(
    mut answers: impl futures_util::Stream<Item = Result<Vec<ListedTask>, ServiceError>> + Unpin,
) -> Found<ListedTask> {
    let mut found = Found::default();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(tasks) => found.items.extend(tasks),
            Err(error) => found.failures.push(error),
        }
    }
    found
}

/// The tasks whose id begins like this: those that run, or those that have stopped.
async fn beginning(place: Place<'_>, clusters: Vec<String>, word: &str, stopped: bool) -> Found<ListedTask> {
    let filter = TaskFilter { service: None, stopped };
    let filter = &filter;
    let list = |cluster: String| {
        let listed = async move {
            let mut arns = list_all_tasks(place.aws, &cluster, filter).await?;
            arns.retain(|arn| last_part(arn).starts_with(word));
            Ok(arns)
        };
        listed.boxed()
    };
    place.gather("Tasks", clusters, TASKS_MAX, list, tasks::description(place.aws)).await
}
