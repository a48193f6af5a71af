//! A completion that Rust code can await.

use super::{Completion, CompletionSink, Done, Issuer, Ticket};
use crate::error::{Error, ErrorKind};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::oneshot;

struct Once(Mutex<Option<oneshot::Sender<Result<Done, Error>>>>);

impl CompletionSink for Once {
    fn complete(&self, completion: Completion) -> bool {
        if let Some(sender) = self.0.lock().take() {
            // Nobody waits any more: then nobody misses it.
            let _ = sender.send(completion.result);
        }
        false
    }
}

/// The end of one operation, to be awaited once. Dropping it does not cancel the operation.
#[derive(Debug)]
pub struct Ended(oneshot::Receiver<Result<Done, Error>>);

impl Ended {
    /// The end.
    ///
    /// # Errors
    /// Those of the operation.
    pub async fn wait(self) -> Result<Done, Error> {
        self.0.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal)))
    }
}

/// A sink for one operation, and the future of its end.
pub fn once() -> (Arc<dyn CompletionSink>, Ended) {
    let (sender, receiver) = oneshot::channel();
    (Arc::new(Once(Mutex::new(Some(sender)))), Ended(receiver))
}

/// A ticket for an operation that no peer is involved in, the sink that it tells, and the future of its end.
pub fn ticket(operation: &'static str) -> (Ticket, Arc<dyn CompletionSink>, Ended) {
    let (sink, ended) = once();
    (Ticket::new(Issuer::local(Arc::clone(&sink)), 0, operation), sink, ended)
}
