//! What all connections of a context share: I/O threads that are never stopped, and limits.

use crate::{
    auth::Security,
    config::Limits,
    error::Error,
    network::Network,
    random::random,
    stats::{EndpointStats, Ledger},
};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::runtime::{Builder, Handle};

/// The grounds of a context.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Arc<Limits>,
    pub(crate) security: Arc<Security>,
    pub(crate) network: Arc<dyn Network>,
    threads: Vec<Handle>,
    next_thread: AtomicUsize,
    /// What connections that are no endpoint's alone say they come from.
    pub(crate) instance: [u8; 16],
    /// The counters of every endpoint that was ever made of it.
    pub(crate) endpoints: Ledger<EndpointStats>,
}

impl Shared {
    pub(crate) fn new(
        threads: Vec<Handle>,
        limits: Limits,
        security: Security,
        network: Arc<dyn Network>,
    ) -> Result<Self, Error> {
        Ok(Self {
            limits: Arc::new(limits),
            security: Arc::new(security),
            network,
            threads,
            next_thread: AtomicUsize::new(0),
            instance: random()?,
            endpoints: Ledger::default(),
        })
    }

    /// The thread for the next connection, in turn; it stays there.
    pub(crate) fn next_thread(&self) -> &Handle {
        &self.threads[self.next_thread.fetch_add(1, Ordering::Relaxed) % self.threads.len()]
    }

    /// How many threads its connections are spread over.
    pub(crate) fn threads(&self) -> usize {
        self.threads.len()
    }
}

/// The I/O threads of the process: as many as the most that a context ever asked for. A worker that ends takes none of
/// them with it.
static THREADS: Mutex<Vec<Handle>> = Mutex::new(Vec::new());

pub(crate) fn threads(count: usize) -> Result<Vec<Handle>, Error> {
    let mut threads = THREADS.lock();
    while threads.len() < count {
        let thread = start_thread(threads.len()).map_err(|error| Error::exhausted("no I/O thread", &error))?;
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
