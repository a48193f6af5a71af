//! Addresses on the wire: random, page-aligned, below 2^53, and never given out twice in the life of the process.
//!
//! Random, so that an address tells nothing of the process's layout and works as a capability. Below 2^53, so that it
//! is exact as a JavaScript number and `address + size` cannot wrap. Never reused, so that a stale address misses.

#[cfg(any(test, feature = "simulation"))]
use crate::random::seeded;
use parking_lot::Mutex;
use std::collections::BTreeMap;

const PAGE: u64 = 4096;
const END: u64 = 1 << 53;
/// Nothing is ever registered this close to a region: a one-piece overrun of a legacy peer meets no neighbour.
const GUARD: u64 = 1 << 20;

/// Every range ever reserved, guard included, by its start. It only grows, by some 50 bytes a registration: that is
/// what "never reused" costs.
static RESERVED: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());

#[cfg(any(test, feature = "simulation"))]
thread_local! {
    /// Those of a simulated world.
    static OF_WORLD: std::cell::RefCell<BTreeMap<u64, u64>> = const { std::cell::RefCell::new(BTreeMap::new()) };
}

/// The simulated world that begins on this thread knows nothing of those before it.
#[cfg(any(test, feature = "simulation"))]
pub(crate) fn begin_world() {
    OF_WORLD.with_borrow_mut(BTreeMap::clear);
}

/// A fresh base address for `len` bytes; `None` when the address space has no room for it or the system no entropy.
pub(crate) fn reserve(len: u64) -> Option<u64> {
    #[cfg(any(test, feature = "simulation"))]
    if seeded::is_set() {
        return OF_WORLD.with_borrow_mut(|reserved| reserve_in(reserved, len, random));
    }
    reserve_in(&mut RESERVED.lock(), len, random)
}

fn random() -> Option<u64> {
    crate::random::random().map(u64::from_ne_bytes).ok()
}

fn reserve_in(reserved: &mut BTreeMap<u64, u64>, len: u64, mut random: impl FnMut() -> Option<u64>) -> Option<u64> {
    let room = END.checked_sub(len)?.checked_sub(2 * GUARD)?;
    // With 2^41 pages to choose from a collision is rare; a run of them means that the space is as good as full.
    for _ in 0..64 {
        let start = random()? % room / PAGE * PAGE;
        let end = start + len + 2 * GUARD;
        let free = reserved
            .range(..end)
            .next_back()
            .is_none_or(|(_, &before)| before <= start);
        if free {
            reserved.insert(start, end);
            return Some(start + GUARD);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_exact_aligned_and_apart() {
        let mut taken: Vec<(u64, u64)> = (1..500).map(|n| (reserve(n * 999).unwrap(), n * 999)).collect();
        taken.sort_unstable();
        for pair in taken.windows(2) {
            assert!(pair[0].0 + pair[0].1 + GUARD <= pair[1].0);
        }
        assert!(
            taken
                .iter()
                .all(|&(base, len)| base % PAGE == 0 && base >= GUARD && base + len < END)
        );
    }

    #[test]
    fn a_range_that_was_given_out_is_never_given_again() {
        let mut reserved = BTreeMap::new();
        let same = || Some(1 << 40);
        assert!(reserve_in(&mut reserved, 10, same).is_some());
        assert_eq!(reserve_in(&mut reserved, 10, same), None);
        assert_eq!(reserve_in(&mut reserved, 10, || Some((1 << 40) - PAGE)), None);
        assert_eq!(reserve_in(&mut reserved, 10, || Some((1 << 40) + 2 * GUARD)), None);
        assert!(reserve_in(&mut reserved, 10, || Some((1 << 40) + 2 * GUARD + PAGE)).is_some());
    }

    #[test]
    fn a_length_beyond_the_address_space_is_refused() {
        assert_eq!(reserve(END), None);
        assert_eq!(reserve(u64::MAX), None);
    }
}
