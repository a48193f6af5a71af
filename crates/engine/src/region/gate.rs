//! The fence: counts who is inside a region, lets nobody in once it is closed, and tells when the last one left.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Notify;

/// One bit says closed, the others count leases, so that "is it open" and "count me" are one atomic step: there is no
/// moment in which a lease could slip in behind a close.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: AtomicUsize,
    empty: Notify,
}

const CLOSED: usize = 1 << (usize::BITS - 1);

impl Gate {
    /// A lease, or `None` once the gate is closed.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Lease> {
        self.state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |state| {
                (state & CLOSED == 0).then_some(state + 1)
            })
            .ok()
            .map(|_| Lease(Arc::clone(self)))
    }

    /// From now on nobody enters.
    pub(crate) fn close(&self) {
        self.state.fetch_or(CLOSED, Ordering::AcqRel);
    }

    pub(crate) fn leases(&self) -> usize {
        self.state.load(Ordering::Acquire) & !CLOSED
    }

    /// Resolves when no lease is left. Call after [`Gate::close`], or it may never end.
    ///
    /// Cancel safe: nothing is lost on drop.
    pub(crate) async fn emptied(&self) {
        loop {
            // The waiter exists before the check: a lease that leaves in between is not missed.
            let left = self.empty.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.leases() == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Lease {
    /// Whether the gate was closed behind it: its holder should come to an end.
    pub(crate) fn is_revoked(&self) -> bool {
        self.0.state.load(Ordering::Relaxed) & CLOSED != 0
    }
}

/// One user inside the gate; leaves when dropped.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Gate>);

impl Clone for Lease {
    /// A second lease beside one that is held is always granted: the fence waits for both.
    fn clone(&self) -> Self {
        self.0.state.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Release: what was done to the memory happened before the fence saw the count fall.
        let before = self.0.state.fetch_sub(1, Ordering::AcqRel);
        if before == CLOSED + 1 {
            self.0.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_gate_admits_nobody_and_empties_with_its_last_lease() {
        let gate = Arc::new(Gate::default());
        let first = gate.enter().unwrap();
        let second = first.clone();
        gate.close();
        assert!(gate.enter().is_none());
        let fence = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.emptied().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        assert!(!fence.is_finished());
        drop(second);
        fence.await.unwrap();
    }
}
