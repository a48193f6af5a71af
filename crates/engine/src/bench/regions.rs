//! Address look-up in a registry of many regions.

use crate::region::{Access, Registry, memory::Memory};

/// Bytes of each region.
const LEN: usize = 64;

/// A registry with so many regions, and the middle of each in an order that has nothing to do with theirs.
pub struct Regions {
    registry: Registry,
    middles: Vec<u64>,
}

impl Regions {
    /// So many readable regions. Their bytes are of the heap: a mapping each would be more than the system allows.
    #[must_use]
    pub fn of(count: usize) -> Self {
        let registry = Registry::default();
        let middles = (0..count)
            .map(|index| {
                let memory = || Ok(Memory::private(LEN).expect("64 bytes"));
                let region = registry.register(&index.to_string(), Access::READ, None, memory);
                // Addresses are random, so that the order of making is none.
                region.expect("a name of its own").address() + LEN as u64 / 2
            })
            .collect();
        Self { registry, middles }
    }

    /// An address in the middle of each region.
    #[must_use]
    pub fn middles(&self) -> &[u64] {
        &self.middles
    }

    /// Whether a peer may read 16 bytes from there; the span is made and dropped.
    #[must_use]
    pub fn may_read(&self, addr: u64) -> bool {
        self.registry.resolve(addr, 16, Access::READ).is_ok()
    }
}
