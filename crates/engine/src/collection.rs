//! Records that many threads push and one fetches many at a time, woken once for as many as there are.

use crate::sync::{Condvar, Mutex};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Records of `RECORD` bytes, each with what does not fit into it, if anything: `R`. `W` is what its owner is woken by.
pub struct Collection<const RECORD: usize, R, W> {
    state: Mutex<State<R, W>>,
    arrived: Condvar,
}

struct State<R, W> {
    /// One behind the other. Those before `taken` were drained.
    records: Vec<u8>,
    taken: usize,
    rest: Vec<R>,
    /// `None` once the owner is gone: what is pushed then has nobody to be told to.
    wake: Option<Arc<W>>,
    /// Whether the next record must wake the owner: nothing has since the collection was last found empty.
    armed: bool,
}

impl<const RECORD: usize, R, W> Collection<RECORD, R, W> {
    /// An empty one.
    pub fn new(wake: W) -> Self {
        let state = State {
            records: Vec::new(),
            taken: 0,
            rest: Vec::new(),
            wake: Some(Arc::new(wake)),
            armed: true,
        };
        Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
        }
    }

    /// Adds a record; whether its owner has to be woken for it, by what [`Collection::wake`] gives.
    pub fn push(&self, record: &[u8; RECORD], rest: Option<R>) -> bool {
        let mut state = self.state.lock();
        if state.wake.is_none() {
            return false;
        }
        state.records.extend_from_slice(record);
        if let Some(rest) = rest {
            state.rest.push(rest);
        }
        let must_wake = std::mem::take(&mut state.armed);
        drop(state);
        // A blocked thread looks for one record, which the next may be.
        self.arrived.notify_all();
        must_wake
    }

    /// What the owner is woken by; `None` once it is gone.
    pub fn wake(&self) -> Option<Arc<W>> {
        self.state.lock().wake.clone()
    }

    /// Gives `store` at most `most` records and moves what did not fit into records, of these and later ones, to `rest`; how
    /// many records. Arms the wake-up if that was all.
    pub fn drain(&self, most: usize, store: impl FnOnce(&[u8]), rest: &mut Vec<R>) -> usize {
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

    /// Blocks until a record that begins with `head` is there; false when `patience` ran out before.
    pub fn wait(&self, head: &[u8], patience: Option<Duration>) -> bool {
        let until = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mut state = self.state.lock();
        let mut seen = state.taken;
        loop {
            // Only this thread takes records out, so what was seen stays where it was.
            let (records, _) = state.records[seen..].as_chunks::<RECORD>();
            if records.iter().any(|record| record.starts_with(head)) {
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

    /// The owner is going: from now on nobody is told.
    pub fn detach(&self) {
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
