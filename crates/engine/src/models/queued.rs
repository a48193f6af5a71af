//! Bytes that wait for a peer: never more than the limit, and all of them given back.

use super::{explore, thread};
use crate::{
    stats::Queue,
    sync::{AtomicU64, Ordering},
};
use std::sync::Arc;

#[test]
fn charges_of_several_threads_never_pass_the_limit_and_come_back_exactly() {
    explore(|| {
        let (queue, held) = (Arc::new(Queue::new(100)), Arc::new(AtomicU64::new(0)));
        let charge = move |queue: &Queue, held: &AtomicU64, bytes: u64| {
            let Ok(charge) = queue.charge(bytes as usize) else {
                return;
            };
            assert!(held.fetch_add(bytes, Ordering::SeqCst) + bytes <= 100);
            held.fetch_sub(bytes, Ordering::SeqCst);
            drop(charge);
        };
        let other = {
            let (queue, held) = (Arc::clone(&queue), Arc::clone(&held));
            thread(move || charge(&queue, &held, 60))
        };
        charge(&queue, &held, 50);
        charge(&queue, &held, 60);
        other.join().unwrap();
        assert!(queue.charge(100).is_ok(), "all of it is free again");
    });
}

#[test]
fn what_an_io_thread_frees_is_room_for_the_next_caller() {
    explore(|| {
        let queue = Arc::new(Queue::new(100));
        let first = queue.charge(100).unwrap();
        let freeing = thread(move || drop(first));
        // It may be too early; it is never too late.
        let early = queue.charge(100);
        freeing.join().unwrap();
        if early.is_err() {
            assert!(queue.charge(100).is_ok());
        } else {
            assert!(queue.charge(1).is_err());
        }
    });
}
