//! Operations of two halves, as far as the second has not begun: between the two no lane has them, and what is asked of the
//! lanes in that moment would find nobody.

use crate::{
    error::ErrorKind,
    op::{OperationKey, Remote},
    weak::Sweep,
};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, Weak},
};

/// Kept by whoever is to begin the second half, for as long as it may.
#[derive(Debug)]
pub(crate) struct FirstHalf {
    remote: Remote,
    given_up: OnceLock<ErrorKind>,
}

/// Those of one link. A first half that fails is nobody's to report; it is forgotten some time after.
#[derive(Debug, Default)]
pub(super) struct Halves {
    by_key: HashMap<OperationKey, Weak<FirstHalf>>,
    sweep: Sweep,
}

impl Halves {
    /// An operation for this peer, to be known before its first half is handed over.
    pub(super) fn begin(&mut self, key: OperationKey, remote: &Remote) -> Arc<FirstHalf> {
        let half = Arc::new(FirstHalf {
            remote: remote.clone(),
            given_up: OnceLock::new(),
        });
        let Self { by_key, sweep } = self;
        sweep.before_one_more(by_key.len(), || {
            by_key.retain(|_, half| half.strong_count() > 0);
            by_key.len()
        });
        by_key.insert(key, Arc::downgrade(&half));
        half
    }

    /// The first half is over: what the operation was given up with meanwhile, in place of the second.
    pub(super) fn end(&mut self, key: Option<&OperationKey>, half: &FirstHalf) -> Result<(), ErrorKind> {
        if let Some(key) = key {
            self.by_key.remove(key);
        }
        half.given_up.get().map_or(Ok(()), |kind| Err(*kind))
    }

    /// The operation of this key begins no second half.
    pub(super) fn cancel(&mut self, key: &OperationKey) {
        if let Some(half) = self.by_key.remove(key).and_then(|half| half.upgrade()) {
            half.give_up(ErrorKind::Aborted);
        }
    }

    /// None of this peer's does.
    pub(super) fn close(&mut self, remote: &Remote) {
        self.by_key.retain(|_, half| match half.upgrade() {
            Some(half) if half.remote.is(remote) => {
                half.give_up(ErrorKind::Closed);
                false
            }
            half => half.is_some(),
        });
    }
}

impl FirstHalf {
    fn give_up(&self, kind: ErrorKind) {
        // What came first counts.
        let _ = self.given_up.set(kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::channel;

    fn remote() -> Remote {
        Remote {
            name: Arc::from("target:1"),
            stats: Arc::default(),
        }
    }

    fn key(id: u64) -> OperationKey {
        OperationKey::new(channel::once().0, id)
    }

    #[test]
    fn what_is_given_up_is_one_operation_or_all_of_one_peer() {
        let (mut halves, ours, theirs) = (Halves::default(), remote(), remote());
        let keys = [1, 2, 3].map(key);
        let begun = [&ours, &ours, &theirs].map(|remote| remote);
        let begun: Vec<_> = keys
            .iter()
            .zip(begun)
            .map(|(key, remote)| halves.begin(key.clone(), remote))
            .collect();
        halves.cancel(&keys[0]);
        halves.close(&ours);
        let ends: Vec<_> = keys
            .iter()
            .zip(&begun)
            .map(|(key, half)| halves.end(Some(key), half))
            .collect();
        assert_eq!(ends, [Err(ErrorKind::Aborted), Err(ErrorKind::Closed), Ok(())]);
        assert!(halves.by_key.is_empty());
    }

    #[test]
    fn first_halves_that_failed_take_no_room_for_long() {
        let (mut halves, remote) = (Halves::default(), remote());
        let kept = halves.begin(key(0), &remote);
        (1..10_000).for_each(|id| drop(halves.begin(key(id), &remote)));
        assert!(halves.by_key.len() < 100, "{}", halves.by_key.len());
        halves.close(&remote);
        assert!(halves.by_key.is_empty());
        assert_eq!(halves.end(None, &kept), Err(ErrorKind::Closed));
    }
}
