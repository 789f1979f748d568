//! Removing what is ours: after a task, at the end, and what stand-ins left that were killed.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, RemoveVolumeOptionsBuilder,
};

use super::{INSTANCE, OWNER, TASK, is_gone, message, owner};

/// A request that was given up may be carried out all the same: what it makes is seen in a later round.
const ROUNDS: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Removes everything of stand-ins whose process is gone.
pub(super) async fn abandoned(docker: &Docker) -> Result<(), Error> {
    let mut instances = Vec::new();
    let filters = HashMap::from([("label", vec![OWNER])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    for container in docker.list_containers(Some(options)).await? {
        instances.extend(orphan(container.labels));
    }
    let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
    for network in docker.list_networks(Some(options)).await? {
        instances.extend(orphan(network.labels));
    }
    let options = ListImagesOptionsBuilder::default().filters(&filters).build();
    for image in docker.list_images(Some(options)).await? {
        instances.extend(orphan(Some(image.labels)));
    }
    instances.sort_unstable();
    instances.dedup();
    for left in instances {
        instance(docker, &left).await;
    }
    Ok(())
}

fn orphan(labels: Option<HashMap<String, String>>) -> Option<String> {
    let labels = labels?;
    labels.get(OWNER).filter(|known| owner::is_gone(known))?;
    labels.get(INSTANCE).cloned()
}

/// Removes everything of one stand-in.
pub(super) async fn instance(docker: &Docker, instance: &str) {
    let label = format!("{INSTANCE}={instance}");
    let mut network = Ok(());
    for _ in 0..ROUNDS {
        let found = labelled(docker, &[&label]).await;
        network = docker.remove_network(&format!("local-fargate-{instance}")).await;
        if found == 0 && network.as_ref().err().is_none_or(is_gone) {
            break;
        }
        // The daemon says nothing when it is done with what others asked of it.
        tokio::time::sleep(PAUSE).await;
    }
    note(network);
    let options = RemoveImageOptionsBuilder::default().force(true).build();
    note(docker.remove_image(&format!("local-fargate-pause:{instance}"), Some(options), None).await.map(drop));
}

/// Removes the containers and volumes of one task of a stand-in.
pub(super) async fn task(docker: &Docker, instance: &str, task_id: &str) {
    labelled(docker, &[&format!("{INSTANCE}={instance}"), &format!("{TASK}={task_id}")]).await;
}

/// Removes containers, then volumes, and tells how many there were.
async fn labelled(docker: &Docker, labels: &[&str]) -> usize {
    let filters = HashMap::from([("label", labels.to_vec())]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let containers = docker.list_containers(Some(options)).await.unwrap_or_default();
    for id in containers.iter().filter_map(|container| container.id.as_deref()) {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        note(docker.remove_container(id, Some(options)).await);
    }
    let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
    let volumes = docker.list_volumes(Some(options)).await.ok().and_then(|listed| listed.volumes).unwrap_or_default();
    for volume in &volumes {
        let options = RemoveVolumeOptionsBuilder::default().force(true).build();
        note(docker.remove_volume(&volume.name, Some(options)).await);
    }
    containers.len() + volumes.len()
}

/// Something that is gone already is what was wanted; something that somebody else is removing will be.
fn note(removed: Result<(), Error>) {
    match removed {
        Err(error) if !is_gone(&error) && !message(&error).contains("already in progress") => {
            tracing::warn!(error = message(&error), "something stays behind in Docker");
        }
        _ => {}
    }
}
