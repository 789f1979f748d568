//! Fleets to try things on.

use std::time::Duration;

use fargate_contract::{Grant, HostSeed};

use super::{Fleet, Member};
use crate::aws::describe_tasks::fleet::FleetTask;
use crate::aws::describe_tasks::{TaskState, Times};
use crate::price::Size;

/// A task of the cluster `shop`, created in the second 1,000,000, with a life of twelve hours.
pub(crate) struct Sample {
    id: &'static str,
    caller: Option<String>,
    grant: Option<Grant>,
}

impl Sample {
    pub(crate) fn new(id: &'static str) -> Self {
        let grant = Grant { run: Some("r-1".to_owned()), ..Grant::new(HostSeed::new([1; 32]).public_key()) };
        Self { id, caller: None, grant: Some(grant) }
    }

    pub(crate) fn caller(self, arn: &str) -> Self {
        Self { caller: Some(arn.to_owned()), ..self }
    }

    pub(crate) fn idle(mut self, seconds: u64) -> Self {
        if let Some(grant) = &mut self.grant {
            grant.idle_timeout = Some(Duration::from_secs(seconds));
        }
        self
    }

    pub(crate) fn ancestor(self) -> Self {
        Self { grant: None, ..self }
    }
}

pub(crate) fn fleet(samples: &[Sample]) -> Fleet {
    let member = |sample: &Sample| {
        let state = TaskState {
            last_status: "RUNNING".to_owned(),
            desired_status: "RUNNING".to_owned(),
            private_ipv4: Some("10.0.1.7".parse().expect("an address")),
            times: Times { created_at: Some(1_000_000.0), ..Times::default() },
            ..TaskState::default()
        };
        let task = FleetTask {
            arn: format!("arn:aws:ecs:r:1:task/shop/{}", sample.id),
            task_definition: "cli:1".to_owned(),
            started_by: Some("ecs-fargate-login".to_owned()),
            state,
            grant: sample.grant.clone(),
            caller: sample.caller.clone(),
            size: Size::read(Some("256"), Some("512"), None, false),
            spot: false,
        };
        Member::new("shop", task)
    };
    Fleet { members: samples.iter().map(member).collect(), failures: Vec::new() }
}
