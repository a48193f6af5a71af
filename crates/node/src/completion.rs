//! The way back: ends of operations, collected on the I/O thread, fetched by JavaScript many at a time.

use crate::names::Names;
use memlane_engine::{
    error::Error,
    op::{Completion, CompletionSink, Done},
};
use napi::{
    Status,
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use parking_lot::{Condvar, Mutex};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Calls `onWake`; it does not hold the process.
pub(crate) type Wake = ThreadsafeFunction<(), (), (), Status, false, true, 0>;

/// Numbers of a record: operation, state, value.
pub(crate) const RECORD_FIELDS: usize = 3;
/// Bytes of a record.
pub(crate) const RECORD: usize = RECORD_FIELDS * 8;

/// What does not fit into a record, by the number of its operation.
pub(crate) type Rest = (u64, Result<Done, Error>);

/// The ends of one attachment's operations.
pub(crate) struct CompletionQueue {
    state: Mutex<State>,
    arrived: Condvar,
}

struct State {
    /// As JavaScript reads them. Those before `taken` were drained.
    records: Vec<u8>,
    taken: usize,
    rest: Vec<Rest>,
    /// `None` once the environment is gone: what ends then has nobody to be told to.
    wake: Option<Arc<Wake>>,
    /// Whether the next end must call `onWake`: it was not called since the queue was last found empty.
    armed: bool,
}

impl State {
    fn has(&self, number: u64, from: usize) -> bool {
        let (records, _) = self.records[from..].as_chunks::<RECORD>();
        let number = (number as f64).to_ne_bytes();
        records.iter().any(|record| record.starts_with(&number))
    }
}

impl CompletionQueue {
    pub(crate) fn new(wake: Wake) -> Arc<Self> {
        let state = State {
            records: Vec::new(),
            taken: 0,
            rest: Vec::new(),
            wake: Some(Arc::new(wake)),
            armed: true,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
        })
    }

    /// Gives `store` the records of at most `most` ends and moves what did not fit into records, of these and later ends, to
    /// `rest`; how many. Arms the wake-up if that was all.
    pub(crate) fn drain(&self, most: usize, store: impl FnOnce(&[u8]), rest: &mut Vec<Rest>) -> usize {
        let mut state = self.state.lock();
        let end = state.records.len().min(state.taken + most * RECORD);
        let drained = &state.records[state.taken..end];
        let count = drained.len() / RECORD;
        store(drained);
        rest.append(&mut state.rest);
        state.taken = end;
        state.armed = end == state.records.len();
        if state.taken * 2 >= state.records.len() {
            // What is left is no longer than what was taken: nothing is moved twice but seldom.
            let taken = std::mem::take(&mut state.taken);
            state.records.drain(..taken);
        }
        count
    }

    /// Blocks until the end of the operation of that number is there; false when `patience` ran out before.
    pub(crate) fn wait(&self, number: u64, patience: Option<Duration>) -> bool {
        let until = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mut state = self.state.lock();
        let mut seen = state.taken;
        loop {
            // Only this thread takes ends out, so what was seen stays where it was.
            if state.has(number, seen) {
                return true;
            }
            seen = state.records.len();
            match until {
                Some(until) => {
                    if self.arrived.wait_until(&mut state, until).timed_out() && state.records.len() == seen {
                        return false;
                    }
                }
                None => self.arrived.wait(&mut state),
            }
        }
    }

    /// The environment is going: from now on nobody is told.
    pub(crate) fn detach(&self) {
        let wake = {
            let mut state = self.state.lock();
            state.records.clear();
            state.taken = 0;
            state.rest.clear();
            state.wake.take()
        };
        drop(wake);
    }
}

impl CompletionSink for CompletionQueue {
    fn complete(&self, completion: Completion) -> bool {
        let number = Names::number(completion.id);
        let (kind, value, rest) = match completion.result {
            Ok(Done::Nothing) => (0.0, 0, None),
            Ok(Done::Bytes(bytes)) => (0.0, bytes, None),
            Ok(Done::Message(message)) => (1.0, message.bytes, Some(Ok(Done::Message(message)))),
            Ok(done) => (1.0, 0, Some(Ok(done))),
            Err(error) => (2.0, 0, Some(Err(error))),
        };
        let mut record = [0; RECORD];
        for (field, number) in record.chunks_exact_mut(8).zip([number as f64, kind, value as f64]) {
            field.copy_from_slice(&number.to_ne_bytes());
        }
        let mut state = self.state.lock();
        if state.wake.is_none() {
            return false;
        }
        state.records.extend_from_slice(&record);
        if let Some(rest) = rest {
            state.rest.push((number, rest));
        }
        let must_wake = std::mem::take(&mut state.armed);
        drop(state);
        // A blocked thread looks for one operation, which the next end may be.
        self.arrived.notify_all();
        must_wake
    }

    fn wake(&self) {
        let wake = self.state.lock().wake.clone();
        if let Some(wake) = wake {
            // It refuses only when the environment is closing, and then nobody waits.
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}
