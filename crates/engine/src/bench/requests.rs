//! The target's decision about a header.

use crate::{
    config::Limits,
    region::{Access, Held, Region, Registry},
    session::handler::{Action, decide},
};
use memlane_wire::{Header, Mode};
use std::sync::Arc;

/// A target with one region of 4 KiB that peers may read.
pub struct Requests {
    registry: Registry,
    limits: Limits,
    held: Held,
    region: Arc<Region>,
}

impl Default for Requests {
    fn default() -> Self {
        let registry = Registry::default();
        let region = registry.alloc("bytes", 4096, Access::READ).expect("4 KiB");
        Self {
            registry,
            limits: Limits::default(),
            held: Held::default(),
            region,
        }
    }
}

impl Requests {
    /// The region's address.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.region.address()
    }

    /// Whether the request is one that the target grants; its region is held from one request to the next.
    #[must_use]
    pub fn grants(&mut self, header: &Header) -> bool {
        let action = decide(header, Mode::Native, &self.registry, &mut self.held, &self.limits);
        !matches!(action, Action::Refuse { .. })
    }
}
