//! The end of a region: nobody touches it any more.
//!
//! A region may be the local end of an operation of any endpoint in the process, not only of its own, so a fence asks
//! all of them.

use crate::{
    peer::Peer,
    region::{Region, Registry},
    sync::Mutex,
    target::Target,
    weak::WeakList,
};
use std::{sync::Arc, time::Duration};
use tracing::warn;

/// What an endpoint has that may hold memory of regions.
#[derive(Debug)]
pub(crate) struct Holders {
    pub(crate) target: Arc<Target>,
    peers: Mutex<WeakList<Peer>>,
}

/// Every endpoint of the process.
static ALL: parking_lot::Mutex<WeakList<Holders>> = parking_lot::Mutex::new(WeakList::new());

impl Holders {
    pub(crate) fn new(target: Arc<Target>) -> Arc<Self> {
        let holders = Arc::new(Self {
            target,
            peers: Mutex::default(),
        });
        ALL.lock().add(&holders);
        holders
    }

    pub(crate) fn add(&self, peer: &Arc<Peer>) {
        self.peers.lock().add(peer);
    }

    pub(crate) fn peers(&self) -> Vec<Arc<Peer>> {
        self.peers.lock().list()
    }
}

fn everybody() -> Vec<Arc<Holders>> {
    ALL.lock().list()
}

/// Resolves when nobody touches the region, which is closed: receives that wait for a message end at once, what is
/// running may finish while `patience` lasts, then it is cut.
pub(crate) async fn fence(region: Arc<Region>, patience: Duration) {
    // Most regions, of which there may be very many: who is not in comes in no more.
    if region.in_flight() == 0 {
        return;
    }
    for holders in everybody() {
        holders.target.receives.revoke();
    }
    if tokio::time::timeout(patience, Registry::fenced(Arc::clone(&region)))
        .await
        .is_ok()
    {
        return;
    }
    warn!(
        region = region.name(),
        "drain time is over: connections that hold the closed region are cut"
    );
    for holders in everybody() {
        holders.target.revoke();
        holders.peers().iter().for_each(|peer| peer.revoke());
    }
    Registry::fenced(region).await;
}
