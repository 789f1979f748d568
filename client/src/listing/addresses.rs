//! Public addresses of tasks, which EC2 alone tells.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;

use super::{AT_ONCE, Place};
use crate::aws::describe_network_interfaces::{FILTER_VALUES_MAX, describe_network_interfaces};
use crate::aws::describe_tasks::listed::{Interface, ListedTask};

/// Fills them in. Where EC2 does not tell, the private ones stand, and a warning says so.
pub(super) async fn find(place: Place<'_>, tasks: &mut [ListedTask]) {
    let interfaces = || tasks.iter().filter_map(|task| task.interface.as_ref());
    let ids: Vec<String> = interfaces().map(|interface| interface.id.clone()).collect();
    let count = ids.len().div_ceil(FILTER_VALUES_MAX);
    let asked = ids.chunks(FILTER_VALUES_MAX).enumerate().map(|(number, batch)| async move {
        place.ui.phase(&format!("DescribeNetworkInterfaces ({} of {count})", number + 1));
        describe_network_interfaces(place.aws, batch).await
    });
    let mut answers = futures_util::stream::iter(asked).buffered(AT_ONCE);
    let mut known = BTreeMap::new();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(more) => known.extend(more),
            Err(error) => {
                place.ui.warn(&format!("{error}; public addresses are not known"));
                break;
            }
        }
    }
    for interface in tasks.iter_mut().filter_map(|task| task.interface.as_mut()) {
        let Interface { id, public_ipv4, .. } = interface;
        *public_ipv4 = known.get(id).and_then(|addresses| addresses.public_ipv4);
    }
}
