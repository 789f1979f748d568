//! Around the task: the caller's address is let in before it is launched and no longer when it has ended, on every way out.

use std::time::Duration;

use super::{LoginError, Run, fail, launch_and_visit};
use crate::checkpoint::checkpoint;
use crate::error::EXIT_FAILURE;
use crate::ingress::Opening;
use crate::plan::ingress::Ingress;
use crate::session;
use crate::timings::Owner;

/// How often it is looked whether somebody else's rule still stands. A dial is repeated for minutes.
const AGAIN: Duration = Duration::from_secs(5);

/// Launches and visits the task, behind rules of its own if the plan has any. Returns the exit status of the program.
pub(super) async fn launch_admitted(run: &Run<'_>) -> u8 {
    let Some(ingress) = &run.plan.ingress else { return launch_and_visit(run).await };
    run.timings.begin("AuthorizeSecurityGroupIngress", Owner::Aws);
    run.ui.phase(&format!("AuthorizeSecurityGroupIngress {}", ingress.group));
    // Not a cancellation point: a request that was dropped half-way may leave a rule that nobody knows.
    let (mut opening, opened) = tokio::select! {
        done = Opening::authorize(ingress, run.aws) => done,
        () = run.stop.second.cancelled() => return leave_unknown(run, ingress),
    };
    let code = match opened {
        Err(error) => fail(&LoginError::Ingress(error), run.ui, run.stop),
        Ok(()) => admitted(run, ingress, &mut opening).await,
    };
    close(run, opening, code).await
}

async fn admitted(run: &Run<'_>, ingress: &Ingress, opening: &mut Opening) -> u8 {
    tell(run, ingress, opening);
    checkpoint("after-authorize", &run.stop.first).await;
    if run.stop.first.is_cancelled() {
        return fail(&LoginError::Interrupted(run.stop.signal_name()), run.ui, run.stop);
    }
    let visit = async {
        let code = Box::pin(launch_and_visit(run)).await;
        run.settled.cancel();
        code
    };
    // Joined, not selected: a rule that is being added is waited for.
    tokio::join!(visit, keep_open(run, ingress, opening)).0
}

/// Somebody else's rule may go while our task starts, such as that of another run of the same user. A connection that stands outlives
/// it, since security groups track connections (Amazon EC2 User Guide, "Connection tracking").
async fn keep_open(run: &Run<'_>, ingress: &Ingress, opening: &mut Opening) {
    while !opening.others().is_empty() {
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = run.settled.cancelled() => return,
        }
        let added = tokio::select! {
            added = opening.authorize_again(ingress, run.aws) => added,
            () = run.stop.second.cancelled() => {
                tell_unknown(run, ingress);
                return;
            }
        };
        let Ingress { group, port, .. } = ingress;
        for (cidr, id) in added {
            run.ui.note(&format!(
                "{group} admits {cidr} to port {port} for this run ({id}): the rule that did so has gone"
            ));
        }
    }
}

fn tell(run: &Run<'_>, ingress: &Ingress, opening: &Opening) {
    let Ingress { group, groups, port, .. } = ingress;
    let which = if *groups > 1 { format!(", the first of {groups} groups,") } else { String::new() };
    for (cidr, id) in opening.rules() {
        run.ui.note(&format!("{group}{which} admits {cidr} to port {port} for this run ({id})"));
    }
    for cidr in opening.others() {
        run.ui.note(&format!(
            "{group}{which} has a rule for {cidr} and port {port} already, which is not ours and stays"
        ));
    }
}

async fn close(run: &Run<'_>, opening: Opening, code: u8) -> u8 {
    let Some(command) = opening.revoke_command() else {
        opening.abandon();
        return code;
    };
    run.ui.phase(&format!(
        "RevokeSecurityGroupIngress {}",
        run.plan.ingress.as_ref().map_or("", |ingress| &ingress.group)
    ));
    let ids: Vec<String> = opening.rules().iter().map(|(_, id)| id.clone()).collect();
    let left = tokio::select! {
        revoked = opening.revoke(run.aws) => revoked.err(),
        () = run.stop.second.cancelled() => {
            run.ui.clear();
            session::terminal::restore();
            run.ui.warn(&format!("leaving before {} is known to be revoked; to be sure: {command}", ids.join(", ")));
            return if code == 0 { run.stop.exit_code().unwrap_or(EXIT_FAILURE) } else { code };
        }
    };
    run.ui.clear();
    match left {
        None => {
            run.ui.note(&format!("{} revoked", ids.join(", ")));
            code
        }
        Some(error) => {
            run.ui.error(&error);
            if code == 0 { EXIT_FAILURE } else { code }
        }
    }
}

/// The second signal came while a rule was asked for: whether there is one is not known.
fn leave_unknown(run: &Run<'_>, ingress: &Ingress) -> u8 {
    run.ui.clear();
    tell_unknown(run, ingress);
    run.stop.exit_code().unwrap_or(EXIT_FAILURE)
}

fn tell_unknown(run: &Run<'_>, ingress: &Ingress) {
    let Ingress { group, port, cidrs, .. } = ingress;
    for cidr in cidrs {
        let list = if cidr.addr().is_ipv4() { "IpRanges=[{CidrIp" } else { "Ipv6Ranges=[{CidrIpv6" };
        run.ui.warn(&format!(
            "AuthorizeSecurityGroupIngress was under way: unless the rule was there before, revoke it with: \
             aws ec2 revoke-security-group-ingress --region {} --group-id {group} \
             --ip-permissions 'IpProtocol=tcp,FromPort={port},ToPort={port},{list}={cidr}}}]'",
            run.aws.region,
        ));
    }
}
