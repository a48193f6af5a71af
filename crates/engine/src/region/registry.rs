//! From an address on the wire to a span, or to the status that says why not.

use super::{Region, Rights, Tensor, address, file::MappedFile, memory::Memory, pages, slab};
use crate::{
    error::{Error, ErrorKind},
    stats::{Ledger, RegionStats},
    sync::RwLock,
};
use memlane_wire::Status;
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tracing::debug;

#[cfg(feature = "bench")]
mod bench;
#[cfg(any(test, feature = "fuzz"))]
mod placed;

/// Longest name of a region in bytes of UTF-8.
const NAME_MAX: usize = 255;

/// The open regions of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    table: RwLock<Table>,
    /// Counts what changes the list of regions.
    generation: AtomicU64,
    stats: Arc<Ledger<RegionStats>>,
}

#[derive(Debug, Default)]
struct Table {
    by_address: BTreeMap<u64, Arc<Region>>,
    by_name: BTreeMap<String, Arc<Region>>,
}

impl Registry {
    /// One whose regions are counted in `stats`.
    pub(crate) fn counted_in(stats: Arc<Ledger<RegionStats>>) -> Self {
        Self {
            stats,
            ..Self::default()
        }
    }

    /// A new region of `len` zeroed bytes, reachable from the moment that this returns.
    ///
    /// # Errors
    /// `ERR_REGION_EXISTS` for a name in use, `ERR_INVALID_NAME` for one that no region can have, `ERR_MEMORY` when the
    /// system has no such memory.
    pub(crate) fn alloc(&self, name: &str, len: usize, rights: impl Into<Rights>) -> Result<Arc<Region>, Error> {
        self.register(name, rights.into(), None, || zeroed(len))
    }

    /// The same, of bytes that somebody says something about.
    ///
    /// # Errors
    /// As for [`Registry::alloc`].
    pub(crate) fn alloc_tensor(
        &self,
        name: &str,
        len: usize,
        rights: impl Into<Rights>,
        tensor: Tensor,
    ) -> Result<Arc<Region>, Error> {
        self.register(name, rights.into(), Some(tensor), || zeroed(len))
    }

    /// The same, with the bytes that `fill` stores into it before anybody can reach it.
    ///
    /// # Errors
    /// As for [`Registry::alloc`].
    pub(crate) fn publish(
        &self,
        name: &str,
        len: usize,
        rights: impl Into<Rights>,
        tensor: Tensor,
        fill: impl FnOnce(&Arc<Memory>) -> io::Result<()>,
    ) -> Result<Arc<Region>, Error> {
        self.register(name, rights.into(), Some(tensor), || {
            let memory = zeroed(len)?;
            fill(&memory).map_err(|error| Error::memory(len, &error))?;
            Ok(memory)
        })
    }

    /// A new region of a file's bytes, reachable from the moment that this returns.
    ///
    /// # Errors
    /// As for [`Registry::alloc`]; `ERR_FILE` when `map` fails.
    pub(crate) fn map_file(
        &self,
        name: &str,
        rights: impl Into<Rights>,
        tensor: Option<Tensor>,
        map: impl FnOnce() -> io::Result<MappedFile>,
    ) -> Result<Arc<Region>, Error> {
        self.register(name, rights.into(), tensor, || {
            map().map(Memory::file).map_err(|error| Error::file(&error))
        })
    }

    pub(crate) fn register(
        &self,
        name: &str,
        rights: Rights,
        tensor: Option<Tensor>,
        make: impl FnOnce() -> Result<Arc<Memory>, Error>,
    ) -> Result<Arc<Region>, Error> {
        if name.is_empty() || name.len() > NAME_MAX || name.contains('\0') {
            return Err(Error::new(ErrorKind::InvalidName)
                .detail(format!("a region's name has 1 to {NAME_MAX} bytes of UTF-8 and no NUL")));
        }
        let exists = || Error::new(ErrorKind::RegionExists).detail(format!("a region named {name:?} is open"));
        if self.table.read().by_name.contains_key(name) {
            return Err(exists());
        }
        // Outside the lock: making a region takes a while, and peers are being served meanwhile.
        let memory = make()?;
        let len = memory.len();
        let stats = Arc::new(RegionStats::default());
        let address = address::reserve(len as u64)
            .ok_or_else(|| Error::new(ErrorKind::Memory).detail(format!("{len} bytes: no address left for them")))?;
        let region = Arc::new(Region {
            name: name.into(),
            address,
            rights,
            tensor,
            memory: memory.accounted(Arc::clone(&stats)),
        });
        pages::bring(&region.memory);
        let mut table = self.table.write();
        if table.by_name.contains_key(name) {
            return Err(exists());
        }
        table.by_name.insert(name.into(), Arc::clone(&region));
        table.by_address.insert(address, Arc::clone(&region));
        self.generation.fetch_add(1, Ordering::Release);
        drop(table);
        self.stats.add(stats);
        debug!(name, length = len, access = rights.most().name(), "region allocated");
        Ok(region)
    }

    /// What `enter` makes of the region that may own this address: the one with the highest base up to it.
    ///
    /// # Errors
    /// `NoSuchRegion` when there is none, or it is closed, which `enter` tells by `None`.
    pub(super) fn enter<R>(&self, addr: u64, enter: impl FnOnce(&Region) -> Option<R>) -> Result<R, Status> {
        let table = self.table.read();
        let below = table.by_address.range(..=addr).next_back();
        below.and_then(|(_, region)| enter(region)).ok_or(Status::NoSuchRegion)
    }

    /// Takes the region out of every table: new requests miss from now on. What was granted before goes on; wait with
    /// [`Registry::fenced`].
    pub(crate) fn close(&self, region: &Region) {
        region.memory.gate().close();
        let mut table = self.table.write();
        if table.by_address.remove(&region.address).is_some() {
            table.by_name.remove(&region.name);
            self.generation.fetch_add(1, Ordering::Release);
            drop(table);
            debug!(name = region.name, "region closed");
        }
    }

    /// Resolves when nobody holds a span of the closed region any more: the fence.
    pub(crate) async fn fenced(region: Arc<Region>) {
        region.memory.gate().emptied().await;
    }

    /// Changes whenever the list of regions does.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The open regions, in the order of their names.
    pub(crate) fn list(&self) -> Vec<Arc<Region>> {
        self.table.read().by_name.values().cloned().collect()
    }
}

fn zeroed(len: usize) -> Result<Arc<Memory>, Error> {
    slab::zeroed(len).map_err(|error| Error::memory(len, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::{Access, Held};

    #[test]
    fn nobody_reaches_a_published_region_before_it_has_its_bytes() {
        let registry = Registry::default();
        let tensor = Tensor {
            dtype: "uint8".into(),
            shape: vec![64],
        };
        let fill = |memory: &Arc<Memory>| {
            let table = registry.table.read();
            assert!(
                table.by_name.is_empty() && table.by_address.is_empty(),
                "it is still being filled"
            );
            drop(table);
            memory.copy_in(0, &[7; 64])
        };
        let region = registry.publish("kv", 64, Access::READ, tensor, fill).unwrap();
        let mut bytes = [0; 64];
        region.memory().copy_out(0, &mut bytes).unwrap();
        assert_eq!(bytes, [7; 64]);
        assert_eq!(registry.table.read().by_name.len(), 1);
    }

    #[tokio::test]
    async fn a_closed_region_misses_at_once_and_its_fence_waits_for_the_last_span() {
        let registry = Registry::default();
        let region = registry.alloc("kv", 64, Access::READ_WRITE).unwrap();
        let address = region.address();
        let resolve = || Held::default().resolve(&registry, address, 1, Access::READ);
        assert_eq!(resolve(), Ok(0));
        let span = region.span(0, 64).unwrap();
        registry.close(&region);
        assert_eq!(resolve(), Err(Status::NoSuchRegion));
        assert!(region.span(0, 1).is_none());
        let fence = tokio::spawn(Registry::fenced(Arc::clone(&region)));
        tokio::task::yield_now().await;
        assert!(!fence.is_finished());
        drop(span);
        fence.await.unwrap();
        let again = registry.alloc("kv", 64, Access::READ_WRITE).unwrap();
        assert_ne!(again.address(), address);
        assert_eq!(resolve(), Err(Status::NoSuchRegion));
    }

    #[test]
    fn names_are_unique_and_bounded() {
        let registry = Registry::default();
        let kind = |name: &str| {
            registry
                .alloc(name, 1, Access::NONE)
                .map_err(|error| error.kind())
                .err()
        };
        assert_eq!(kind("__proto__"), None);
        assert_eq!(kind("__proto__"), Some(ErrorKind::RegionExists));
        assert_eq!(kind(""), Some(ErrorKind::InvalidName));
        assert_eq!(kind("a\0b"), Some(ErrorKind::InvalidName));
        assert_eq!(kind(&"é".repeat(127)), None);
        assert_eq!(kind(&"é".repeat(128)), Some(ErrorKind::InvalidName));
    }
}
