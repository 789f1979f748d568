//! Images: found among those that the daemon has.

use bollard::Docker;

use super::{is_gone, message};
use crate::launcher::Failure;

/// Answers the digest of an image that is there and for the right machine.
pub(super) async fn find(docker: &Docker, image: &str, is_arm: bool) -> Result<Option<String>, Failure> {
    let found = match docker.inspect_image(image).await {
        Ok(found) => found,
        Err(error) if is_gone(&error) => return Err(Failure::no_such_image(image)),
        Err(error) => {
            return Err(Failure::of_task(format!("CannotPullContainerError: {}", message(&error))));
        }
    };
    let wanted = if is_arm { "arm64" } else { "amd64" };
    let has = found.architecture.unwrap_or_default();
    // An image that does not say is taken as it is.
    if has.is_empty() || has == wanted {
        let digest = found
            .repo_digests
            .unwrap_or_default()
            .into_iter()
            .find_map(|known| known.split_once('@').map(|(_, digest)| digest.to_owned()));
        return Ok(digest.or(found.id));
    }
    Err(Failure::of_task(format!(
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): image Manifest does not contain descriptor matching platform 'linux/{wanted}'"
    )))
}
