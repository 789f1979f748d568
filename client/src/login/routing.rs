//! Which way connections take to the task: decided before it is launched, since only RunTask can enable the agent that Systems
//! Manager needs, and in favour of the direct way wherever that may work.

use std::time::Duration;

use crate::aws::Aws;
use crate::aws::describe_subnets::describe_subnets;
use crate::networks;
use crate::options::{Options, Via};
use crate::origin::Origin;
use crate::plan::via::{Choice, Obstacle, Transport, check, check_definition};
use crate::ui::Ui;

/// Where EC2 does not answer so soon, the run does not wait for it.
const EC2_TIMEOUT: Duration = Duration::from_secs(3);

/// What can be said before the task definition is known.
///
/// # Errors
/// [`Obstacle`] to what was asked for.
pub(super) async fn propose(options: &Options, aws: &Aws, ui: &Ui) -> Result<Choice, Obstacle> {
    match options.via.unwrap_or_default() {
        Via::Direct => Ok(Choice::new(Transport::Direct, "it was asked for")),
        Via::Ssm => check(options).map(|()| Choice::new(Transport::Ssm, "it was asked for")),
        Via::Auto => Ok(guess(options, aws, ui).await),
    }
}

/// The same with what the task definition says. Where that is not known, RunTask tells whoever asked for Systems Manager.
///
/// # Errors
/// [`Obstacle`] to what was asked for.
pub(super) fn settle(
    proposed: Choice,
    options: &Options,
    origin: &Origin,
    container: &str,
) -> Result<Choice, Obstacle> {
    let obstacle = match (proposed.transport, origin.definition()) {
        (Transport::Direct, _) => return Ok(proposed),
        (Transport::Ssm, Some(definition)) => check_definition(options, definition, container),
        (Transport::Ssm, None) => Ok(()),
    };
    let instead = |reason: String| Choice { transport: Transport::Direct, reason, ..proposed.clone() };
    match (obstacle, options.via == Some(Via::Ssm)) {
        (Err(obstacle), true) => Err(obstacle),
        (Err(obstacle), false) => Ok(instead(format!("{}, but {obstacle}", proposed.reason))),
        (Ok(()), false) if origin.definition().is_none() => {
            Ok(instead(format!("{}, but whether the task has a role for `--via ssm` is not known", proposed.reason)))
        }
        (Ok(()), _) => Ok(proposed),
    }
}

async fn guess(options: &Options, aws: &Aws, ui: &Ui) -> Choice {
    let direct = |reason: String| Choice::new(Transport::Direct, reason);
    if options.local.is_some() {
        return direct("tasks of --local are on this machine".to_owned());
    }
    if options.public.unwrap_or(true) {
        return direct("a public address is asked for".to_owned());
    }
    if let Err(obstacle) = check(options) {
        return direct(obstacle.to_string());
    }
    ui.phase("DescribeSubnets");
    let choice = match tokio::time::timeout(EC2_TIMEOUT, describe_subnets(aws, &options.subnets)).await {
        Ok(Ok(subnets)) if subnets.iter().all(|ranges| ranges.iter().any(|range| networks::has(*range))) => {
            direct("the subnets are in networks of this machine".to_owned())
        }
        Ok(Ok(_)) => Choice::new(
            Transport::Ssm,
            "there will be no public address, and the subnets are in no network of this machine",
        ),
        Ok(Err(error)) => direct(format!("the subnets' addresses are not known: {error}")),
        Err(_) => direct("the subnets' addresses are not known: ec2:DescribeSubnets got no answer".to_owned()),
    };
    Choice { asked_for_subnets: true, ..choice }
}
