//! `DescribeNetworkInterfaces`: the only place where a task's public address is told.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::selection::Selection;
use crate::error::ApiError;
use crate::fault::Fault;
use crate::lifecycle::Attachment;
use crate::protocol::query::Form;
use crate::state::Shared;
use crate::task::Task;
use crate::{ACCOUNT, clock};

/// The account that Fargate's interfaces are requested by and attached to; made up, and not ours.
const REQUESTER: &str = "111111111111";

const SELECTION: Selection<'_> = Selection {
    set: "networkInterfaceSet",
    ids: ("NetworkInterfaceId", "networkInterfaceId"),
    not_found: ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{}' does not exist"),
    filters: &[
        ("network-interface-id", &["networkInterfaceId"]),
        ("subnet-id", &["subnetId"]),
        ("vpc-id", &["vpcId"]),
        ("status", &["status"]),
        ("description", &["description"]),
        ("group-id", &["groupSet", "groupId"]),
        ("private-ip-address", &["privateIpAddress"]),
        ("association.public-ip", &["association", "publicIp"]),
    ],
};

/// Answers a call.
pub(super) fn call(shared: &Shared, form: &Form) -> Result<Value, ApiError> {
    let mut world = shared.lock();
    let hidden = |fault: &Fault| matches!(fault, Fault::NoAddressEver | Fault::NoAddressYet { .. }).then_some(());
    let is_hidden = world.faults.take(hidden).is_some();
    let is_live = |task: &&Task| matches!(task.interface.status, Attachment::Attached | Attachment::Detaching);
    let named = named(form);
    let is_named = |task: &&Task| named.is_empty() || named.contains(&task.interface.id);
    let live = world.tasks.iter().filter(is_live).filter(|task| task.interface.existed).filter(is_named);
    SELECTION.page(live.map(|task| item(shared, task, is_hidden)).collect(), form)
}

/// Ids that the request names, by themselves or in a filter: of thousands of interfaces, no others are looked at.
fn named(form: &Form) -> BTreeSet<String> {
    let mut named: BTreeSet<String> = form.list(SELECTION.ids.0).into_iter().collect();
    for number in 1.. {
        let Some(name) = form.text(&format!("Filter.{number}.Name")) else { break };
        if name == "network-interface-id" {
            named.extend(form.list(&format!("Filter.{number}.Value")));
        }
    }
    named
}

fn item(shared: &Shared, task: &Task, is_hidden: bool) -> Value {
    let interface = &task.interface;
    let groups: Vec<_> =
        interface.groups.iter().map(|group| json!({"groupId": group.id, "groupName": group.name})).collect();
    let mut item = json!({
        "networkInterfaceId": interface.id,
        "subnetId": interface.subnet.id,
        "vpcId": interface.subnet.vpc,
        "availabilityZone": shared.zone(interface.subnet.zone),
        "description":
            format!("arn:aws:ecs:{}:{ACCOUNT}:attachment/{}", shared.config.region, interface.attachment_id),
        "ownerId": ACCOUNT,
        "requesterId": REQUESTER,
        "requesterManaged": true,
        "status": "in-use",
        "macAddress": interface.mac,
        "sourceDestCheck": true,
        "groupSet": groups,
        "attachment": {
            "attachmentId": format!("ela-attach-{}", interface.id.trim_start_matches("eni-")),
            "attachTime": clock::text(task.time("connectivityAt").unwrap_or_default()),
            "instanceOwnerId": REQUESTER,
            "deviceIndex": 1,
            "status": if interface.status == Attachment::Attached { "attached" } else { "detaching" },
            "deleteOnTermination": false,
        },
        "privateIpAddressesSet": [],
        "ipv6AddressesSet": [],
        "tagSet": [],
        "interfaceType": "interface",
    });
    let address = interface.address.to_string();
    if interface.address.is_ipv6() {
        // Reachable from everywhere without further ado, if routes and groups allow it.
        item["ipv6AddressesSet"] = json!([{"ipv6Address": address}]);
        return item;
    }
    item["privateIpAddress"] = address.clone().into();
    item["privateDnsName"] = interface.dns_name().into();
    let mut private = json!({"privateIpAddress": address, "privateDnsName": interface.dns_name(), "primary": true});
    if interface.wants_public && interface.associated && !is_hidden {
        let public_name = interface.dns_name().replacen("ip", "ec2", 1);
        let association = json!({"publicIp": address, "publicDnsName": public_name, "ipOwnerId": "amazon"});
        item["association"] = association.clone();
        private["association"] = association;
    }
    item["privateIpAddressesSet"] = json!([private]);
    item
}
