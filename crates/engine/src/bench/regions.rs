//! Address look-up in a registry of many regions.

use crate::region::{Access, Held, Registry};

/// Bytes of each region.
const LEN: usize = 64;

/// A registry with so many regions, and an address in the middle of each.
pub struct Regions {
    registry: Registry,
    middles: Vec<u64>,
}

impl Regions {
    /// So many readable regions, at addresses as random as those of real ones but the same in every run: by those the look-up's
    /// tree grows in one shape or another, which moves a count by three in a hundred.
    #[must_use]
    pub fn of(count: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let addresses: Vec<u64> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state >> 24 << 13
        })
        .take(count)
        .collect();
        Self {
            registry: Registry::of_regions_at(addresses.iter().copied(), LEN),
            middles: addresses.iter().map(|address| address + LEN as u64 / 2).collect(),
        }
    }

    /// An address in the middle of each region, in an order that has nothing to do with theirs.
    #[must_use]
    pub fn middles(&self) -> &[u64] {
        &self.middles
    }

    /// Whether a peer may read 16 bytes from there; the region is entered and left, as for a request that no other in the same region was before.
    #[must_use]
    pub fn may_read(&self, addr: u64) -> bool {
        Held::default().resolve(&self.registry, addr, 16, Access::READ).is_ok()
    }
}
