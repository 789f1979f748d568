//! Scripted faults: what AWS does on bad days, on request.

use std::time::Duration;

use tokio::time::Instant;

/// One fault. Those with a count are used up; the others stay, unless [`Fault::Times`] or [`Fault::For`] bounds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next calls of this action are throttled (`ThrottlingException`, or EC2's `RequestLimitExceeded`).
    Throttle {
        /// Such as `DescribeTasks`.
        action: String,
        /// How many calls.
        count: u32,
    },
    /// ECS throttles as it does on AWS: calls beyond what an account may make, by its token buckets. Without this it never does.
    RateLimits,
    /// The next calls of this action fail with a server error and change nothing.
    ServerError {
        /// Such as `StopTask`.
        action: String,
        /// How many calls.
        count: u32,
    },
    /// The next calls of this action are carried out and answered with a server error all the same.
    LostReply {
        /// Such as `RunTask`.
        action: String,
        /// How many calls.
        count: u32,
    },
    /// Every call of this action is answered late.
    SlowApi {
        /// Such as `StopTask`.
        action: String,
        /// How late.
        delay: Duration,
    },
    /// Calls get no answer at all, as from behind a network that is gone. Those that wait stay without one when it is over.
    NoAnswer,
    /// The caller lacks this permission, such as `ecs:RunTask`. `ecs:TagResource` refuses RunTask only when it sends tags, and
    /// `ec2:CreateTags` AuthorizeSecurityGroupIngress only when it does.
    AccessDenied {
        /// IAM's name of the action.
        action: String,
    },
    /// StartSession refuses this document: its caller may not use it (the ARN of a document of AWS's own has no account).
    DocumentDenied {
        /// Such as `AWS-StartPortForwardingSession`.
        name: String,
    },
    /// The caller's credentials have expired, for every call and for data channels.
    CredentialsExpired,
    /// RunTask answers with `failures[]`: no capacity.
    Capacity,
    /// RunTask answers with `failures[]`: the account's vCPU quota.
    VcpuQuota,
    /// The next DescribeTasks calls do not know the task.
    Missing {
        /// How many calls.
        calls: u32,
    },
    /// The next DescribeNetworkInterfaces calls show no public address.
    NoAddressYet {
        /// How many calls.
        describes: u32,
    },
    /// The network interface never shows a public address.
    NoAddressEver,
    /// Tasks stop before they run: the image cannot be pulled.
    ImagePull {
        /// The stopped reason.
        message: String,
    },
    /// Tasks stop before they run, for any other reason.
    StartFailure {
        /// The stopped reason.
        reason: String,
    },
    /// Containers run a program that exits at once instead of their image's.
    EarlyExit {
        /// Its exit code.
        exit_code: u8,
    },
    /// Running tasks of FARGATE_SPOT are interrupted; others never are. At the notice a task is RUNNING, meant to be STOPPED,
    /// and its containers get SIGTERM; SIGKILL follows after their `stopTimeout` (ECS developer guide, "Fargate Spot termination
    /// notices").
    SpotInterruption {
        /// Time from RUNNING, or from this fault if it comes later, until the notice.
        after: Duration,
    },
    /// The agents of containers and instances are not connected: sessions are refused.
    AgentNotConnected,
    /// Sessions that are started have a network like this.
    Impaired(crate::ssm::Impairment),
    /// Another fault, so many times: calls for faults of calls, tasks for faults of tasks.
    Times {
        /// How many times.
        count: u32,
        /// What happens.
        fault: Box<Self>,
    },
    /// Another fault, for a while from now on.
    For {
        /// How long.
        duration: Duration,
        /// What happens.
        fault: Box<Self>,
    },
}

/// A fault and what is left of it.
#[derive(Clone, Debug)]
struct Armed {
    fault: Fault,
    left: Option<u32>,
    until: Option<Instant>,
}

/// The faults in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(Vec<Armed>);

impl Faults {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        let mut armed = Self::default();
        faults.into_iter().for_each(|fault| armed.push(fault));
        armed
    }

    pub(crate) fn push(&mut self, fault: Fault) {
        self.0.push(arm(fault));
    }

    /// The answer of the first fault in force that has one, which uses it once.
    pub(crate) fn take<T>(&mut self, question: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let now = Instant::now();
        self.0.retain(|armed| armed.left != Some(0) && armed.until.is_none_or(|until| now < until));
        self.0.iter_mut().find_map(|armed| {
            let answer = question(&armed.fault)?;
            armed.left = armed.left.map(|left| left - 1);
            Some(answer)
        })
    }

    /// Whether the caller is denied this action, as IAM names it.
    pub(crate) fn denies(&mut self, action: &str) -> bool {
        self.take(|fault| matches!(fault, Fault::AccessDenied { action: denied } if denied == action).then_some(()))
            .is_some()
    }
}

fn arm(fault: Fault) -> Armed {
    match fault {
        Fault::Times { count, fault } => {
            let inner = arm(*fault);
            Armed { left: Some(inner.left.map_or(count, |left| left.min(count))), ..inner }
        }
        Fault::For { duration, fault } => {
            let (inner, until) = (arm(*fault), Instant::now() + duration);
            Armed { until: Some(inner.until.map_or(until, |earlier| earlier.min(until))), ..inner }
        }
        Fault::Throttle { count, .. }
        | Fault::ServerError { count, .. }
        | Fault::LostReply { count, .. }
        | Fault::Missing { calls: count }
        | Fault::NoAddressYet { describes: count } => Armed { fault, left: Some(count), until: None },
        _ => Armed { fault, left: None, until: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(faults: &mut Faults, kind: &Fault) -> usize {
        (0..5).filter(|_| faults.take(|fault| (fault == kind).then_some(())).is_some()).count()
    }

    #[test]
    fn counted_faults_are_used_up_and_others_stay() {
        let mut faults = Faults::new(vec![Fault::Capacity, Fault::Missing { calls: 2 }]);
        assert_eq!(times(&mut faults, &Fault::Missing { calls: 2 }), 2);
        assert_eq!(times(&mut faults, &Fault::Capacity), 5);
    }

    #[test]
    fn any_fault_can_be_bounded() {
        let mut faults = Faults::new(vec![
            Fault::Times { count: 3, fault: Box::new(Fault::Capacity) },
            Fault::For { duration: Duration::ZERO, fault: Box::new(Fault::VcpuQuota) },
            Fault::For { duration: Duration::from_secs(3600), fault: Box::new(Fault::NoAddressEver) },
        ]);
        assert_eq!(times(&mut faults, &Fault::Capacity), 3);
        assert_eq!(times(&mut faults, &Fault::VcpuQuota), 0);
        assert_eq!(times(&mut faults, &Fault::NoAddressEver), 5);
    }

    #[test]
    fn a_denial_names_one_action() {
        let mut faults = Faults::new(vec![Fault::AccessDenied { action: "ecs:TagResource".to_owned() }]);
        assert!(faults.denies("ecs:TagResource") && !faults.denies("ecs:RunTask"));
    }
}
