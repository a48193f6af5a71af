//! The runtime that everything runs on: one per process, never stopped.

use crate::error::{Error, ErrorKind};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};

/// A handle to the I/O thread. Cloning it is cheap; nothing ends when it is dropped.
#[derive(Clone, Debug)]
pub struct Context {
    runtime: Handle,
}

/// A process has one I/O thread however many environments use it: a worker that ends takes nothing with it.
static SHARED: Mutex<Option<Context>> = Mutex::new(None);

impl Context {
    /// The context of this process, started by the first call.
    ///
    /// # Errors
    /// `ERR_INTERNAL` when the system gives no thread or no event queue.
    pub fn shared() -> Result<Self, Error> {
        let mut shared = SHARED.lock();
        if let Some(context) = shared.as_ref() {
            return Ok(context.clone());
        }
        let context = Self::start().map_err(|error| Error::io(ErrorKind::Internal, &error))?;
        Ok(shared.insert(context).clone())
    }

    /// A context on a runtime that the caller keeps running.
    pub fn on(runtime: Handle) -> Self {
        Self { runtime }
    }

    fn start() -> std::io::Result<Self> {
        // Each connection stays on one thread: work stealing would bounce it from core to core.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("memlane-io".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        Ok(Self { runtime: handle })
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}
