//! The life of a task as a table: which event leads from which state to which, and what becomes visible with it. No I/O, no time.
//!
//! States and their order are those of the ECS developer guide's "task lifecycle"; ACTIVATING and DEACTIVATING belong to
//! services, which are not played here.

use Attachment::{Attached, Deleted, Detaching};
use Event::{
    ContainersEnded, ContainersStarted, InterfaceAttached, InterfaceDeleted, InterfaceReleased, Interrupted,
    PullStarted, PullStopped, StartFailed, StopAsked, StopBegun,
};
use State::{Deprovisioning, Pending, Provisioning, Running, Stopped, Stopping};

/// `lastStatus` of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// The network interface is being made.
    Provisioning,
    /// Waiting for images and containers.
    Pending,
    /// Every container's process was started.
    Running,
    /// SIGTERM was sent, or the exit was noticed.
    Stopping,
    /// The network interface is being removed.
    Deprovisioning,
    /// The end.
    Stopped,
}

/// Something that happens to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    InterfaceAttached,
    PullStarted,
    PullStopped,
    ContainersStarted,
    /// An image or a process could not be had.
    StartFailed,
    /// StopTask was called.
    StopAsked,
    /// Spot gave its notice.
    Interrupted,
    /// ECS begins to stop the task, for whatever reason.
    StopBegun,
    /// The last process has ended.
    ContainersEnded,
    InterfaceReleased,
    InterfaceDeleted,
}

/// `status` of the network interface's attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attachment {
    Precreated,
    Attached,
    Detaching,
    Deleted,
}

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) to: State,
    /// `desiredStatus` is STOPPED from here on.
    pub(crate) stops: bool,
    /// Timestamps that are set.
    pub(crate) stamps: &'static [&'static str],
    pub(crate) attachment: Option<Attachment>,
}

impl State {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

impl Attachment {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Precreated => "PRECREATED",
            Self::Attached => "ATTACHED",
            Self::Detaching => "DETACHING",
            Self::Deleted => "DELETED",
        }
    }
}

const fn step(to: State, stamps: &'static [&'static str], attachment: Option<Attachment>) -> Step {
    Step { to, stops: false, stamps, attachment }
}

const fn stop(to: State, stamps: &'static [&'static str], attachment: Option<Attachment>) -> Step {
    Step { to, stops: true, stamps, attachment }
}

/// Everything that can happen. What is not here changes nothing.
#[rustfmt::skip]
const TABLE: [(State, Event, Step); 17] = [
    (Provisioning,   InterfaceAttached, step(Pending, &["connectivityAt"], Some(Attached))),
    (Provisioning,   StartFailed,       stop(Deprovisioning, &["stoppingAt", "executionStoppedAt"], Some(Detaching))),
    (Provisioning,   StopAsked,         stop(Provisioning, &[], None)),
    (Provisioning,   StopBegun,         stop(Deprovisioning, &["stoppingAt", "executionStoppedAt"], Some(Detaching))),
    (Pending,        PullStarted,       step(Pending, &["pullStartedAt"], None)),
    (Pending,        PullStopped,       step(Pending, &["pullStoppedAt"], None)),
    (Pending,        ContainersStarted, step(Running, &["startedAt"], None)),
    (Pending,        StartFailed,       stop(Deprovisioning, &["stoppingAt", "executionStoppedAt"], Some(Detaching))),
    (Pending,        StopAsked,         stop(Pending, &[], None)),
    (Pending,        StopBegun,         stop(Deprovisioning, &["stoppingAt", "executionStoppedAt"], Some(Detaching))),
    (Running,        StopAsked,         stop(Running, &[], None)),
    // At the notice the task is still RUNNING, but no longer meant to be.
    (Running,        Interrupted,       stop(Running, &[], None)),
    (Running,        ContainersEnded,   step(Running, &["executionStoppedAt"], None)),
    (Running,        StopBegun,         stop(Stopping, &["stoppingAt"], None)),
    (Stopping,       ContainersEnded,   step(Stopping, &["executionStoppedAt"], None)),
    (Stopping,       InterfaceReleased, step(Deprovisioning, &[], Some(Detaching))),
    (Deprovisioning, InterfaceDeleted,  step(Stopped, &["stoppedAt"], Some(Deleted))),
];

/// What the event does in this state; `None` is nothing.
pub(crate) fn after(state: State, event: Event) -> Option<Step> {
    TABLE.iter().find(|(from, on, _)| (*from, *on) == (state, event)).map(|(_, _, step)| *step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// States passed through, timestamps set and the last attachment status.
    fn live(events: &[Event]) -> (Vec<State>, Vec<&'static str>, Attachment, bool) {
        let (mut states, mut stamps, mut attachment, mut stops) =
            (vec![Provisioning], Vec::new(), Attachment::Precreated, false);
        for event in events {
            let from = *states.last().expect("it begins somewhere");
            let Some(step) = after(from, *event) else { continue };
            stamps.extend(step.stamps);
            stops |= step.stops;
            attachment = step.attachment.unwrap_or(attachment);
            if step.to != from {
                states.push(step.to);
            }
        }
        (states, stamps, attachment, stops)
    }

    const START: [Event; 4] = [InterfaceAttached, PullStarted, PullStopped, ContainersStarted];

    #[test]
    fn a_task_that_is_stopped_passes_every_state() {
        let end = [StopAsked, StopBegun, ContainersEnded, InterfaceReleased, InterfaceDeleted];
        let (states, stamps, attachment, stops) = live(&[&START[..], &end].concat());
        assert_eq!(states, [Provisioning, Pending, Running, Stopping, Deprovisioning, Stopped]);
        let order = [
            "connectivityAt",
            "pullStartedAt",
            "pullStoppedAt",
            "startedAt",
            "stoppingAt",
            "executionStoppedAt",
            "stoppedAt",
        ];
        assert_eq!((stamps.as_slice(), attachment, stops), (order.as_slice(), Deleted, true));
    }

    #[test]
    fn a_task_whose_process_exits_stays_running_until_it_is_noticed() {
        let end = [ContainersEnded, StopBegun, InterfaceReleased, InterfaceDeleted];
        let (_, stamps, ..) = live(&[&START[..], &end].concat());
        assert_eq!(stamps[4..], ["executionStoppedAt", "stoppingAt", "stoppedAt"]);
    }

    #[test]
    fn a_task_that_fails_to_start_never_runs() {
        let (states, ..) = live(&[InterfaceAttached, PullStarted, StartFailed, ContainersStarted, InterfaceDeleted]);
        assert_eq!(states, [Provisioning, Pending, Deprovisioning, Stopped]);
    }

    #[test]
    fn every_state_has_a_way_to_stopped_and_none_leads_back() {
        let order = [Provisioning, Pending, Running, Stopping, Deprovisioning, Stopped];
        let rank = |state: State| order.iter().position(|known| *known == state);
        assert!(TABLE.iter().all(|(from, _, step)| rank(step.to) >= rank(*from)));
        for state in &order[..5] {
            assert!(TABLE.iter().any(|(from, _, step)| from == state && rank(step.to) > rank(*state)), "{state:?}");
        }
        assert!(TABLE.iter().all(|(from, ..)| *from != Stopped), "nothing happens to a stopped task");
    }

    #[test]
    fn no_pair_stands_twice() {
        for (index, (state, event, _)) in TABLE.iter().enumerate() {
            assert!(!TABLE[..index].iter().any(|(from, on, _)| (from, on) == (state, event)), "{state:?} {event:?}");
        }
    }
}
