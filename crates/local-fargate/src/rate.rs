//! How many calls an account may make: ECS's token buckets, one for each kind of action in a region.

use tokio::time::Instant;

/// Actions that share a bucket, its size, and what comes back each second (Amazon ECS API reference, "Request throttling").
#[rustfmt::skip]
const BUCKETS: [(&[&str], u32, u32); 6] = [
    (&["RunTask", "StopTask"],                               100, 40),
    (&["DescribeTasks", "ListTasks"],                        100, 20),
    (&["DescribeServices", "ListServices"],                  100, 20),
    (&["DescribeTaskDefinition", "ListTaskDefinitions"],      50, 20),
    (&["RegisterTaskDefinition", "DeregisterTaskDefinition"], 20,  1),
    (&["DescribeClusters", "ListClusters"],                   50, 20),
];

/// What was taken out of each bucket, and when that was looked at last.
#[derive(Debug, Default)]
pub(crate) struct Buckets([Option<(f64, Instant)>; BUCKETS.len()]);

impl Buckets {
    /// Takes a token for a call; `false` if there is none. Actions without a bucket always have one.
    pub(crate) fn take(&mut self, action: &str, now: Instant) -> bool {
        let found = BUCKETS.iter().zip(&mut self.0).find(|((actions, ..), _)| actions.contains(&action));
        let Some(((_, size, per_second), state)) = found else { return true };
        let (missing, since) = state.unwrap_or((0.0, now));
        let missing = (missing - (now - since).as_secs_f64() * f64::from(*per_second)).max(0.0);
        let has_one = missing + 1.0 <= f64::from(*size);
        *state = Some((if has_one { missing + 1.0 } else { missing }, now));
        has_one
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_is_emptied_at_once_and_filled_by_the_second() {
        let (mut buckets, begin) = (Buckets::default(), Instant::now());
        let mut calls = |action: &str, at: Instant| (0..200).filter(|_| buckets.take(action, at)).count();
        assert_eq!(calls("ListTasks", begin), 100);
        assert_eq!(calls("DescribeTasks", begin), 0, "the same bucket");
        assert_eq!(calls("DescribeServices", begin), 100, "another one");
        assert_eq!(calls("ListTasks", begin + Duration::from_secs(2)), 40);
        assert_eq!(calls("ListTasks", begin + Duration::from_secs(60)), 100, "never more than its size");
        assert_eq!(calls("ExecuteCommand", begin), 200, "no bucket");
    }
}
