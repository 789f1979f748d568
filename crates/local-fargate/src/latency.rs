//! How long each part of a task's life takes beyond what its work takes.

use std::time::Duration;

use crate::config::Latency;
use crate::draw::Draw;
use crate::logs::Delay;

/// One task's share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Phases {
    /// From RunTask until DescribeTasks knows the task.
    pub(crate) missing: Duration,
    /// Until the network interface is attached.
    pub(crate) provisioning: Duration,
    /// From then until EC2 shows the public address.
    pub(crate) association: Duration,
    /// From then until the pull begins.
    pub(crate) pending: Duration,
    pub(crate) pull: Duration,
    /// From the end of the pull until the containers start.
    pub(crate) start: Duration,
    /// From a container's start until the agent in it is connected.
    pub(crate) agent: Duration,
    /// From the end of the last process until ECS acts on it.
    pub(crate) noticing: Duration,
    /// From then until the network interface is being removed.
    pub(crate) stopping: Duration,
    pub(crate) deprovisioning: Duration,
    /// How late CloudWatch Logs is told what containers write.
    pub(crate) logs: Delay,
}

impl Phases {
    pub(crate) fn draw(latency: Latency, draw: &mut Draw) -> Self {
        match latency {
            Latency::Instant => Self::instant(),
            Latency::Fargate => Self::fargate(draw),
            Latency::Scaled { percent } => Self::fargate(draw).scaled(percent),
        }
    }

    /// Long enough for a client that polls without pause to meet each state, short for one that does not.
    fn instant() -> Self {
        let short = Duration::from_millis(5);
        Self {
            missing: Duration::from_millis(50),
            provisioning: short,
            association: 2 * short,
            pending: short,
            pull: short,
            agent: 10 * short,
            deprovisioning: short,
            ..Self::default()
        }
    }

    /// Ranges of the samples in which AWS published real timestamps of small images: 3 to 18 s to the attachment, 10 to 24 s to
    /// the pull, 19 to 29 s to RUNNING; 10 s from the exit to `stoppingAt`, 13 s more to `stoppedAt`. Field reports see
    /// MISSING for about a second. Docker's `awslogs` driver sends what it has every 5 s; that CloudWatch Logs shows it a second or two
    /// later is an estimate after published ingestion times of "several seconds" in all.
    fn fargate(draw: &mut Draw) -> Self {
        Self {
            missing: draw.seconds(0.3, 1.2),
            provisioning: draw.seconds(3.2, 10.0),
            association: draw.seconds(0.2, 1.5),
            pending: draw.seconds(6.0, 12.0),
            pull: draw.seconds(1.6, 4.0),
            start: draw.seconds(0.5, 1.5),
            agent: draw.seconds(3.0, 12.0),
            noticing: draw.seconds(8.0, 11.0),
            stopping: draw.seconds(0.5, 1.5),
            deprovisioning: draw.seconds(10.0, 12.5),
            logs: Delay { batch: Duration::from_secs(5), ingestion: draw.seconds(0.5, 2.0) },
        }
    }

    fn scaled(self, percent: u32) -> Self {
        let scale = |duration: Duration| duration * percent / 100;
        Self {
            missing: scale(self.missing),
            provisioning: scale(self.provisioning),
            association: scale(self.association),
            pending: scale(self.pending),
            pull: scale(self.pull),
            start: scale(self.start),
            agent: scale(self.agent),
            noticing: scale(self.noticing),
            stopping: scale(self.stopping),
            deprovisioning: scale(self.deprovisioning),
            logs: Delay { batch: scale(self.logs.batch), ingestion: scale(self.logs.ingestion) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fargate_takes_as_long_as_the_samples() {
        for index in 0..100 {
            let phases = Phases::draw(Latency::Fargate, &mut Draw::new(1, index));
            let until_running = phases.provisioning + phases.association + phases.pending + phases.pull + phases.start;
            assert!((11..=30).contains(&until_running.as_secs()), "{until_running:?}");
            let until_stopped = phases.noticing + phases.stopping + phases.deprovisioning;
            assert!((18..=33).contains(&until_stopped.as_secs()), "{until_stopped:?}");
        }
    }

    #[test]
    fn scaling_keeps_the_proportions() {
        let full = Phases::draw(Latency::Fargate, &mut Draw::new(1, 1));
        let tenth = Phases::draw(Latency::Scaled { percent: 10 }, &mut Draw::new(1, 1));
        assert_eq!(tenth.pull, full.pull / 10);
        assert_eq!(tenth.logs.batch, full.logs.batch / 10);
        assert_eq!(Phases::draw(Latency::Scaled { percent: 100 }, &mut Draw::new(1, 1)), full);
    }
}
