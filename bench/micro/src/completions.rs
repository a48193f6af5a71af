//! The queue of ends between the engine and JavaScript: the binding's own file, with a wake-up that only counts.

use crate::{Path, Steps};
use memlane_engine::op::{Completion, CompletionSink, Done};
use std::{hint::black_box, sync::Arc};

#[path = "../../../crates/node/src/completion.rs"]
#[allow(dead_code, reason = "what the binding has beside the way of an end is not measured")]
mod completion;

use completion::CompletionQueue;

/// What `completion.rs` wants of the crate of that name.
pub(crate) mod napi {
    /// What a call of JavaScript comes to.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Status;

    /// Functions that any thread may call.
    pub mod threadsafe_function {
        use std::{
            marker::PhantomData,
            sync::atomic::{AtomicU64, Ordering},
        };

        /// Whether a call waits for room.
        #[derive(Clone, Copy, Debug)]
        pub enum ThreadsafeFunctionCallMode {
            /// It does not.
            NonBlocking,
        }

        /// Counts its calls.
        #[derive(Debug, Default)]
        pub struct ThreadsafeFunction<T, R, A, S, const CALLEE_HANDLED: bool, const WEAK: bool, const MOST: usize> {
            calls: AtomicU64,
            types: PhantomData<fn(T, R, A, S)>,
        }

        impl<T, R, A, S, const CALLEE_HANDLED: bool, const WEAK: bool, const MOST: usize>
            ThreadsafeFunction<T, R, A, S, CALLEE_HANDLED, WEAK, MOST>
        {
            /// Counts one more.
            pub fn call(&self, value: T, mode: ThreadsafeFunctionCallMode) {
                let _ = (value, mode);
                self.calls.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

pub(crate) fn paths() -> Vec<Path> {
    [1, 256, 1024]
        .map(|count| {
            Path::new(
                format!("completions: push and drain {count}"),
                count * ROUNDS,
                move || Queue::of(count),
            )
        })
        .into()
}

const ROUNDS: u64 = 8;

struct Queue {
    count: u64,
    queue: Arc<CompletionQueue>,
    fetched: usize,
    rest: Vec<completion::Rest>,
}

impl Queue {
    fn of(count: u64) -> Self {
        Self {
            count,
            queue: CompletionQueue::new(Default::default()),
            fetched: 0,
            rest: Vec::new(),
        }
    }
}

impl Steps for Queue {
    fn run(&mut self) {
        for _ in 0..ROUNDS {
            for id in 0..self.count {
                let result = Ok(Done::Bytes(64));
                if self.queue.complete(black_box(Completion { id, result })) {
                    self.queue.wake();
                }
            }
            let store = |records: &[u8]| self.fetched = black_box(records).len() / completion::RECORD;
            let drained = self.queue.drain(1024, store, &mut self.rest);
            assert_eq!((drained, self.fetched), (self.count as usize, drained));
        }
    }
}
