//! The carrier: a container of our own image that lays the init into a volume of the task and ends, and how the chosen
//! container starts it from there.

use serde_json::{Map, Value, json};

use super::error::DeriveError;
use super::members::{array_of, containers, list, name_of, names_in, text};
use crate::aws::describe_task_definition::TaskDefinition;

/// Name of the carrier and of its volume.
pub(super) const NAME: &str = "fargate-login-init";
/// Where the volume is mounted.
const FOLDER: &str = "/fargate-login";
/// Where the carrier's `install` puts the init.
const INIT: &str = "/fargate-login/fargate-init";
/// File name of the init, wherever an image keeps it.
const FILE_NAME: &str = "fargate-init";
/// The init's own word for being PID 1; given always, so that an image's CMD is not taken for it.
const WORD: &str = "init";
/// Lets a user who is not root listen on SSH's port, in the task's own network (ECS API reference, SystemControl).
const PORTS: (&str, &str) = ("net.ipv4.ip_unprivileged_port_start", "0");
/// A writable `/tmp` in memory: what an editor or a REPL needs, and small beside the smallest task's 512 MiB.
const TMP_MIB: u32 = 64;
/// The shipped task definition, which names the image that the stand-in has.
const TEST_CLI: &str = include_str!("../../../task-definitions/test-cli.json");

/// The image of the shipped task definition: for the stand-in, and to know an init that is aboard.
///
/// Empty if the shipped task definition named none, which a unit test rules out.
#[must_use]
pub fn default_image() -> String {
    let definition: Value = serde_json::from_str(TEST_CLI).unwrap_or_default();
    text(&definition["containerDefinitions"][0], "image").to_owned()
}

/// The carrier. It logs where the chosen container logs, if that is CloudWatch: a failed copy must be readable somewhere.
pub(super) fn container(chosen: &Value, image: &str) -> Value {
    let mut carrier = json!({
        "name": NAME,
        "image": image,
        "essential": false,
        "command": ["install", FOLDER],
        "user": "0",
        "readonlyRootFilesystem": true,
        "mountPoints": [{ "sourceVolume": NAME, "containerPath": FOLDER, "readOnly": false }],
    });
    if let Some(log) = chosen.get("logConfiguration").filter(|log| text(log, "logDriver") == "awslogs") {
        carrier["logConfiguration"] = log.clone();
    }
    carrier
}

/// The volume between the two. It lives and ends with the task.
pub(super) fn volume() -> Value {
    json!({ "name": NAME })
}

/// Makes the container start the init as soon as it is aboard.
pub(super) fn board(container: &mut Map<String, Value>, keep_entrypoint: bool) {
    let mount = json!({ "sourceVolume": NAME, "containerPath": FOLDER, "readOnly": true });
    array_of(container, "mountPoints").push(mount);
    array_of(container, "dependsOn").push(json!({ "containerName": NAME, "condition": "SUCCESS" }));
    let command = if keep_entrypoint {
        json!([INIT, WORD])
    } else {
        container.insert("entryPoint".to_owned(), json!([INIT]));
        json!([WORD])
    };
    container.insert("command".to_owned(), command);
    let (namespace, value) = PORTS;
    let controls = array_of(container, "systemControls");
    if controls.iter().all(|control| text(control, "namespace") != namespace) {
        controls.push(json!({ "namespace": namespace, "value": value }));
    }
    // Another init before ours would be PID 1 in its place.
    if let Some(Value::Object(parameters)) = container.get_mut("linuxParameters")
        && parameters.get("initProcessEnabled") == Some(&true.into())
    {
        parameters.insert("initProcessEnabled".to_owned(), false.into());
    }
}

/// Mounts memory at `/tmp`. Not a volume: Fargate's volumes belong to root, and many an image runs as somebody else.
pub(super) fn add_tmp(container: &mut Map<String, Value>) {
    let parameters = container.entry("linuxParameters").or_insert_with(|| json!({}));
    if let Some(parameters) = parameters.as_object_mut() {
        let tmp = json!({ "containerPath": "/tmp", "size": TMP_MIB, "mountOptions": ["nosuid", "nodev", "mode=1777"] });
        array_of(parameters, "tmpfs").push(tmp);
    }
}

/// Whether this task definition was derived by us.
pub(super) fn is_in(definition: &TaskDefinition) -> bool {
    names_in(containers(definition)).any(|name| name == NAME)
}

/// Whether the container starts our init already: its image is the carrier's, or the file is named in how it starts.
pub(super) fn is_aboard(container: &Value, image: &str) -> bool {
    let words = || list(container.get("entryPoint")).iter().chain(list(container.get("command")));
    let is_init = |word: &Value| word.as_str().and_then(|word| word.rsplit('/').next()) == Some(FILE_NAME);
    repository(text(container, "image")) == repository(image) || words().any(is_init) || name_of(container) == NAME
}

/// An image's name without tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or_default();
    match name.rsplit_once(':') {
        // What follows the last colon is a port when there is a slash in it.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// Refuses a carrier that is known to be for another CPU. Our images say so in their tags; others show it only when they run.
///
/// # Errors
/// [`DeriveError::Architecture`].
pub(super) fn check_architecture(definition: &TaskDefinition, image: &str) -> Result<(), DeriveError> {
    let tagged = image.split('@').next().unwrap_or_default();
    let of_image = [("-amd64", "X86_64"), ("-arm64", "ARM64")].into_iter().find(|(end, _)| tagged.ends_with(end));
    let of_task = if definition.is_arm64() { "ARM64" } else { "X86_64" };
    match of_image {
        Some((_, of_image)) if of_image != of_task => {
            Err(DeriveError::Architecture { image: image.to_owned(), of_image, of_task })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_definition_names_an_image() {
        assert!(!default_image().is_empty());
    }

    #[test]
    fn an_init_aboard_is_known_by_its_name() {
        let image = "ghcr.io/x/init:1.2";
        for (container, aboard) in [
            (json!({"image": "web:1", "entryPoint": ["/fargate-init"]}), true),
            (json!({"image": "web:1", "entryPoint": ["/wrap"], "command": ["/opt/fargate-init", "init"]}), true),
            (json!({"image": "ghcr.io/x/init:1.1"}), true),
            (json!({"image": "ghcr.io/x/init@sha256:00"}), true),
            (json!({"image": "ghcr.io/x/init-tools:1.2"}), false),
            (json!({"image": "web:1", "command": ["sh", "-c", "no fargate-init here"]}), false),
            (json!({"image": "web:1"}), false),
        ] {
            assert_eq!(is_aboard(&container, image), aboard, "{container}");
        }
    }

    #[test]
    fn a_port_is_not_a_tag() {
        assert_eq!(repository("registry:5000/init"), "registry:5000/init");
        assert_eq!(repository("registry:5000/init:1@sha256:0a"), "registry:5000/init");
    }
}
