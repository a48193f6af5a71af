//! A lease: the memory stays, and its fence waits, while somebody has one.

use super::memory::Memory;
use std::sync::Arc;

/// One user of a memory, inside its gate; leaves when dropped.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Memory>);

impl Lease {
    /// A lease, or `None` once the gate is closed.
    pub(crate) fn enter(memory: &Arc<Memory>) -> Option<Self> {
        memory.gate().enter().then(|| Self(Arc::clone(memory)))
    }

    /// The first lease of memory that nobody else has, and whose gate is therefore open.
    pub(crate) fn of_own(memory: Arc<Memory>) -> Self {
        memory.gate().enter_beside();
        Self(memory)
    }

    /// Whether the gate was closed behind it: its holder should come to an end.
    pub(crate) fn is_revoked(&self) -> bool {
        self.0.gate().is_closed()
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.0
    }
}

impl Clone for Lease {
    fn clone(&self) -> Self {
        self.0.gate().enter_beside();
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.gate().leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_gate_admits_nobody_and_empties_with_its_last_lease() {
        let memory = Memory::private(1).unwrap();
        let first = Lease::enter(&memory).unwrap();
        let second = first.clone();
        memory.gate().close();
        assert!(Lease::enter(&memory).is_none());
        let fence = tokio::spawn({
            let memory = Arc::clone(&memory);
            async move { memory.gate().emptied().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        assert!(!fence.is_finished());
        drop(second);
        fence.await.unwrap();
    }
}
