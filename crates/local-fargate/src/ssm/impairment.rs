//! How bad a session's network is: what is lost, late, twice, out of turn, and cut.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::draw::Draw;

/// What happens to the frames of a session, in both directions alike. The service's own words are never lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Impairment {
    /// Of a thousand frames, so many are lost.
    pub lost_per_mille: u32,
    /// Of a thousand frames, so many come twice.
    pub duplicated_per_mille: u32,
    /// Of a thousand frames, so many come after the one behind them.
    pub reordered_per_mille: u32,
    /// Of a thousand acknowledgements, so many come too early for the agent to understand them, as with the real one.
    pub unheeded_per_mille: u32,
    /// How long a frame travels, each way.
    pub delay: Duration,
    /// The connection is cut this long after it was let in.
    pub cut_after: Option<Duration>,
    /// The connection is cut after so many bytes, both directions together.
    pub cut_after_bytes: Option<u64>,
    /// The service stops the agent this often, for a tenth of that time.
    pub pause_every: Option<Duration>,
    /// The service ends a session on which no data has passed for so long.
    pub idle_close: Option<Duration>,
}

/// How long a frame that is to come out of turn waits for another one.
const HELD_BACK: Duration = Duration::from_millis(20);
/// Frames under way.
const UNDER_WAY_MAX: usize = 4096;

/// Carries frames from one end to the other as well as the impairment allows, until either end is gone.
pub(super) async fn carry(
    mut from: mpsc::Receiver<Bytes>,
    to: mpsc::Sender<Bytes>,
    impairment: Impairment,
    mut draw: Draw,
) {
    let mut under_way = std::collections::VecDeque::new();
    let mut held: Option<(Instant, Bytes)> = None;
    loop {
        let arrival = under_way.front().map(|(at, _)| *at);
        let release = held.as_ref().map(|(since, _)| *since + HELD_BACK);
        tokio::select! {
            // In this order: what has arrived goes on before more sets out.
            biased;
            () = until(arrival) => {
                let Some((_, frame)) = under_way.pop_front() else { continue };
                if to.send(frame).await.is_err() {
                    return;
                }
            }
            () = until(release) => {
                under_way.extend(held.take().map(|(_, frame)| (Instant::now() + impairment.delay, frame)));
            }
            frame = from.recv(), if under_way.len() < UNDER_WAY_MAX => {
                let Some(frame) = frame else { break };
                if draw.happens(impairment.lost_per_mille) {
                    continue;
                }
                if held.is_none() && draw.happens(impairment.reordered_per_mille) {
                    held = Some((Instant::now(), frame));
                    continue;
                }
                let at = Instant::now() + impairment.delay;
                if draw.happens(impairment.duplicated_per_mille) {
                    under_way.push_back((at, frame.clone()));
                }
                under_way.push_back((at, frame));
                under_way.extend(held.take().map(|(_, frame)| (at, frame)));
            }
        }
    }
    // What has set out arrives.
    under_way.extend(held);
    for (at, frame) in under_way {
        tokio::time::sleep_until(at).await;
        if to.send(frame).await.is_err() {
            return;
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) if at <= Instant::now() => {}
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn carried(impairment: Impairment, frames: u32) -> (Vec<u32>, Duration) {
        let (to, from) = mpsc::channel(8);
        let (out, mut arrived) = mpsc::channel(8);
        let began = Instant::now();
        tokio::spawn(carry(from, out, impairment, Draw::new(1, 1)));
        tokio::spawn(async move {
            for number in 0..frames {
                to.send(Bytes::copy_from_slice(&number.to_be_bytes())).await.expect("carried");
            }
        });
        let mut numbers = Vec::new();
        while let Some(frame) = arrived.recv().await {
            numbers.push(u32::from_be_bytes(frame.as_ref().try_into().expect("a number")));
        }
        (numbers, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_without_faults_keeps_everything_in_order() {
        let (numbers, taken) = carried(Impairment::default(), 1000).await;
        assert!(numbers.into_iter().eq(0..1000));
        assert_eq!(taken, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_are_lost_doubled_and_out_of_order_as_often_as_was_asked() {
        let (numbers, _) = carried(Impairment { lost_per_mille: 100, ..Impairment::default() }, 1000).await;
        assert!((850..950).contains(&numbers.len()) && numbers.is_sorted(), "{}", numbers.len());
        let (numbers, _) = carried(Impairment { duplicated_per_mille: 100, ..Impairment::default() }, 1000).await;
        assert!((1050..1150).contains(&numbers.len()) && numbers.is_sorted(), "{}", numbers.len());
        let (mut numbers, _) = carried(Impairment { reordered_per_mille: 100, ..Impairment::default() }, 1000).await;
        let turned = numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!((50..150).contains(&turned), "{turned}");
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..1000), "and nothing else");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_delayed_is_not_held_up_by_what_is_before_it() {
        let delay = Duration::from_millis(50);
        let (numbers, taken) = carried(Impairment { delay, ..Impairment::default() }, 100).await;
        assert!(numbers.into_iter().eq(0..100));
        assert!((50..60).contains(&taken.as_millis()), "{taken:?}");
    }
}
