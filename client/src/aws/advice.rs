//! What to do about it: AWS error codes, `failures[]` reasons and stop reasons, matched by fragment.
//!
//! The fragments are those observed in the field, not documented constants: each is matched without regard to case and
//! avoids the apostrophe, which AWS writes as U+2019 in places.

use fargate_contract::exit_code;

/// Advice on an error code and its message, for the IAM action that was refused.
#[must_use]
pub fn for_refusal(action: &str, code: &str, message: &str) -> Vec<String> {
    let hint = match code {
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => return denied(action, message),
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "the credentials have expired: sign in again (`aws sso login`, or renew the keys)"
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" | "AuthFailure" | "InvalidSignatureException" => {
            "the credentials are not valid here: check `--profile`, `AWS_PROFILE` and the `AWS_*` variables"
        }
        "ClusterNotFoundException" => {
            "name an existing cluster with `-cluster`; `aws ecs list-clusters` shows those of this region"
        }
        "PlatformUnknownException" => "leave `--platform-version` out, or use `LATEST` or `1.4.0`",
        "PlatformTaskDefinitionIncompatibilityException" => {
            "this platform version cannot run the task definition: use `--platform-version LATEST`"
        }
        "RulesPerSecurityGroupLimitExceeded" => {
            "the security group is full: `fargate-login gc` revokes rules that earlier runs left, or name another group first in `-sg`"
        }
        "ThrottlingException" | "Throttling" | "RequestLimitExceeded" => {
            "everybody in this account shares its calls per second: try again later, or ask for less, as with `-cluster`"
        }
        "TargetNotConnected" | "TargetNotConnectedException" if is_instance(message) => {
            "its agent is not connected: it must run, have the rights of AmazonSSMManagedInstanceCore by an instance profile, and reach ssmmessages by NAT or an interface endpoint; `aws ssm describe-instance-information` shows it then"
        }
        "TargetNotConnected" | "TargetNotConnectedException" => {
            "its agent is not connected: `aws ecs describe-tasks` must show an ExecuteCommandAgent that is RUNNING, and the task role needs the four `ssmmessages:` rights"
        }
        "InvalidDocument" => "check the document's name; `aws ssm list-documents` shows those of this region",
        "BlockedException" => "AWS has blocked this account: contact AWS support",
        _ if message.contains("TaskDefinition not found") || message.contains("Unable to describe task definition") => {
            "register the task definition first; `aws ecs list-task-definitions` shows those of this region"
        }
        _ => return for_reason(message),
    };
    vec![hint.to_owned()]
}

/// Whether a message is about a managed instance, which it names first.
fn is_instance(message: &str) -> bool {
    message.starts_with("i-") || message.starts_with("mi-")
}

fn denied(action: &str, message: &str) -> Vec<String> {
    let named = ["ecs:TagResource", "ec2:CreateTags", "iam:PassRole"].into_iter().find(|name| message.contains(name));
    match named {
        Some("ecs:TagResource") if action == "ecs:RegisterTaskDefinition" => vec![
            "`--no-tags` registers without tags; or allow `ecs:TagResource` on `task-definition/*-fargate-login:*`"
                .to_owned(),
        ],
        Some("ecs:TagResource") => {
            vec!["`--no-tags` runs the task without tags; or allow `ecs:TagResource` on `task/<cluster>/*`".to_owned()]
        }
        Some("ec2:CreateTags") => vec![
            "`--no-tags` adds the rule without tags, which `gc` then cannot find; or allow `ec2:CreateTags` on \
             `security-group-rule/*`: task-definitions/iam/allow-my-ip.json"
                .to_owned(),
        ],
        Some("iam:PassRole") => vec![
            "allow `iam:PassRole` on the task role and the execution role, passed to ecs-tasks.amazonaws.com"
                .to_owned(),
        ],
        _ if action == "ssm:StartSession" => vec![
            "allow `ssm:StartSession` on the target and on the session document: task-definitions/iam/port-forward.json has both for `forward`"
                .to_owned(),
        ],
        _ if action == "ecs:ExecuteCommand" => {
            vec!["allow `ecs:ExecuteCommand` on the cluster and on the task: task-definitions/iam/exec.json is the least that is needed".to_owned()]
        }
        _ if action.starts_with("ssm:") => {
            vec![format!("allow `{action}` on `arn:aws:ssm:*:*:session/${{aws:userid}}-*`")]
        }
        _ if action.starts_with("kms:") => {
            vec![format!("allow `{action}` on the key that Session Manager's preferences name")]
        }
        _ => vec![format!("allow `{action}`: task-definitions/iam/{} is the least that is needed", policy(action))],
    }
}

/// The policy that is about an action.
fn policy(action: &str) -> &'static str {
    match action {
        "ecs:DescribeServices" | "ecs:ListServices" => "any-image.json, or listing.json for `services`,",
        "ecs:RegisterTaskDefinition" => "any-image.json",
        "ec2:DescribeSubnets" => "login-ssm.json",
        "ec2:AuthorizeSecurityGroupIngress" | "ec2:RevokeSecurityGroupIngress" => "allow-my-ip.json",
        "ec2:DescribeSecurityGroupRules" => "gc.json",
        "ecs:ListTaskDefinitions" => "any-image.json, or gc.json for `gc`,",
        "ecs:DeregisterTaskDefinition" => "gc.json",
        "ecs:ListTasks" | "ecs:ListClusters" => "fleet.json, or listing.json for `services` and `tasks`,",
        "logs:GetLogEvents" => "host-key-logs.json",
        _ => "operator.json",
    }
}

/// Fragments of a reason and the advice that goes with them; the first row that matches is used, so the special stands
/// before the general.
const REASONS: &[(&[&str], &str)] = &[
    (
        &["capacity is unavailable"],
        "Fargate has no capacity there now: retry, give subnets of several availability zones, another `--cpu`/`--memory`, or leave out `--spot`",
    ),
    (
        &["reached the limit on the number of"],
        "raise the Fargate vCPU quota of this account and region (Service Quotas), or stop other tasks",
    ),
    (
        &["task role to use the execute command"],
        "`--via ssm` needs a task role: name one with `--task-role-arn`; task-definitions/iam/task-ssm.json has the rights that it needs",
    ),
    (
        &["execute command was not enabled"],
        "start the task with `enableExecuteCommand`, and wait until its ExecuteCommandAgent is RUNNING",
    ),
    (&["configuration is above your limit"], "ask for less `--cpu`/`--memory`, or raise the Fargate quota"),
    (&["must be at most 8192"], "the overrides are too long: send fewer or shorter `--env` values"),
    (&["invalidsubnetid", "subnet id"], "check `-sn`: the subnet must exist in this region and account"),
    (&["invalidgroup", "security group"], "check `-sg`: the group must exist in the VPC of the subnets"),
    (
        &["capacity provider"],
        "associate FARGATE_SPOT with the cluster (`aws ecs put-cluster-capacity-providers`), or leave out `--spot`",
    ),
    (
        &["unable to assume the role"],
        "check the role's trust policy (ecs-tasks.amazonaws.com) and `iam:PassRole`; a new role takes some seconds to be known",
    ),
    (&["no fargate configuration exists"], "use a pair of `--cpu` and `--memory` that Fargate offers"),
    (
        &["override for container named", "not a container in the taskdefinition"],
        "name the task definition's container with `-cli-container-name`",
    ),
    (
        &["pull secrets or registry auth", "connection issue"],
        "the task has no route to ECR: use `-public` in a public subnet, or a NAT gateway or VPC endpoints, and let the security group out on 443",
    ),
    (
        &["pull secrets or registry auth", "i/o timeout"],
        "the task has no route to ECR: use `-public` in a public subnet, or a NAT gateway or VPC endpoints, and let the security group out on 443",
    ),
    (
        &["ecr:getauthorizationtoken"],
        "the execution role lacks `ecr:GetAuthorizationToken`: attach AmazonECSTaskExecutionRolePolicy",
    ),
    (&["secretsmanager:getsecretvalue"], "the execution role lacks `secretsmanager:GetSecretValue` on the secret"),
    (&["ssm:getparameters"], "the execution role lacks `ssm:GetParameters` on the parameter"),
    (
        &["execution resource retrieval failed"],
        "the task has no route to Secrets Manager or SSM, or the VPC has no DNS: use `-public`, a NAT gateway or VPC endpoints",
    ),
    (
        &["log group does not exist"],
        "create the log group, or set `awslogs-create-group` and allow `logs:CreateLogGroup`",
    ),
    (&["logs:createlog"], "the execution role lacks `logs:CreateLogStream`, or `logs:CreateLogGroup`"),
    (&["awslogs-region is required"], "set `awslogs-region` in the task definition's log options"),
    (
        &["failed to validate logger args"],
        "the task has no route to CloudWatch Logs: use `-public`, a NAT gateway or a VPC endpoint",
    ),
    (&["cannotpullcontainer", "not found"], "check the image's name, tag and region in the task definition"),
    (
        &["cannotpullcontainer", "403"],
        "the execution role or the repository's policy does not let the task pull this image",
    ),
    (
        &["cannotpullcontainer", "platform"],
        "an image is for another CPU architecture than the task definition's `runtimePlatform`; that of the init is named by `--init-image`",
    ),
    (
        &["cannotpullcontainer", "i/o timeout"],
        "the task has no route to the registry: use `-public` in a public subnet, or a NAT gateway or VPC endpoints",
    ),
    (&["toomanyrequests"], "the registry limits pulls: keep the image in ECR"),
    (&["no space left on device"], "the image does not fit: raise `--ephemeral-storage`"),
    (&["cannotpullcontainer"], "check the image's name in the task definition and the task's route to the registry"),
    (&["outofmemory"], "the container ran out of memory: raise `--memory`"),
    (
        &["exec format error"],
        "an image is for another CPU architecture than the task definition's `runtimePlatform`; that of the init is named by `--init-image`",
    ),
    (
        &["container ordering dependency"],
        "a container that it waits for failed: look at that one's log; if it is fargate-login-init, check `--init-image`",
    ),
    (&["taskdefinition is inactive"], "the task definition has just been deregistered: run it again"),
    (&["insufficientfreeaddresses"], "the subnet has no free addresses: use another with `-sn`"),
    (
        &["tagpolicyviolation"],
        "a tag policy of the organisation wants tags on the network interface: propagate them from the task definition",
    ),
    (&["network interface"], "a fault on the side of AWS: run it again"),
    (&["failed to configure eni"], "a fault on the side of AWS: run it again"),
    (&["timed out after waiting"], "the container did not start in time: run it again, or use a smaller image"),
    (
        &["not compatible with the selected compute"],
        "register the task definition with `requiresCompatibilities: [\"FARGATE\"]`",
    ),
    (&["spot task was interrupted"], "Spot took the capacity back: run it again, or leave out `--spot`"),
    (&["health checks"], "the container's health check failed: look at its log"),
];

/// Advice on the reason of a failure or a stop; empty when the reason is unknown.
#[must_use]
pub fn for_reason(reason: &str) -> Vec<String> {
    let reason = reason.to_lowercase();
    let row = REASONS.iter().find(|(fragments, _)| fragments.iter().all(|fragment| reason.contains(fragment)));
    row.map(|(_, hint)| (*hint).to_owned()).into_iter().collect()
}

/// Advice on the exit code of the container that ended before anybody logged in.
#[must_use]
pub fn for_exit_code(code: i32) -> Vec<String> {
    let hint = match u8::try_from(code) {
        // Our init's own endings.
        Ok(exit_code::NOT_RESUMED) => "the connection was lost for longer than --reconnect-grace allows",
        Ok(exit_code::IDLE) => "nothing came or went for as long as --idle-timeout allows",
        Ok(exit_code::MAX_LIFETIME) => "its time was up: --max-lifetime says how long it may live",
        Ok(exit_code::NO_LOGIN) => "nobody logged in for as long as --login-timeout allows",
        Ok(126 | 127) => "the image's entry point is missing or not executable",
        Ok(exit_code::KILLED) => "the container was killed: out of memory, or it did not stop in time",
        Ok(139) => "the container crashed (SIGSEGV)",
        _ => "look at the container's log for the reason",
    };
    vec![hint.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_seen_on_fargate_have_advice() {
        for (reason, word) in [
            (
                "Capacity is unavailable at this time. Please try again later or in a different availability zone",
                "availability zones",
            ),
            ("You\u{2019}ve reached the limit on the number of vCPUs you can run concurrently", "quota"),
            (
                "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref docker.io/x:y: not found",
                "tag",
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull registry auth from Amazon ECR: There is a connection issue between the task and Amazon ECR",
                "route to ECR",
            ),
            (
                "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet 'subnet-1': InsufficientFreeAddressesInSubnet",
                "another with `-sn`",
            ),
            (
                "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/arm64'",
                "--init-image",
            ),
            ("exec /fargate-login/fargate-init: exec format error", "--init-image"),
            ("TaskDefinition is inactive", "run it again"),
            (
                "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [x - Exit: 1] for target [y]",
                "--init-image",
            ),
            ("Timeout waiting for network interface provisioning to complete.", "run it again"),
            ("Your Spot Task was interrupted.", "Spot"),
            ("OutOfMemoryError: Container killed due to memory usage", "--memory"),
        ] {
            let hints = for_reason(reason);
            assert!(hints.iter().any(|hint| hint.contains(word)), "{reason}: {hints:?}");
        }
        assert!(for_reason("Scaling activity initiated by deployment").is_empty());
    }

    #[test]
    fn a_caller_without_tag_rights_is_told_how_to_go_on() {
        let message =
            "User: arn:aws:iam::000000000000:user/u is not authorized to perform: ecs:TagResource on resource: *";
        assert!(for_refusal("ecs:RunTask", "AccessDeniedException", message)[0].contains("--no-tags"));
        assert!(for_refusal("ecs:StopTask", "AccessDeniedException", "no")[0].contains("ecs:StopTask"));
        let registering = for_refusal("ecs:RegisterTaskDefinition", "AccessDeniedException", message);
        assert!(registering[0].contains("--no-tags") && registering[0].contains("task-definition/"));
        assert!(for_refusal("ecs:DescribeServices", "AccessDeniedException", "no")[0].contains("any-image.json"));
    }
}
