//! The way back: ends of operations, collected on the I/O thread, fetched by JavaScript many at a time.

use memlane_engine::op::{Completion, CompletionSink};
use napi::{
    Status,
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// Calls `onWake`; it does not hold the process.
pub(crate) type Wake = ThreadsafeFunction<(), (), (), Status, false, true, 0>;

/// The ends of one attachment's operations.
pub(crate) struct CompletionQueue {
    state: Mutex<State>,
    arrived: Condvar,
}

struct State {
    ended: VecDeque<Completion>,
    /// `None` once the environment is gone: what ends then has nobody to be told to.
    wake: Option<Arc<Wake>>,
    /// Whether the next end must call `onWake`: it was not called since the queue was last found empty.
    armed: bool,
}

impl CompletionQueue {
    pub(crate) fn new(wake: Wake) -> Arc<Self> {
        let state = State {
            ended: VecDeque::new(),
            wake: Some(Arc::new(wake)),
            armed: true,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
        })
    }

    /// Moves at most `most` ends to `into`, and arms the wake-up if that was all.
    pub(crate) fn drain(&self, most: usize, into: &mut Vec<Completion>) {
        let mut state = self.state.lock();
        let count = most.min(state.ended.len());
        into.extend(state.ended.drain(..count));
        state.armed = state.ended.is_empty();
    }

    /// Blocks until the end of operation `id` is there; false when `patience` ran out before.
    pub(crate) fn wait(&self, id: u64, patience: Option<Duration>) -> bool {
        let until = patience.and_then(|patience| Instant::now().checked_add(patience));
        let mut state = self.state.lock();
        let mut seen = 0;
        loop {
            // Only this thread takes ends out, so what was seen stays where it was.
            if state.ended.iter().skip(seen).any(|completion| completion.id == id) {
                return true;
            }
            seen = state.ended.len();
            match until {
                Some(until) => {
                    if self.arrived.wait_until(&mut state, until).timed_out() && state.ended.len() == seen {
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
            state.ended.clear();
            state.wake.take()
        };
        drop(wake);
    }
}

impl CompletionSink for CompletionQueue {
    fn complete(&self, completion: Completion) {
        let mut state = self.state.lock();
        let Some(wake) = &state.wake else { return };
        let wake = state.armed.then(|| Arc::clone(wake));
        state.armed = false;
        state.ended.push_back(completion);
        drop(state);
        self.arrived.notify_all();
        if let Some(wake) = wake {
            // It refuses only when the environment is closing, and then nobody waits.
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}
