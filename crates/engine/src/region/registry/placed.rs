//! Regions at addresses of somebody's choice, for inputs that name addresses and have to mean the same in every run.

use super::{Region, RegionStats, Registry, zeroed};
use crate::{error::Error, region::Access};
use std::sync::Arc;

impl Registry {
    /// A region of `len` zeroed bytes at an address that is nobody's and never was.
    ///
    /// # Errors
    /// `ERR_MEMORY` when the system has no such memory.
    pub(crate) fn alloc_at(&self, address: u64, name: &str, len: usize, access: Access) -> Result<Arc<Region>, Error> {
        let stats = Arc::new(RegionStats::default());
        let region = Arc::new(Region {
            name: name.into(),
            address,
            rights: access.into(),
            tensor: None,
            memory: zeroed(len)?.accounted(Arc::clone(&stats)),
        });
        let mut table = self.table.write();
        table.by_name.insert(name.into(), Arc::clone(&region));
        table.by_address.insert(address, Arc::clone(&region));
        drop(table);
        self.generation.fetch_add(1, std::sync::atomic::Ordering::Release);
        self.stats.add(stats);
        Ok(region)
    }
}
