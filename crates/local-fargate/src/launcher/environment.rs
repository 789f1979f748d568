//! What a container finds when it starts: its command line and its environment variables.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use super::Start;
use super::stragglers::MARK;
use crate::config::ProcessImage;
use crate::state::Shared;

/// Where the task's programs may listen.
const ADDRESS: &str = "LOCAL_FARGATE_ADDRESS";
/// Our init listens on every address unless it is told otherwise; a task must keep to its own, which is its loopback as well: that of the
/// machine belongs to all tasks.
const LISTEN: &str = "_FARGATE_LOGIN_LISTEN";

/// ENTRYPOINT and CMD as ECS puts them together: the task definition's `entryPoint` replaces the image's.
pub(super) fn argv(image: &ProcessImage, start: &Start) -> Vec<OsString> {
    if let Some(exit_code) = start.exit_early {
        return ["/bin/sh".into(), "-c".into(), format!("exit {exit_code}").into()].into();
    }
    let words = |words: &[String]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let entry_point = start.definition.entry_point.as_deref().filter(|words| !words.is_empty());
    let mut argv = entry_point.map_or_else(|| image.entry_point.clone(), words);
    argv.extend(start.command.as_deref().map(words).unwrap_or_default());
    argv
}

/// Fargate's variables, the image's, the task definition's and the override's; later ones win.
///
/// On Fargate credentials are at `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` below 169.254.170.2; a process of this machine gets
/// `AWS_CONTAINER_CREDENTIALS_FULL_URI` instead, which every SDK takes as well.
pub(super) fn variables(shared: &Shared, image: &ProcessImage, start: &Start, home: &Path) -> Vec<(String, OsString)> {
    let host = start.address.replace(['.', ':'], "-");
    let mut variables: Vec<(String, OsString)> = vec![
        ("PATH".into(), std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into())),
        ("HOME".into(), home.into()),
        ("HOSTNAME".into(), format!("ip-{host}.ec2.internal").into()),
        (ADDRESS.into(), start.address.clone().into()),
    ];
    let of_fargate = fargate(shared, start, shared.address);
    variables.extend(of_fargate.into_iter().map(|(name, value)| (name.to_owned(), value.into())));
    variables.extend(image.env.iter().map(|(name, value)| (name.clone(), value.into())));
    variables.extend(start.environment.0.iter().map(|(name, value)| (name.clone(), value.into())));
    variables.push((LISTEN.into(), start.address.clone().into()));
    // Last: no image may take it from its processes.
    variables.push((MARK.into(), start.mark(shared).into()));
    variables
}

/// What Fargate itself gives every container. `endpoint` is where the container reaches us.
pub(super) fn fargate(shared: &Shared, start: &Start, endpoint: SocketAddr) -> Vec<(&'static str, String)> {
    let region = &shared.config.region;
    let mut variables = vec![
        ("AWS_REGION", region.clone()),
        ("AWS_DEFAULT_REGION", region.clone()),
        ("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE".to_owned()),
        ("ECS_CONTAINER_METADATA_URI_V4", format!("http://{endpoint}/v4/{}", start.runtime_id)),
    ];
    if start.has_role {
        let uri = format!("http://{endpoint}/v2/credentials/{}", start.task_id);
        variables.push(("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(entry_point: Option<&str>, command: Option<&[&str]>) -> Start {
        let mut start = Start::default();
        start.definition.entry_point = entry_point.map(|word| vec![word.to_owned()]);
        start.command = command.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
        start
    }

    #[test]
    fn entry_point_and_command_are_put_together_as_ecs_does() {
        let image = ProcessImage { name: "i".into(), entry_point: vec!["/init".into(), "-x".into()], env: Vec::new() };
        assert_eq!(argv(&image, &start(None, None)), ["/init", "-x"]);
        assert_eq!(argv(&image, &start(Some("/bin/e"), Some(&["c"]))), ["/bin/e", "c"]);
        assert_eq!(argv(&image, &start(None, Some(&["o", "p"]))), ["/init", "-x", "o", "p"]);
    }

    #[test]
    fn a_container_that_is_to_exit_early_does_so_in_earnest() {
        let image = ProcessImage { name: "i".into(), entry_point: vec!["/init".into()], env: Vec::new() };
        let start = Start { exit_early: Some(3), ..Start::default() };
        assert_eq!(argv(&image, &start), ["/bin/sh", "-c", "exit 3"]);
    }
}
