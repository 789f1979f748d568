//! Log groups, their streams and events; in memory, and bounded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::definition::LogConfiguration;

/// Bytes kept of one stream; the oldest events go first.
const STREAM_MAX: usize = 8 * 1024 * 1024;
/// What an event costs beside its message: the service's own figure (CloudWatch Logs API reference, PutLogEvents).
const EVENT_COST: usize = 26;

/// Everything that was logged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store(Arc<Mutex<BTreeMap<String, Group>>>);

/// A log group.
#[derive(Debug)]
pub(super) struct Group {
    /// Milliseconds since the epoch.
    pub(super) created: i64,
    pub(super) streams: BTreeMap<String, Stream>,
}

/// A log stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) created: i64,
    /// In the order in which they were written, and so in that in which they are taken in.
    events: VecDeque<Event>,
    /// Events that were here before the first one kept.
    pub(super) gone: usize,
    bytes: usize,
    delay: Delay,
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// When it was written, in milliseconds since the epoch.
    pub(super) at: i64,
    /// When the service has it, in the same measure; nobody reads it before.
    pub(super) taken_in: i64,
    pub(super) message: String,
}

/// How late the service is told of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delay {
    /// What is written between two ticks is sent with the second one; the ticks count from the stream's creation. Zero sends at once.
    pub(crate) batch: Duration,
    /// From then until it can be read.
    pub(crate) ingestion: Duration,
}

/// The one writer of a stream.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    store: Store,
    group: String,
    stream: String,
}

impl Store {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Group>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the stream that a container's `awslogs` configuration names, or tells the stopped reason of its task.
    pub(crate) fn open(
        &self,
        configuration: &LogConfiguration,
        container: &str,
        task_id: &str,
        delay: Delay,
    ) -> Result<Writer, String> {
        let option = |name: &str| configuration.options.get(name).map(String::as_str).unwrap_or_default();
        let group = option("awslogs-group").to_owned();
        let stream = format!("{}/{container}/{task_id}", option("awslogs-stream-prefix"));
        let mut groups = self.lock();
        if option("awslogs-create-group") == "true" {
            groups.entry(group.clone()).or_insert_with(Group::new);
        }
        let found = groups.get_mut(&group).ok_or_else(|| {
            "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: \
             failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1"
                .to_owned()
        })?;
        found.streams.entry(stream.clone()).or_insert_with(|| Stream::new(delay));
        Ok(Writer { store: self.clone(), group, stream })
    }
}

impl Group {
    pub(super) fn new() -> Self {
        Self { created: now(), streams: BTreeMap::new() }
    }
}

impl Stream {
    fn new(delay: Delay) -> Self {
        Self { created: now(), events: VecDeque::new(), gone: 0, bytes: 0, delay }
    }

    /// The events that can be read by now, in order.
    pub(super) fn told(&self) -> impl DoubleEndedIterator<Item = &Event> + ExactSizeIterator {
        let now = now();
        self.events.range(..self.events.partition_point(|event| event.taken_in <= now))
    }
}

impl Delay {
    /// When a line is taken in that was written at `at` into a stream of `created`, all in milliseconds since the epoch.
    fn taken_in(self, created: i64, at: i64) -> i64 {
        let milliseconds = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let batch = milliseconds(self.batch);
        // From one tick, which the line has missed, to the next.
        let wait = if batch == 0 { 0 } else { batch - (at - created).rem_euclid(batch) };
        at.saturating_add(wait).saturating_add(milliseconds(self.ingestion))
    }
}

impl Writer {
    /// Adds a line; a stream whose group was deleted takes none.
    pub(crate) fn push(&self, line: &str) {
        // The service has no empty events.
        if line.is_empty() {
            return;
        }
        let mut groups = self.store.lock();
        let Some(stream) = groups.get_mut(&self.group).and_then(|group| group.streams.get_mut(&self.stream)) else {
            return;
        };
        stream.bytes += line.len() + EVENT_COST;
        // A clock that is set back does not mix up the order.
        let at = now().max(stream.events.back().map_or(i64::MIN, |last| last.at));
        let taken_in = stream.delay.taken_in(stream.created, at);
        stream.events.push_back(Event { at, taken_in, message: line.to_owned() });
        while stream.bytes > STREAM_MAX {
            let Some(oldest) = stream.events.pop_front() else { break };
            stream.bytes -= oldest.message.len() + EVENT_COST;
            stream.gone += 1;
        }
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(create: bool) -> LogConfiguration {
        let options = [("awslogs-group", "g"), ("awslogs-stream-prefix", "p")];
        let mut options: BTreeMap<_, _> = options.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        if create {
            options.insert("awslogs-create-group".to_owned(), "true".to_owned());
        }
        LogConfiguration { log_driver: "awslogs".to_owned(), options }
    }

    #[test]
    fn a_group_must_be_there_or_be_asked_for() {
        let store = Store::default();
        let refused = store.open(&configuration(false), "c", "t", Delay::default()).expect_err("no group");
        assert!(refused.contains("The specified log group does not exist"), "{refused}");
        store.open(&configuration(true), "c", "t", Delay::default()).expect("made");
        store.open(&configuration(false), "d", "t", Delay::default()).expect("there by now");
        assert_eq!(store.lock()["g"].streams.keys().collect::<Vec<_>>(), ["p/c/t", "p/d/t"]);
    }

    #[test]
    fn the_oldest_events_go_first() {
        let store = Store::default();
        let writer = store.open(&configuration(true), "c", "t", Delay::default()).expect("a stream");
        let line = "x".repeat(1024 * 1024);
        (0..10).for_each(|_| writer.push(&line));
        let groups = store.lock();
        let stream = &groups["g"].streams["p/c/t"];
        assert_eq!((stream.told().len(), stream.gone), (7, 3));
    }

    #[test]
    fn a_line_is_read_when_its_batch_has_been_taken_in() {
        let delay = Delay { batch: Duration::from_secs(5), ingestion: Duration::from_millis(700) };
        assert_eq!([1000, 1001, 5999, 6000].map(|at| delay.taken_in(1000, at)), [6700, 6700, 6700, 11_700]);
        assert_eq!(Delay::default().taken_in(1000, 1234), 1234);
    }

    #[test]
    fn what_is_on_its_way_is_not_told() {
        let store = Store::default();
        let delay = Delay { ingestion: Duration::from_secs(3600), ..Delay::default() };
        store.open(&configuration(true), "c", "t", delay).expect("a stream").push("late");
        store.open(&configuration(true), "c", "u", Delay::default()).expect("a stream").push("at once");
        let groups = store.lock();
        let told = |stream: &str| groups["g"].streams[stream].told().map(|event| &*event.message).collect::<Vec<_>>();
        assert_eq!((told("p/c/t"), told("p/c/u")), (vec![], vec!["at once"]));
    }
}
