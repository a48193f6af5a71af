//! A region that is being served from: entered once for all the requests that came together.

use super::{Access, Region, Registry, account::Account, span::Span};
use crate::auth::TokenId;
use memlane_wire::Status;

/// The region that the last request was for, inside its gate. To enter and to leave one, and to count what was done in it,
/// costs more than all else that a small request does.
///
/// To be released before anything that was decided by it is told: until then the region's fence waits for it, and its
/// counters lag behind.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// What the peer whose requests these are came with.
    token: Option<TokenId>,
    holding: Option<Holding>,
}

#[derive(Debug)]
struct Holding {
    base: u64,
    /// What this peer may do with it.
    access: Access,
    whole: Span,
    reads: u64,
    served: u64,
    writes: u64,
    stored: u64,
}

impl Held {
    /// For the requests of a peer that came with this token.
    pub(crate) fn by(token: TokenId) -> Self {
        Self {
            token: Some(token),
            holding: None,
        }
    }

    /// What the peer came with.
    pub(crate) fn token(&self) -> Option<TokenId> {
        self.token
    }

    /// Where in the region that is held from now on the range that `addr` and `len` name begins, if a live region grants
    /// `access` to all of it.
    ///
    /// A region that is not there for this peer's token is as good as none: what it is told tells nothing of it.
    ///
    /// A region owns the addresses from its base to base + length, both included: beyond is another region or none
    /// (`NoSuchRegion`), a range that leaves it is `OutOfRange`, and zero bytes at its very end are granted.
    pub(crate) fn resolve(
        &mut self,
        registry: &Registry,
        addr: u64,
        len: u64,
        access: Access,
    ) -> Result<usize, Status> {
        // A region that is closed is as good as none, from that very moment on.
        let is_its = |held: &Holding| held.owns(addr) && !held.whole.is_revoked();
        if !self.holding.as_ref().is_some_and(is_its) {
            match registry.enter(addr, |region| Holding::enter(region, &self.token)) {
                Ok(entered) => self.holding = Some(entered),
                Err(status) => {
                    self.release();
                    return Err(status);
                }
            }
        }
        let holding = self.holding.as_ref().ok_or(Status::NoSuchRegion)?;
        holding.offset(addr, len, access)
    }

    /// What is held, all of it.
    pub(crate) fn whole(&self) -> Option<&Span> {
        self.holding.as_ref().map(|held| &held.whole)
    }

    /// A peer reads so many bytes of it.
    pub(crate) fn count_read(&mut self, len: usize) {
        if let Some(held) = &mut self.holding {
            held.reads += 1;
            held.served += len as u64;
        }
    }

    /// A peer has written so many bytes of it.
    pub(crate) fn count_write(&mut self, len: usize) {
        if let Some(held) = &mut self.holding {
            held.writes += 1;
            held.stored += len as u64;
        }
    }

    /// Leaves the region, and has it count what was done.
    pub(crate) fn release(&mut self) {
        self.holding = None;
    }
}

impl Holding {
    /// The token is looked at only where the region is for some.
    fn enter(region: &Region, token: &Option<TokenId>) -> Option<Self> {
        Some(Self {
            base: region.address(),
            access: region.rights().of(*token)?,
            whole: region.span(0, region.len())?,
            reads: 0,
            served: 0,
            writes: 0,
            stored: 0,
        })
    }

    fn owns(&self, addr: u64) -> bool {
        addr.checked_sub(self.base)
            .is_some_and(|offset| offset <= self.whole.len() as u64)
    }

    fn offset(&self, addr: u64, len: u64, access: Access) -> Result<usize, Status> {
        if !self.owns(addr) {
            return Err(Status::NoSuchRegion);
        }
        // No addition of what a peer sent: offset <= length was just seen.
        let offset = addr - self.base;
        if len > self.whole.len() as u64 - offset {
            return Err(Status::OutOfRange);
        }
        if (access.read && !self.access.read) || (access.write && !self.access.write) {
            return Err(Status::AccessDenied);
        }
        // It fits: it is at most the length of a memory.
        Ok(offset as usize)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        if let Account::Region(stats) = self.whole.account() {
            for (counter, count) in [
                (&stats.reads, self.reads),
                (&stats.served, self.served),
                (&stats.writes, self.writes),
                (&stats.stored, self.stored),
            ] {
                if count > 0 {
                    counter.add(count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn every_edge_of_a_region_is_granted_or_refused_by_the_rule_whatever_is_held() {
        let registry = Registry::default();
        let region = registry.alloc("weights", 1000, Access::READ).unwrap();
        let other = registry.alloc("other", 1000, Access::READ_WRITE).unwrap();
        let base = region.address();
        let table = [
            (base, 0, Ok(0)),
            (base, 1000, Ok(0)),
            (base + 999, 1, Ok(999)),
            (base + 1000, 0, Ok(1000)),
            (base + 1000, 1, Err(Status::OutOfRange)),
            (base, 1001, Err(Status::OutOfRange)),
            (base, 1 << 31, Err(Status::OutOfRange)),
            (base, 1 << 63, Err(Status::OutOfRange)),
            (base, u64::MAX, Err(Status::OutOfRange)),
            (base + 1, u64::MAX, Err(Status::OutOfRange)),
            (base + 1, u64::MAX - base, Err(Status::OutOfRange)),
            (base + 1001, 0, Err(Status::NoSuchRegion)),
            (base - 1, 1, Err(Status::NoSuchRegion)),
            (0, 0, Err(Status::NoSuchRegion)),
            (u64::MAX, 1, Err(Status::NoSuchRegion)),
        ];
        for held_before in [None, Some(base), Some(other.address())] {
            for (addr, len, expected) in table {
                let mut held = Held::default();
                if let Some(addr) = held_before {
                    held.resolve(&registry, addr, 1, Access::READ).unwrap();
                }
                let found = held.resolve(&registry, addr, len, Access::READ);
                let what = addr.wrapping_sub(base) as i64;
                assert_eq!(found, expected, "{len} bytes at base + {what}, {held_before:?} held");
            }
        }
        let mut held = Held::default();
        for len in [1, 0] {
            let found = held.resolve(&registry, base, len, Access::WRITE);
            assert_eq!(found, Err(Status::AccessDenied));
        }
        assert_eq!(held.resolve(&registry, other.address(), 1, Access::WRITE), Ok(0));
    }

    #[tokio::test]
    async fn a_region_that_is_held_misses_once_it_is_closed_and_its_fence_waits_for_the_release() {
        let registry = Registry::default();
        let region = registry.alloc("kv", 64, Access::READ_WRITE).unwrap();
        let address = region.address();
        let mut held = Held::default();
        held.resolve(&registry, address, 64, Access::READ).unwrap();
        registry.close(&region);
        let fence = tokio::spawn(Registry::fenced(Arc::clone(&region)));
        tokio::task::yield_now().await;
        assert!(!fence.is_finished());
        let found = held.resolve(&registry, address, 1, Access::READ);
        assert_eq!(found, Err(Status::NoSuchRegion));
        fence.await.unwrap();
        assert_eq!(region.in_flight(), 0);
    }

    #[test]
    fn what_was_done_in_a_region_is_counted_when_it_is_released() {
        let registry = Registry::default();
        let region = registry.alloc("kv", 64, Access::READ_WRITE).unwrap();
        let mut held = Held::default();
        held.resolve(&registry, region.address(), 64, Access::READ).unwrap();
        held.count_read(10);
        held.count_read(20);
        held.count_write(5);
        held.release();
        let stats = region.figures().stats();
        for part in [
            "\"reads\":2",
            "\"writes\":1",
            "\"served\":30",
            "\"stored\":5",
            "\"inFlight\":0",
        ] {
            assert!(stats.contains(part), "{stats} lacks {part}");
        }
    }
}
