//! Many busy channels at once, with and without rekeys (D2 and D3 of the containment).

use std::sync::atomic::Ordering;

use crate::harness::{Setup, echo, patiently, round_trip};

const MIB: usize = 1024 * 1024;

/// Echoes `size` bytes on each of `channels` channels, all at once and both ways.
async fn echo_all(setup: Setup, channels: u8, size: usize) -> (usize, u64) {
    let mut ends = setup.connect().await;
    let mut trips = tokio::task::JoinSet::new();
    for seed in 0..channels {
        let (near, far) = ends.open().await;
        tokio::spawn(echo(far));
        trips.spawn(round_trip(near, seed, size));
    }
    while let Some(trip) = trips.join_next().await {
        trip.expect("a whole round trip");
    }
    assert_eq!(ends.client_link.moved(), 2 * u64::from(channels) * size as u64);
    (ends.rekeys.load(Ordering::Relaxed), ends.client_link.usage().peak_unsent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_channels_echo_both_ways() {
    patiently(echo_all(Setup::own(), 8, 4 * MIB)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_channels_echo_both_ways() {
    let (_, unsent) = patiently(echo_all(Setup::own(), 32, MIB)).await;
    // The limit, and one batch of russh: at most 64 packets.
    assert!(unsent <= 3 * MIB as u64, "{unsent} bytes were unsent");
}

#[tokio::test]
async fn thirty_two_channels_echo_over_a_transport_that_holds_little() {
    patiently(echo_all(Setup { duplex: Some(4096), ..Setup::own() }, 32, MIB / 4)).await;
}

#[tokio::test]
async fn two_hundred_channels_echo_both_ways() {
    patiently(echo_all(Setup::own(), 200, MIB / 4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_channel_survives_rekeys() {
    let (rekeys, _) = patiently(echo_all(Setup { rekey: 2 * MIB, ..Setup::own() }, 1, 16 * MIB)).await;
    assert!(rekeys >= 4, "{rekeys} rekeys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_channels_survive_rekeys() {
    let (rekeys, _) = patiently(echo_all(Setup { rekey: 4 * MIB, ..Setup::own() }, 8, 4 * MIB)).await;
    assert!(rekeys >= 4, "{rekeys} rekeys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_channels_survive_rekeys() {
    let (rekeys, _) = patiently(echo_all(Setup { rekey: 4 * MIB, ..Setup::own() }, 32, MIB)).await;
    assert!(rekeys >= 4, "{rekeys} rekeys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_two_channels_without_credit_survive_rekeys() {
    let (rekeys, _) = patiently(echo_all(Setup { rekey: 4 * MIB, ..Setup::foreign() }, 32, MIB)).await;
    assert!(rekeys >= 4, "{rekeys} rekeys");
}

#[tokio::test]
async fn without_credit_channels_echo_over_a_transport_that_holds_little() {
    patiently(echo_all(Setup { duplex: Some(1024), ..Setup::foreign() }, 8, MIB / 2)).await;
}
