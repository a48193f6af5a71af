//! The fence: counts who is inside a region, lets nobody in once it is closed, and tells when the last one left.

use crate::sync::{AtomicUsize, Notify, Ordering};

/// One bit says closed, the others count leases, so that "is it open" and "count me" are one atomic step: there is no
/// moment in which a lease could slip in behind a close. It lies in the memory that it guards, beside the reference
/// count that every lease touches anyway.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: AtomicUsize,
    empty: Notify,
}

const CLOSED: usize = 1 << (usize::BITS - 1);

impl Gate {
    /// Counts one more in; false once the gate is closed.
    pub(super) fn enter(&self) -> bool {
        let admit = |state| (state & CLOSED == 0).then_some(state + 1);
        self.state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, admit)
            .is_ok()
    }

    /// Counts one more in beside one that is: closed or not, the fence waits for both.
    pub(super) fn enter_beside(&self) {
        self.state.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one out.
    pub(super) fn leave(&self) {
        // Release: what was done to the memory happened before the fence saw the count fall.
        let before = self.state.fetch_sub(1, Ordering::AcqRel);
        if before == CLOSED + 1 {
            self.empty.notify_waiters();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.load(Ordering::Relaxed) & CLOSED != 0
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
