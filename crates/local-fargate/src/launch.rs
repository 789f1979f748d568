//! Making tasks: what AWS chooses is drawn, the task is entered into the tables, and its driver starts.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::draw::{self, Draw};
use crate::latency::Phases;
use crate::lifecycle::{Attachment, State};
use crate::network::{SecurityGroup, Subnet};
use crate::state::{Shared, World};
use crate::task::{Container, Interface, Launch, Task};
use crate::{clock, driver, idle};

/// Where a task's network interface is made.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) subnet: Subnet,
    pub(crate) groups: Vec<SecurityGroup>,
    pub(crate) wants_public: bool,
}

/// Enters one task into the tables and returns its ARN; [`drive`] lets it live.
pub(crate) fn enter(shared: &Shared, world: &mut World, launch: Launch, place: &Place) -> String {
    let task = make(shared, world, launch, place);
    let arn = task.arn.clone();
    world.tasks.push(task);
    arn
}

/// Lets a task live. Not under the lock.
pub(crate) fn drive(shared: &Arc<Shared>, arn: String) {
    let is_idle = {
        let world = shared.lock();
        // The newest stand last.
        world.tasks.iter().rfind(|task| task.arn == arn).is_some_and(|task| idle::is_idle(shared, &task.launch))
    };
    if is_idle {
        idle::settle(shared, &arn);
        shared.drivers.spawn(idle::rest(Arc::clone(shared), arn));
    } else {
        shared.drivers.spawn(driver::drive(Arc::clone(shared), arn));
    }
}

fn make(shared: &Shared, world: &mut World, launch: Launch, place: &Place) -> Task {
    let mut draw = world.draw_task(shared.config.seed);
    let id = draw.hex(32);
    let phases = Phases::draw(shared.config.latency, &mut draw);
    // What has no process does not listen.
    let listened_on = if idle::is_idle(shared, &launch) { Vec::new() } else { draw::listened_on() };
    let interface = interface(world, &mut draw, place, &listened_on);
    let containers = launch.containers().iter().map(|definition| {
        let arn = shared.arn(&format!("container/{}/{id}/{}", launch.cluster, draw.uuid()));
        // Fargate's form: the task's id and ten digits.
        Container::new(arn, definition.name.clone(), format!("{id}-{}", draw.digits(10)))
    });
    Task {
        containers: containers.collect(),
        arn: shared.arn(&format!("task/{}/{id}", launch.cluster)),
        id,
        launch,
        state: State::Provisioning,
        is_stopping: false,
        stop_code: None,
        stopped_reason: None,
        version: 1,
        visible_at: Instant::now() + phases.missing,
        times: BTreeMap::from([("createdAt", clock::now())]),
        stopped_at: None,
        interface,
        phases,
        stop: CancellationToken::new(),
    }
}

fn interface(world: &World, draw: &mut Draw, place: &Place, listened_on: &[Ipv4Addr]) -> Interface {
    let is_taken = |address| {
        let has = |task: &Task| task.interface.address == IpAddr::V4(address) && !task.is_stopped();
        listened_on.contains(&address) || world.tasks.iter().any(has)
    };
    // Drawn in any case: what is drawn next must not depend on the subnet.
    let ipv4 = draw.address(is_taken);
    Interface {
        attachment_id: draw.uuid(),
        id: format!("eni-{}", draw.hex(17)),
        status: Attachment::Precreated,
        existed: false,
        address: if place.subnet.cidr.is_some() { IpAddr::V4(ipv4) } else { Interface::IPV6 },
        mac: draw.mac(),
        wants_public: place.wants_public,
        associated: false,
        subnet: place.subnet,
        groups: place.groups.clone(),
    }
}
