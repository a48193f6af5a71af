//! The way back to JavaScript: no end is lost, and whoever fetches them is woken after the last one that it has not seen.

use super::{Bell, explore, explore_within, thread};
use crate::{
    collection::Collection,
    op::{Completion, CompletionSink, Done, Issuer, Telling, Ticket},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// A batch, so small that floods are seen.
const BATCH: usize = 1;

struct Queue(Collection<8, u64, Bell>);

impl CompletionSink for Queue {
    fn complete(&self, completion: Completion) -> bool {
        let rest = completion.result.is_err().then_some(completion.id);
        self.0.push(&completion.id.to_ne_bytes(), rest)
    }

    fn wake(&self) {
        if let Some(bell) = self.0.wake() {
            bell.ring();
        }
    }
}

impl Queue {
    fn new() -> Arc<Self> {
        Arc::new(Self(Collection::new(Bell::default())))
    }

    /// What an I/O thread does that tells one end.
    fn tell(&self, id: u64) {
        let result = Ok(Done::Nothing);
        if self.complete(Completion { id, result }) {
            self.wake();
        }
    }

    /// What JavaScript does when it is woken: batches, until one is not full.
    fn turn(&self, seen: &mut Vec<u64>) {
        let mut rest = Vec::new();
        loop {
            let store = |records: &[u8]| {
                let (records, _) = records.as_chunks::<8>();
                seen.extend(records.iter().map(|record| u64::from_ne_bytes(*record)));
            };
            if self.0.drain(BATCH, store, &mut rest) < BATCH {
                return;
            }
        }
    }

    /// JavaScript's thread, until it has seen so many ends.
    fn fetch(&self, count: usize) {
        let bell = self.0.wake().unwrap();
        let mut seen = Vec::new();
        while seen.len() < count {
            bell.sleep();
            self.turn(&mut seen);
        }
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..count as u64), "{seen:?}");
    }
}

#[test]
fn every_end_is_fetched_once_and_whoever_fetches_is_woken_for_the_last() {
    explore_within(Some(4), || {
        let queue = Queue::new();
        let io = {
            let queue = Arc::clone(&queue);
            thread(move || (0..2).for_each(|id| queue.tell(id)))
        };
        let other = {
            let queue = Arc::clone(&queue);
            thread(move || queue.tell(2))
        };
        queue.fetch(3);
        io.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn ends_that_are_told_together_wake_whoever_fetches_behind_the_last() {
    explore_within(Some(4), || {
        let queue = Queue::new();
        let io = {
            let queue = Arc::clone(&queue);
            thread(move || {
                let issuer = Issuer::local(Arc::clone(&queue) as _);
                let _telling = Telling::begin();
                for id in 0..2 {
                    Ticket::new(Arc::clone(&issuer), id, "model").complete(Ok(Done::Nothing));
                }
            })
        };
        let other = {
            let queue = Arc::clone(&queue);
            thread(move || queue.tell(2))
        };
        queue.fetch(3);
        io.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn a_thread_that_blocks_for_one_end_is_woken_for_it_whatever_comes_before() {
    explore(|| {
        let queue = Queue::new();
        let io: Vec<_> = (0..2)
            .map(|id| {
                let queue = Arc::clone(&queue);
                thread(move || queue.tell(id))
            })
            .collect();
        assert!(queue.0.wait(&1_u64.to_ne_bytes(), None));
        io.into_iter().for_each(|io| io.join().unwrap());
    });
}

#[test]
fn nobody_is_woken_once_the_environment_is_gone() {
    explore(|| {
        let queue = Queue::new();
        let gone = Arc::new(AtomicBool::new(false));
        let io = {
            let (queue, gone) = (Arc::clone(&queue), Arc::clone(&gone));
            thread(move || {
                let was_gone = gone.load(Ordering::Relaxed);
                let result = Ok(Done::Nothing);
                let must_wake = queue.complete(Completion { id: 0, result });
                assert!(!(was_gone && must_wake));
                queue.wake();
            })
        };
        queue.0.detach();
        gone.store(true, Ordering::Relaxed);
        assert!(queue.0.wake().is_none());
        io.join().unwrap();
        assert_eq!(queue.0.drain(9, |_| (), &mut Vec::new()), 0);
    });
}
