//! What endpoints share: I/O threads that are never stopped, limits, and the links to every address they go to.

use crate::{
    config::Limits,
    error::{Error, ErrorKind},
    link::{Destination, Link},
    stats::{EndpointStats, Ledger, context_report},
};
use memlane_wire::Preface;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::runtime::{Builder, Handle};

/// One runtime and one pool, for any number of endpoints. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Context(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Arc<Limits>,
    threads: Vec<Handle>,
    next_thread: AtomicUsize,
    /// What connections that are no endpoint's alone say they come from.
    pub(crate) instance: [u8; 16],
    links: Mutex<HashMap<Destination, Weak<Link>>>,
    /// The counters of every endpoint that was ever made of it.
    pub(crate) endpoints: Ledger<EndpointStats>,
}

impl Context {
    /// A context on the process's I/O threads.
    ///
    /// # Errors
    /// `ERR_INTERNAL` when the system gives no thread, no event queue or no entropy.
    pub fn new(limits: Limits) -> Result<Self, Error> {
        Self::with(threads(limits.io_threads as usize)?, limits)
    }

    /// A context on a runtime that the caller keeps running.
    ///
    /// # Errors
    /// `ERR_INTERNAL` when the system gives no entropy.
    pub fn on(runtime: Handle, limits: Limits) -> Result<Self, Error> {
        Self::with(vec![runtime], limits)
    }

    fn with(threads: Vec<Handle>, limits: Limits) -> Result<Self, Error> {
        Ok(Self(Arc::new(Shared {
            limits: Arc::new(limits),
            threads,
            next_thread: AtomicUsize::new(0),
            instance: random()?,
            links: Mutex::default(),
            endpoints: Ledger::default(),
        })))
    }

    /// Counters of all its endpoints together, closed ones included, and limits, as JSON.
    pub fn stats(&self) -> String {
        let Shared {
            limits,
            threads,
            endpoints,
            ..
        } = &*self.0;
        let links: Vec<_> = self.0.links.lock().values().filter_map(Weak::upgrade).collect();
        let lanes = links.iter().map(|link| link.open_lanes()).sum();
        let open = endpoints.count(|endpoint| !endpoint.is_closed());
        context_report(&endpoints.totals(), lanes, limits, open, threads.len())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// The link to a destination: the one that is there, or a new one.
    pub(crate) fn link(&self, destination: Destination) -> Arc<Link> {
        let mut links = self.0.links.lock();
        if let Some(link) = links.get(&destination).and_then(Weak::upgrade) {
            return link;
        }
        links.retain(|_, link| link.strong_count() > 0);
        let link = Link::new(destination.clone(), &self.0);
        links.insert(destination, Arc::downgrade(&link));
        link
    }
}

impl Shared {
    /// The thread for the next connection, in turn; it stays there.
    pub(crate) fn next_thread(&self) -> &Handle {
        &self.threads[self.next_thread.fetch_add(1, Ordering::Relaxed) % self.threads.len()]
    }

    /// Whether connections have more than one thread to be on.
    pub(crate) fn has_one_thread(&self) -> bool {
        self.threads.len() == 1
    }
}

/// A preface of ours with a fresh nonce.
///
/// # Errors
/// `ERR_INTERNAL` when the system gives no entropy.
pub(crate) fn preface(instance: [u8; 16]) -> Result<Preface, Error> {
    Ok(Preface {
        lowest: Preface::VERSION,
        highest: Preface::VERSION,
        flags: 0,
        token_hint: 0,
        instance,
        nonce: random()?,
    })
}

/// Random bytes.
///
/// # Errors
/// `ERR_INTERNAL` when the system gives none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::new(ErrorKind::Internal).detail(error.to_string()))?;
    Ok(bytes)
}

/// The I/O threads of the process: as many as the most that a context ever asked for. A worker that ends takes none of
/// them with it.
static THREADS: Mutex<Vec<Handle>> = Mutex::new(Vec::new());

fn threads(count: usize) -> Result<Vec<Handle>, Error> {
    let mut threads = THREADS.lock();
    while threads.len() < count {
        let thread = start_thread(threads.len()).map_err(|error| Error::io(ErrorKind::Internal, &error))?;
        threads.push(thread);
    }
    Ok(threads[..count].to_vec())
}

fn start_thread(index: usize) -> std::io::Result<Handle> {
    // A runtime each: a connection stays on one thread, work stealing would bounce it from core to core.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name(format!("memlane-io-{index}"))
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}
