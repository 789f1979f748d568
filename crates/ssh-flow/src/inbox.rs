//! What has arrived on one channel and waits for its reader, in the order of the wire.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use russh::{ChannelMsg, Sig};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use crate::channel::FlowError;
use crate::credit::{Ledger, cost};
use crate::link::Link;
use crate::overflow::{Overflow, record_len};
use crate::settings::{WAITING_REQUESTS, WAITING_REQUESTS_BYTES};

/// One channel's queue. The pump puts in, the receiver takes out.
#[derive(Debug)]
pub(crate) struct Inbox {
    link: Link,
    /// Whether the peer is one without credit.
    is_foreign: bool,
    state: Mutex<State>,
    arrived: Notify,
    /// The reader has taken something, or has gone.
    taken: Notify,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Waiting>,
    /// Cost of the data in `queue`.
    memory: u64,
    /// Messages in `queue` that are not data, and the bytes that their peer chose in them.
    requests: usize,
    requests_bytes: usize,
    /// Present towards a peer with credit.
    ledger: Option<Ledger>,
    overflow: Option<Overflow>,
    /// Nothing was taken when it was waited for, nor since.
    stalled: bool,
    /// The pump is writing a record that is not counted yet: the file must stay.
    spilling: bool,
    reader_gone: bool,
    ended: bool,
    failure: Option<FlowError>,
}

#[derive(Debug)]
enum Waiting {
    Message(ChannelMsg),
    /// So many records of the overflow file.
    Spilled(u64),
}

/// What a reader finds.
#[derive(Debug)]
pub(crate) enum Next {
    /// A message; with `due`, credit can be granted again.
    Message { message: ChannelMsg, due: bool },
    /// Up to `records` messages that must be read back.
    Spilled { overflow: Overflow, records: u64 },
    /// Nothing yet.
    Nothing,
    /// The channel has ended and everything was taken.
    End(Option<FlowError>),
}

impl Inbox {
    pub(crate) fn new(link: Link, ledger: Option<Ledger>) -> Self {
        let is_foreign = ledger.is_none();
        let state = State {
            queue: VecDeque::new(),
            memory: 0,
            requests: 0,
            requests_bytes: 0,
            ledger,
            overflow: None,
            stalled: false,
            spilling: false,
            reader_gone: false,
            ended: false,
            failure: None,
        };
        Self { link, is_foreign, state: Mutex::new(state), arrived: Notify::new(), taken: Notify::new() }
    }

    /// Puts data in; `code` is that of extended data. Towards a foreign peer it may have to write to the overflow file first.
    ///
    /// # Errors
    /// [`FlowError`] when the peer exceeds its credit or the overflow limit, or the file fails: the channel must end.
    pub(crate) async fn put_data(&self, code: Option<u32>, data: Bytes) -> Result<(), FlowError> {
        let patience = self.link.patience();
        if self.is_foreign {
            patience.earn(data.len());
        }
        // Refused, it is a foreign peer's, and nothing has been counted.
        while !self.put_in_memory(code, &data)? {
            let taken = self.is_being_read() && patience.wait(&self.taken).await;
            if !taken {
                self.lock().stalled = true;
                return self.spill(code, data).await;
            }
        }
        Ok(())
    }

    /// Puts a message in that is not data.
    ///
    /// # Errors
    /// [`FlowError::Requests`] when too many of them wait.
    pub(crate) fn put_request(&self, message: ChannelMsg) -> Result<(), FlowError> {
        let mut state = self.lock();
        if state.reader_gone {
            return Ok(());
        }
        let bytes = state.requests_bytes + weight(&message);
        if state.requests >= WAITING_REQUESTS || bytes > WAITING_REQUESTS_BYTES {
            return Err(FlowError::Requests { limit: WAITING_REQUESTS });
        }
        state.requests += 1;
        state.requests_bytes = bytes;
        state.queue.push_back(Waiting::Message(message));
        self.arrived.notify_one();
        Ok(())
    }

    /// Says that nothing more arrives. The reader takes what waits, then learns `failure`.
    pub(crate) fn end(&self, failure: Option<FlowError>) {
        let mut state = self.lock();
        if !state.ended {
            state.ended = true;
            state.failure = failure;
        }
        if let Some(ledger) = &mut state.ledger {
            ledger.release(self.link.budget());
        }
        self.arrived.notify_one();
    }

    /// Takes the next message out, or says what to wait for.
    pub(crate) fn next(&self) -> Next {
        let mut state = self.lock();
        match state.queue.pop_front() {
            None if state.ended => Next::End(state.failure.take()),
            None => Next::Nothing,
            Some(Waiting::Message(message)) => {
                let due = self.count_taken(&mut state, &message);
                Next::Message { message, due }
            }
            Some(Waiting::Spilled(records)) => {
                state.queue.push_front(Waiting::Spilled(records));
                match state.overflow.clone() {
                    Some(overflow) => Next::Spilled { overflow, records },
                    // Records are queued only after the file took them, and it goes only when they are read.
                    None => Next::End(Some(FlowError::Closed)),
                }
            }
        }
    }

    /// Counts `records` messages of `bytes` in all as read back.
    pub(crate) fn took_spilled(&self, records: u64, bytes: u64) {
        let mut state = self.lock();
        if let Some(Waiting::Spilled(left)) = state.queue.front_mut() {
            *left = left.saturating_sub(records);
            if *left == 0 {
                state.queue.pop_front();
            }
        }
        self.link.note_unspilled(bytes);
        state.stalled = false;
        self.taken.notify_one();
        if let Some(overflow) = &mut state.overflow {
            overflow.advance_read(bytes);
            if overflow.is_drained() && !state.spilling {
                release(state.overflow.take());
            }
        }
    }

    /// Waits until there may be something to take.
    pub(crate) async fn arrival(&self) {
        self.arrived.notified().await;
    }

    /// Credit to send to the peer now, already booked as granted.
    pub(crate) fn grant(&self) -> Option<u32> {
        let mut state = self.lock();
        if state.ended {
            return None;
        }
        state.ledger.as_mut()?.grant(self.link.budget())
    }

    /// Drops what waits and will come: nobody reads any more. Its credit is due at once.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.reader_gone = true;
        self.discard(&mut state);
        self.taken.notify_one();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().reader_gone
    }

    /// Whether a reader who is only out of step would make room: one who has taken everything waits for the others' room, and one who
    /// stands still is not waited for again.
    fn is_being_read(&self) -> bool {
        let state = self.lock();
        !state.stalled && !state.queue.is_empty()
    }

    /// Answers whether the data is settled; if not, it belongs in the overflow file.
    fn put_in_memory(&self, code: Option<u32>, data: &Bytes) -> Result<bool, FlowError> {
        let cost = cost(data.len());
        let mut state = self.lock();
        if let Some(ledger) = &mut state.ledger {
            ledger.arrive(cost).map_err(|excess| FlowError::Overrun { excess })?;
        }
        if state.reader_gone {
            if let Some(ledger) = &mut state.ledger {
                ledger.take(cost);
            }
            return Ok(true);
        }
        let tuning = self.link.tuning();
        if self.is_foreign
            && (state.memory + cost > tuning.memory || self.link.usage().queued + cost > tuning.memory_budget)
        {
            return Ok(false);
        }
        state.memory += cost;
        self.link.note_queued(cost);
        let data = data.clone();
        state.queue.push_back(Waiting::Message(match code {
            None => ChannelMsg::Data { data },
            Some(ext) => ChannelMsg::ExtendedData { data, ext },
        }));
        self.arrived.notify_one();
        Ok(true)
    }

    async fn spill(&self, code: Option<u32>, data: Bytes) -> Result<(), FlowError> {
        let limit = self.link.tuning().overflow;
        let open = {
            let mut state = self.lock();
            state.spilling = true;
            state.overflow.clone()
        };
        let len = data.len();
        let written = spawn_blocking(move || {
            let overflow = open.map_or_else(|| Overflow::create(limit), Ok)?;
            if !overflow.fits(len) {
                return Ok(None);
            }
            overflow.write(code, &data)?;
            Ok(Some(overflow))
        });
        let written = written.await.unwrap_or_else(|lost| Err(std::io::Error::other(lost)));
        let mut state = self.lock();
        state.spilling = false;
        let used = written.map_err(FlowError::OverflowFile)?.ok_or(FlowError::Overflow { limit })?;
        if state.reader_gone {
            release(Some(used));
            return Ok(());
        }
        state.overflow.get_or_insert(used).advance_written(len);
        self.link.note_spilled(record_len(len));
        if let Some(Waiting::Spilled(records)) = state.queue.back_mut() {
            *records += 1;
        } else {
            state.queue.push_back(Waiting::Spilled(1));
        }
        self.arrived.notify_one();
        Ok(())
    }

    fn count_taken(&self, state: &mut State, message: &ChannelMsg) -> bool {
        let (ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) = message else {
            state.requests = state.requests.saturating_sub(1);
            state.requests_bytes = state.requests_bytes.saturating_sub(weight(message));
            return false;
        };
        let cost = cost(data.len());
        state.memory = state.memory.saturating_sub(cost);
        self.link.note_unqueued(cost);
        state.stalled = false;
        self.taken.notify_one();
        state.ledger.as_mut().is_some_and(|ledger| ledger.take(cost))
    }

    fn discard(&self, state: &mut State) {
        state.queue.clear();
        state.requests = 0;
        state.requests_bytes = 0;
        let memory = std::mem::take(&mut state.memory);
        self.link.note_unqueued(memory);
        if let Some(ledger) = &mut state.ledger {
            ledger.take(memory);
        }
        if let Some(overflow) = state.overflow.take() {
            self.link.note_unspilled(overflow.backlog());
            release(Some(overflow));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that the peer chose in a message that is not data.
fn weight(message: &ChannelMsg) -> usize {
    match message {
        ChannelMsg::RequestPty { term, terminal_modes, .. } => term.len() + size_of_val(terminal_modes.as_slice()),
        ChannelMsg::Exec { command, .. } => command.len(),
        ChannelMsg::Signal { signal: Sig::Custom(name) } | ChannelMsg::RequestSubsystem { name, .. } => name.len(),
        ChannelMsg::RequestX11 { x11_authentication_protocol, x11_authentication_cookie, .. } => {
            x11_authentication_protocol.len() + x11_authentication_cookie.len()
        }
        ChannelMsg::SetEnv { variable_name, variable_value, .. } => variable_name.len() + variable_value.len(),
        ChannelMsg::ExitSignal { error_message, lang_tag, .. } => error_message.len() + lang_tag.len(),
        _ => 0,
    }
}

/// Closes an overflow file away from the runtime: freeing gigabytes takes a while.
fn release(overflow: Option<Overflow>) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn_blocking(move || drop(overflow));
    }
}
