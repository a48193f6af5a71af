//! The way back: ends of operations, collected on the I/O thread, fetched by JavaScript many at a time.

use crate::names::Names;
use memlane_engine::{
    collection::Collection,
    error::Error,
    op::{Completion, CompletionSink, Done},
};
use napi::{
    Status,
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use std::{sync::Arc, time::Duration};

/// Calls `onWake`; it does not hold the process.
pub(crate) type Wake = ThreadsafeFunction<(), (), (), Status, false, true, 0>;

/// Numbers of a record: operation, state, value.
pub(crate) const RECORD_FIELDS: usize = 3;
/// Bytes of a record.
pub(crate) const RECORD: usize = RECORD_FIELDS * 8;

/// What does not fit into a record, by the number of its operation.
pub(crate) type Rest = (u64, Result<Done, Error>);

/// The ends of one attachment's operations, as JavaScript reads them.
pub(crate) struct CompletionQueue(Collection<RECORD, Rest, Wake>);

impl CompletionQueue {
    pub(crate) fn new(wake: Wake) -> Arc<Self> {
        Arc::new(Self(Collection::new(wake)))
    }

    /// Gives `store` the records of at most `most` ends and moves what did not fit into records, of these and later ends, to
    /// `rest`; how many. Arms the wake-up if that was all.
    pub(crate) fn drain(&self, most: usize, store: impl FnOnce(&[u8]), rest: &mut Vec<Rest>) -> usize {
        self.0.drain(most, store, rest)
    }

    /// Blocks until the end of the operation of that number is there; false when `patience` ran out before.
    pub(crate) fn wait(&self, number: u64, patience: Option<Duration>) -> bool {
        self.0.wait(&(number as f64).to_ne_bytes(), patience)
    }

    /// The environment is going: from now on nobody is told.
    pub(crate) fn detach(&self) {
        self.0.detach();
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
        self.0.push(&record, rest.map(|rest| (number, rest)))
    }

    fn wake(&self) {
        if let Some(wake) = self.0.wake() {
            // It refuses only when the environment is closing, and then nobody waits.
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}
