//! What endpoints share, and the links to every address they go to.

use crate::{
    auth::Security,
    config::Limits,
    error::Error,
    link::{Destination, Link},
    shared::{Shared, threads},
    stats::context_report,
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};
use tokio::runtime::Handle;

/// One runtime and one pool, for any number of endpoints. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Context {
    shared: Arc<Shared>,
    links: Arc<Mutex<HashMap<Destination, Weak<Link>>>>,
}

impl Context {
    /// A context on the process's I/O threads.
    ///
    /// # Errors
    /// `ERR_INTERNAL` when the system gives no thread, no event queue or no entropy.
    pub fn new(limits: Limits) -> Result<Self, Error> {
        Self::secured(limits, Security::default())
    }

    /// The same, whose endpoints ask for tokens and show theirs.
    ///
    /// # Errors
    /// As for [`Context::new`].
    pub fn secured(limits: Limits, security: Security) -> Result<Self, Error> {
        Self::with(threads(limits.io_threads as usize)?, limits, security)
    }

    /// A context on a runtime that the caller keeps running.
    ///
    /// # Errors
    /// `ERR_INTERNAL` when the system gives no entropy.
    pub fn on(runtime: Handle, limits: Limits) -> Result<Self, Error> {
        Self::with(vec![runtime], limits, Security::default())
    }

    fn with(threads: Vec<Handle>, limits: Limits, security: Security) -> Result<Self, Error> {
        Ok(Self {
            shared: Arc::new(Shared::new(threads, limits, security)?),
            links: Arc::default(),
        })
    }

    /// Counters of all its endpoints together, closed ones included, and limits, as JSON.
    pub fn stats(&self) -> String {
        let Shared { limits, endpoints, .. } = &*self.shared;
        let links: Vec<_> = self.links.lock().values().filter_map(Weak::upgrade).collect();
        let lanes = links.iter().map(|link| link.open_lanes()).sum();
        let open = endpoints.count(|endpoint| !endpoint.is_closed());
        context_report(&endpoints.totals(), lanes, limits, open, self.shared.threads())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The link to a destination: the one that is there, or a new one.
    pub(crate) fn link(&self, destination: Destination) -> Arc<Link> {
        let mut links = self.links.lock();
        if let Some(link) = links.get(&destination).and_then(Weak::upgrade) {
            return link;
        }
        links.retain(|_, link| link.strong_count() > 0);
        let link = Link::new(destination.clone(), &self.shared);
        links.insert(destination, Arc::downgrade(&link));
        link
    }
}
