//! Bytes that wait for a peer in private copies: bounded, and given back when a copy is freed.

use crate::{
    error::Error,
    sync::{AtomicU64, Ordering},
};
use parking_lot::Mutex;

/// What one peer may have queued, and has. What callers write and what I/O threads write are on cache
/// lines of their own, and not in one pair, which processors fetch together.
#[derive(Debug, Default)]
#[repr(C)]
struct Room {
    taken: AtomicU64,
    /// Of `freed`, as far as a caller had to look.
    seen: AtomicU64,
    most: AtomicU64,
    freed: Freed,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Freed(AtomicU64);

/// Rooms of a model live as long as one order of it.
const IN_A_MODEL: bool = cfg!(memlane_loom);

/// Rooms that no peer has. They are never freed, but used again: so a charge holds one without counting references, which
/// callers and I/O threads would take from each other for every small operation.
static SPARE: Mutex<Vec<&'static Room>> = Mutex::new(Vec::new());

/// The bytes that wait for one peer.
#[derive(Debug)]
pub(crate) struct Queue(&'static Room);

/// So many of them; given back when dropped, which is when the memory that holds them is freed.
#[derive(Debug)]
pub(crate) struct Charge {
    room: &'static Room,
    bytes: u64,
}

impl Room {
    fn has_room(&self, queued: u64, bytes: u64) -> bool {
        queued == 0 || bytes == 0 || bytes <= self.most.load(Ordering::Relaxed).saturating_sub(queued)
    }

    fn queued(&self) -> u64 {
        let freed = self.freed.0.load(Ordering::Acquire);
        self.taken.load(Ordering::Relaxed).saturating_sub(freed)
    }
}

impl Queue {
    /// One of at most so many bytes.
    pub(crate) fn new(most: u64) -> Self {
        let mut spare = SPARE.lock();
        // A charge may outlive its peer by a moment.
        let quiet = spare.iter().position(|room| !IN_A_MODEL && room.queued() == 0);
        let room = match quiet {
            Some(place) => spare.swap_remove(place),
            None => Box::leak(Box::default()),
        };
        room.most.store(most, Ordering::Relaxed);
        Self(room)
    }

    /// Room for a private copy of so many bytes. What is larger than the limit has room when nothing else is queued.
    ///
    /// # Errors
    /// `ERR_LIMIT` when there is no room now.
    pub(crate) fn charge(&self, bytes: usize) -> Result<Charge, Error> {
        let (room, bytes) = (self.0, bytes as u64);
        let mut taken = room.taken.load(Ordering::Relaxed);
        loop {
            // What was freed is written by I/O threads: it is looked at only when there seems to be no room.
            let seen = room.seen.load(Ordering::Relaxed);
            if !room.has_room(taken.saturating_sub(seen), bytes) {
                let freed = room.freed.0.load(Ordering::Acquire);
                room.seen.store(freed, Ordering::Relaxed);
                let queued = taken.saturating_sub(freed);
                if !room.has_room(queued, bytes) {
                    let most = room.most.load(Ordering::Relaxed);
                    return Err(Error::limit("maxQueuedBytesPerPeer", most).with(format_args!(
                        "{queued} bytes are queued for this peer, {bytes} more do not fit"
                    )));
                }
            }
            match room
                .taken
                .compare_exchange_weak(taken, taken + bytes, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(Charge { room, bytes }),
                Err(now) => taken = now,
            }
        }
    }

    /// Bytes of private copies that are not freed yet.
    pub(super) fn bytes(&self) -> u64 {
        self.0.queued()
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        SPARE.lock().push(self.0);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.room.freed.0.fetch_add(self.bytes, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, Origin};

    #[test]
    fn room_ends_at_the_limit_and_comes_back_with_what_is_dropped() {
        let queue = Queue::new(100);
        let first = queue.charge(60).unwrap();
        let second = queue.charge(40).unwrap();
        let error = queue.charge(1).unwrap_err();
        assert_eq!(
            (error.kind(), error.origin(), error.retryable()),
            (ErrorKind::Limit, Origin::Local, true)
        );
        let text = error.to_string();
        for part in ["maxQueuedBytesPerPeer is 100:", "100 bytes are queued", "1 more"] {
            assert!(text.contains(part), "{text} lacks {part}");
        }
        assert_eq!(queue.bytes(), 100);
        drop(first);
        assert_eq!(queue.bytes(), 40);
        assert!(queue.charge(61).is_err());
        let third = queue.charge(60).unwrap();
        drop((second, third));
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn one_is_always_admitted_when_nothing_is_queued_and_nothing_beside_it() {
        let queue = Queue::new(100);
        let large = queue.charge(1000).unwrap();
        assert!(queue.charge(1).is_err());
        assert!(queue.charge(0).is_ok(), "nothing takes no room");
        drop(large);
        assert!(queue.charge(101).is_ok());
    }

    #[test]
    fn a_room_is_used_again_only_when_it_is_empty() {
        let queue = Queue::new(100);
        let late = queue.charge(100).unwrap();
        drop(queue);
        // Other tests take rooms at the same time; none may get the one that is not empty.
        let others: Vec<_> = (0..50).map(|_| Queue::new(100)).collect();
        assert!(
            others
                .iter()
                .all(|other| !std::ptr::eq(other.0, late.room) && other.charge(100).is_ok())
        );
    }

    #[test]
    fn callers_and_frees_on_many_threads_never_pass_the_limit() {
        let queue = Queue::new(1000);
        let held = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for bytes in (1..=300).cycle().take(20_000) {
                        let Ok(charge) = queue.charge(bytes) else { continue };
                        let before = held.fetch_add(bytes as u64, Ordering::SeqCst);
                        assert!(before + bytes as u64 <= 1000);
                        held.fetch_sub(bytes as u64, Ordering::SeqCst);
                        drop(charge);
                    }
                });
            }
        });
        assert_eq!(queue.bytes(), 0);
    }
}
