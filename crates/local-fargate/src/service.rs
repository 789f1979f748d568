//! A service: as many tasks as it wants, each replaced when it stops.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::launch::{self, Place};
use crate::lifecycle::{Event, State};
use crate::state::{Shared, World};
use crate::task::{Launch, Task};

/// Pause before tasks that stopped are replaced, so that one that cannot live does not keep the machine busy. ECS throttles with
/// growing pauses (ECS developer guide, "Service throttle logic").
const REPLACEMENT_PAUSE: Duration = Duration::from_secs(1);

/// A service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) desired: usize,
    /// As it was created and updated, for those who ask.
    pub(crate) body: Value,
    pub(crate) tags: Vec<Value>,
    /// What its tasks are launched from; `None` if they would not run on Fargate: then it has none.
    pub(crate) template: Option<(Launch, Place)>,
    pub(crate) cluster: String,
}

/// `status` of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    /// Deleted, with tasks that still run.
    Draining,
    Inactive,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

impl Service {
    /// The tasks that are meant to run.
    pub(crate) fn tasks<'a>(&'a self, world: &'a World) -> impl Iterator<Item = &'a Task> {
        let group = format!("service:{}", self.name);
        world.tasks.iter().filter(move |task| {
            task.launch.cluster == self.cluster && task.launch.group == group && !task.is_stopping && !task.is_stopped()
        })
    }

    pub(crate) fn count(&self, world: &World, states: &[State]) -> usize {
        self.tasks(world).filter(|task| states.contains(&task.state)).count()
    }

    fn is_current(&self, task: &Task) -> bool {
        let wanted = self.template.as_ref().map(|(launch, _)| &launch.definition);
        wanted.is_some_and(|wanted| Arc::ptr_eq(wanted, &task.launch.definition))
    }

    /// Tasks too many, the newest first: those of another revision go before them.
    fn surplus(&self, world: &World) -> Vec<String> {
        let (current, old): (Vec<_>, Vec<_>) = self.tasks(world).partition(|task| self.is_current(task));
        let many = current.iter().skip(self.desired);
        old.iter().chain(many).map(|task| task.arn.clone()).collect()
    }

    fn lack(&self, world: &World) -> usize {
        let current = self.tasks(world).filter(|task| self.is_current(task)).count();
        if self.template.is_some() { self.desired.saturating_sub(current) } else { 0 }
    }
}

/// Keeps a service at what it wants until it is INACTIVE.
pub(crate) async fn drive(shared: Arc<Shared>, arn: String) {
    let mut is_first = true;
    let look = |world: &World| {
        let service = world.services.iter().find(|service| service.arn == arn)?;
        Some((service.surplus(world), service.lack(world), service.template.clone()))
    };
    loop {
        let is_off = |world: &World| look(world).is_none_or(|(surplus, lack, _)| !surplus.is_empty() || lack > 0);
        tokio::select! {
            // In this order: tasks that were killed are not replaced.
            biased;
            () = shared.kill.cancelled() => return,
            () = shared.wait_until(|world| is_off(world) || is_drained(world, &arn)) => {}
        }
        if shared.retire(&arn) {
            return;
        }
        let Some((surplus, ..)) = look(&shared.lock()) else { return };
        for task in surplus {
            shared.update(&task, |task| {
                task.explain("ServiceSchedulerInitiated", format!("Scaling activity initiated by ({arn})"));
                task.advance(Event::StopAsked);
                task.stop.cancel();
            });
        }
        if !is_first {
            tokio::select! {
                () = sleep(REPLACEMENT_PAUSE) => {}
                () = shared.kill.cancelled() => return,
            }
        }
        is_first = false;
        let Some((_, lack, Some((launch, place)))) = look(&shared.lock()) else { continue };
        for _ in 0..lack {
            let task = launch::enter(&shared, &mut shared.lock(), launch.clone(), &place);
            launch::drive(&shared, task);
        }
        shared.wake();
    }
}

fn is_drained(world: &World, arn: &str) -> bool {
    let service = world.services.iter().find(|service| service.arn == arn);
    service.is_none_or(|service| service.status == Status::Draining && service.tasks(world).next().is_none())
}

impl Shared {
    /// Ends a service that was deleted and whose tasks are gone; tells whether it has ended.
    fn retire(&self, arn: &str) -> bool {
        {
            let mut world = self.lock();
            if !is_drained(&world, arn) {
                return false;
            }
            if let Some(service) = world.services.iter_mut().find(|service| service.arn == arn) {
                service.status = Status::Inactive;
            }
        }
        self.wake();
        true
    }
}
