//! Bytes that wait for a peer in private copies: bounded, and given back when a copy is freed.

use super::Stats;
use crate::error::Error;
use std::sync::{Arc, atomic::Ordering};

/// So many bytes of a peer's queue; given back when dropped, which is when the memory that holds it is freed.
#[derive(Debug)]
pub(crate) struct Charge {
    stats: Arc<Stats>,
    bytes: u64,
}

impl Stats {
    /// Room for a private copy of so many bytes. What is larger than the limit has room when nothing else is queued.
    ///
    /// # Errors
    /// `ERR_LIMIT` when there is no room now.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> Result<Charge, Error> {
        let bytes = bytes as u64;
        let mut taken = self.queued.load(Ordering::Relaxed);
        loop {
            // What was freed is written by I/O threads: it is looked at only when there seems to be no room.
            let seen = self.freed_seen.load(Ordering::Relaxed);
            if !self.has_room(taken.saturating_sub(seen), bytes) {
                let freed = self.freed.load(Ordering::Acquire);
                self.freed_seen.store(freed, Ordering::Relaxed);
                let queued = taken.saturating_sub(freed);
                if !self.has_room(queued, bytes) {
                    return Err(
                        Error::limit("maxQueuedBytesPerPeer", self.most_queued).with(format_args!(
                            "{queued} bytes are queued for this peer, {bytes} more do not fit"
                        )),
                    );
                }
            }
            match self
                .queued
                .compare_exchange_weak(taken, taken + bytes, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) => taken = now,
            }
        }
        Ok(Charge {
            stats: Arc::clone(self),
            bytes,
        })
    }

    fn has_room(&self, queued: u64, bytes: u64) -> bool {
        queued == 0 || bytes == 0 || bytes <= self.most_queued.saturating_sub(queued)
    }

    /// Bytes of private copies that are not freed yet.
    pub(super) fn queued_bytes(&self) -> u64 {
        let freed = self.freed.load(Ordering::Acquire);
        self.queued.load(Ordering::Relaxed).saturating_sub(freed)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.stats.freed.fetch_add(self.bytes, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, Origin};

    #[test]
    fn room_ends_at_the_limit_and_comes_back_with_what_is_dropped() {
        let stats = Arc::new(Stats::new(100));
        let first = stats.charge(60).unwrap();
        let second = stats.charge(40).unwrap();
        let error = stats.charge(1).unwrap_err();
        assert_eq!(
            (error.kind(), error.origin(), error.retryable()),
            (ErrorKind::Limit, Origin::Local, true)
        );
        let text = error.to_string();
        for part in ["maxQueuedBytesPerPeer", "100", "100 bytes are queued", "1 more"] {
            assert!(text.contains(part), "{text} lacks {part}");
        }
        assert_eq!(stats.queued_bytes(), 100);
        drop(first);
        assert_eq!(stats.queued_bytes(), 40);
        assert!(stats.charge(61).is_err());
        let third = stats.charge(60).unwrap();
        drop((second, third));
        assert_eq!(stats.queued_bytes(), 0);
    }

    #[test]
    fn one_is_always_admitted_when_nothing_is_queued_and_nothing_beside_it() {
        let stats = Arc::new(Stats::new(100));
        let large = stats.charge(1000).unwrap();
        assert!(stats.charge(1).is_err());
        assert!(stats.charge(0).is_ok(), "nothing takes no room");
        drop(large);
        assert!(stats.charge(101).is_ok());
    }

    #[test]
    fn callers_and_frees_on_many_threads_never_pass_the_limit() {
        let stats = Arc::new(Stats::new(1000));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for bytes in (1..=300).cycle().take(20_000) {
                        let charge = stats.charge(bytes);
                        assert!(stats.queued_bytes() <= 1000);
                        drop(charge);
                    }
                });
            }
        });
        assert_eq!(stats.queued_bytes(), 0);
    }
}
