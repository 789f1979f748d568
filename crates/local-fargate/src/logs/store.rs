//! Log groups, their streams and events; in memory, and bounded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

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
    pub(super) events: VecDeque<Event>,
    /// Events that were here before the first one kept.
    pub(super) gone: usize,
    bytes: usize,
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Milliseconds since the epoch; written and taken in at once.
    pub(super) at: i64,
    pub(super) message: String,
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
        found.streams.entry(stream.clone()).or_insert_with(Stream::new);
        Ok(Writer { store: self.clone(), group, stream })
    }
}

impl Group {
    pub(super) fn new() -> Self {
        Self { created: now(), streams: BTreeMap::new() }
    }
}

impl Stream {
    fn new() -> Self {
        Self { created: now(), events: VecDeque::new(), gone: 0, bytes: 0 }
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
        stream.events.push_back(Event { at: now(), message: line.to_owned() });
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
        let refused = store.open(&configuration(false), "c", "t").expect_err("no group");
        assert!(refused.contains("The specified log group does not exist"), "{refused}");
        store.open(&configuration(true), "c", "t").expect("made");
        store.open(&configuration(false), "d", "t").expect("there by now");
        assert_eq!(store.lock()["g"].streams.keys().collect::<Vec<_>>(), ["p/c/t", "p/d/t"]);
    }

    #[test]
    fn the_oldest_events_go_first() {
        let store = Store::default();
        let writer = store.open(&configuration(true), "c", "t").expect("a stream");
        let line = "x".repeat(1024 * 1024);
        (0..10).for_each(|_| writer.push(&line));
        let groups = store.lock();
        let stream = &groups["g"].streams["p/c/t"];
        assert_eq!((stream.events.len(), stream.gone), (7, 3));
    }
}
