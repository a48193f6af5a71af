//! What endpoints share, and the links to every address they go to.

use crate::{
    auth::Security,
    config::Limits,
    error::Error,
    link::Link,
    network::{Destination, Tcp},
    shared::{Shared, threads},
    stats::context_report,
    tls::{Credentials, TlsError},
    weak::Sweep,
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
    links: Arc<Mutex<Links>>,
}

#[derive(Debug, Default)]
struct Links {
    by_destination: HashMap<Destination, Weak<Link>>,
    sweep: Sweep,
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
        let threads = threads(limits.io_threads as usize)?;
        Ok(Self::with(Shared::new(threads, limits, security, Arc::new(Tcp))?))
    }

    /// A context on a runtime that the caller keeps running.
    ///
    /// # Errors
    /// `ERR_INTERNAL` when the system gives no entropy.
    pub fn on(runtime: Handle, limits: Limits) -> Result<Self, Error> {
        let shared = Shared::new(vec![runtime], limits, Security::default(), Arc::new(Tcp))?;
        Ok(Self::with(shared))
    }

    /// The same, over a network that is not the system's.
    ///
    /// # Errors
    /// As for [`Context::on`].
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn over(
        network: Arc<dyn crate::network::Network>,
        runtime: Handle,
        limits: Limits,
    ) -> Result<Self, Error> {
        let shared = Shared::new(vec![runtime], limits, Security::default(), network)?;
        Ok(Self::with(shared))
    }

    fn with(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            links: Arc::default(),
        }
    }

    /// Connections that are made from now on have these credentials; those that are up keep theirs.
    ///
    /// # Errors
    /// What is wrong with them, or that the context has no TLS; nothing was replaced then.
    pub fn set_tls(&self, credentials: &Credentials) -> Result<(), TlsError> {
        match &self.shared.security.tls {
            Some(tls) => tls.replace(credentials),
            None => Err(TlsError("it was made without TLS".to_owned())),
        }
    }

    /// Counters of all its endpoints together, closed ones included, and limits, as JSON.
    pub fn stats(&self) -> String {
        let Shared { limits, endpoints, .. } = &*self.shared;
        let links: Vec<_> = self
            .links
            .lock()
            .by_destination
            .values()
            .filter_map(Weak::upgrade)
            .collect();
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
        let Links { by_destination, sweep } = &mut *links;
        if let Some(link) = by_destination.get(&destination).and_then(Weak::upgrade) {
            return link;
        }
        sweep.before_one_more(by_destination.len(), || {
            by_destination.retain(|_, link| link.strong_count() > 0);
            by_destination.len()
        });
        let link = Link::new(destination.clone(), &self.shared);
        by_destination.insert(destination, Arc::downgrade(&link));
        link
    }
}
