//! Registered memory: what a peer may reach, and how.

mod account;
pub(crate) mod address;
pub mod file;
mod gate;
mod held;
mod lease;
pub mod memory;
mod pages;
#[cfg(memlane_asan)]
#[doc(hidden)]
pub mod planted;
mod poison;
mod registry;
mod rights;
mod slab;
pub mod span;

pub(crate) use held::Held;
pub(crate) use registry::Registry;
pub use rights::Rights;

use crate::stats::{RegionStats, region_report};
use account::Account;
use memory::Memory;
use span::Span;
use std::sync::{Arc, Weak};

/// What a peer may do with a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// A peer may read it.
    pub read: bool,
    /// A peer may write it.
    pub write: bool,
}

impl Access {
    /// Nothing: the region is local memory, and the endpoint info does not list it.
    pub const NONE: Self = Self {
        read: false,
        write: false,
    };
    /// READ only.
    pub const READ: Self = Self {
        read: true,
        write: false,
    };
    /// WRITE only.
    pub const WRITE: Self = Self {
        read: false,
        write: true,
    };
    /// READ and WRITE.
    pub const READ_WRITE: Self = Self {
        read: true,
        write: true,
    };

    /// `none`, `read`, `write` or `readwrite`.
    pub fn name(self) -> &'static str {
        match (self.read, self.write) {
            (false, false) => "none",
            (true, false) => "read",
            (false, true) => "write",
            (true, true) => "readwrite",
        }
    }

    /// The rights that [`Access::name`] names.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::NONE, Self::READ, Self::WRITE, Self::READ_WRITE]
            .into_iter()
            .find(|access| access.name() == name)
    }
}

/// What a region's bytes are, for whoever reads the endpoint info. The engine lists it and knows nothing more of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The element type's name.
    pub dtype: String,
    /// Elements by dimension.
    pub shape: Vec<u64>,
}

/// A registered memory: name, address, rights, and the fence that closing it waits for.
#[derive(Debug)]
pub struct Region {
    name: String,
    address: u64,
    rights: Rights,
    tensor: Option<Tensor>,
    memory: Arc<Memory>,
}

impl Region {
    /// Its name; unique in its endpoint while it is open.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address on the wire; exact as a JavaScript number.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// What its peers may do with it.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// What its bytes are, if somebody said.
    pub fn tensor(&self) -> Option<&Tensor> {
        self.tensor.as_ref()
    }

    /// The bytes; they live as long as anybody holds this `Arc`, closed or not.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Never: a region has at least one byte.
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
    }

    /// A range of it as this side's own end of an operation; `None` when it leaves the region or the region is closed.
    pub fn span(&self, offset: usize, len: usize) -> Option<Span> {
        Span::leased(&self.memory, offset, len)
    }

    /// Operations that hold a range of it now.
    pub fn in_flight(&self) -> usize {
        self.memory.gate().leases()
    }

    /// What can be told of it, without holding its memory.
    pub fn figures(&self) -> Figures {
        let stats = match self.memory.account() {
            Account::Region(stats) => Arc::clone(stats),
            Account::Nobody | Account::Peer(_) => Arc::default(),
        };
        Figures {
            stats,
            memory: Arc::downgrade(&self.memory),
        }
    }
}

/// What can be told of a region, closed or not; it does not keep the bytes.
#[derive(Debug)]
pub struct Figures {
    stats: Arc<RegionStats>,
    memory: Weak<Memory>,
}

impl Figures {
    /// Counters as JSON.
    pub fn stats(&self) -> String {
        let RegionStats {
            reads,
            writes,
            served,
            stored,
        } = &*self.stats;
        let in_flight = self.memory.upgrade().map_or(0, |memory| memory.gate().leases());
        region_report(reads.value(), writes.value(), served.value(), stored.value(), in_flight)
    }
}
