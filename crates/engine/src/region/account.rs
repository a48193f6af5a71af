//! Whose account a memory is on.

use crate::stats::{Charge, RegionStats};
use std::sync::Arc;

/// What a memory is counted for, as long as it lives.
#[derive(Debug, Default)]
pub(crate) enum Account {
    #[default]
    Nobody,
    /// A peer that its bytes wait for.
    #[expect(dead_code, reason = "held for its drop, which gives the bytes back")]
    Peer(Charge),
    /// The region whose bytes they are.
    Region(Arc<RegionStats>),
}

impl From<Charge> for Account {
    fn from(charge: Charge) -> Self {
        Self::Peer(charge)
    }
}

impl From<Arc<RegionStats>> for Account {
    fn from(stats: Arc<RegionStats>) -> Self {
        Self::Region(stats)
    }
}
