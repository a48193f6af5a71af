//! Operations as data: what was asked for, and the one place where its end is told.

use crate::{
    error::{Error, ErrorKind},
    region::span::Span,
    stats::Stats,
};
use memlane_wire::Opcode;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// How an operation ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Nothing to tell: it is done.
    Nothing,
    /// So many bytes were moved.
    Bytes(u64),
    /// A message came in.
    Message(Box<Message>),
    /// A peer's endpoint info.
    Text(String),
}

/// A received message, without its bytes: those are in the receive's span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Bytes stored.
    pub bytes: u64,
    /// Bytes sent.
    pub message_bytes: u64,
    /// The sender's tag; 0 on the legacy wire.
    pub tag: u64,
    /// The sender's address, as `host:port`.
    pub from: String,
}

/// The end of one operation.
#[derive(Debug)]
pub struct Completion {
    /// The number that the caller gave it.
    pub id: u64,
    /// What came of it.
    pub result: Result<Done, Error>,
}

/// Where ends are told. Called on an I/O thread, or on the caller's when an operation never started.
pub trait CompletionSink: Send + Sync + 'static {
    /// Takes the end of one operation; must neither block nor call back into the engine.
    fn complete(&self, completion: Completion);
}

/// The right, and the duty, to end one operation exactly once. Dropped without an end, it ends with `ERR_CLOSED`.
pub struct Ticket {
    sink: Option<Arc<dyn CompletionSink>>,
    id: u64,
    operation: &'static str,
}

impl Ticket {
    /// A ticket for the operation that the caller calls `id`, unique among those of this sink that are open.
    pub fn new(sink: Arc<dyn CompletionSink>, id: u64, operation: &'static str) -> Self {
        Self {
            sink: Some(sink),
            id,
            operation,
        }
    }

    /// What the operation is called in errors.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Ends the operation.
    pub fn complete(mut self, result: Result<Done, Error>) {
        if let Some(sink) = self.sink.take() {
            let result = result.map_err(|error| error.during(self.operation));
            sink.complete(Completion { id: self.id, result });
        }
    }

    /// Ends the operation with an error that names it and the peer.
    pub(crate) fn fail(self, error: Error, peer: &Arc<str>) {
        let error = error.at(self.operation, peer);
        self.complete(Err(error));
    }

    fn end(self, result: Result<Done, Error>, remote: &Remote) {
        match result {
            Ok(done) => self.complete(Ok(done)),
            Err(error) => {
                remote.stats.failed.add(1);
                match error.kind() {
                    ErrorKind::Timeout => remote.stats.timed_out.add(1),
                    ErrorKind::Aborted => remote.stats.cancelled.add(1),
                    _ => {}
                }
                self.fail(error, &remote.name);
            }
        }
    }

    pub(crate) fn is(&self, key: &OperationKey) -> bool {
        self.id == key.id
            && self
                .sink
                .as_ref()
                .is_some_and(|sink| std::ptr::addr_eq(Arc::as_ptr(sink), Arc::as_ptr(&key.sink)))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(sink) = self.sink.take() {
            let result = Err(Error::new(ErrorKind::Closed).during(self.operation));
            sink.complete(Completion { id: self.id, result });
        }
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ticket({} {})", self.operation, self.id)
    }
}

/// Names one open operation, for cancelling it: its number and the sink that the number belongs to.
#[derive(Clone)]
pub struct OperationKey {
    sink: Arc<dyn CompletionSink>,
    id: u64,
}

impl OperationKey {
    /// The key of the operation that was started with this sink and number.
    pub fn new(sink: Arc<dyn CompletionSink>, id: u64) -> Self {
        Self { sink, id }
    }
}

impl std::fmt::Debug for OperationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OperationKey({})", self.id)
    }
}

/// The other end of an operation, for errors and counters.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// `host:port`.
    pub(crate) name: Arc<str>,
    pub(crate) stats: Arc<Stats>,
}

/// What a peer is asked for.
#[derive(Debug)]
pub enum Request {
    /// `into.len()` bytes from an address.
    Read {
        /// Where the peer's bytes begin.
        addr: u64,
        /// Where they go.
        into: Span,
    },
    /// Bytes, to be stored at an address.
    Write {
        /// Where they go at the peer.
        addr: u64,
        /// The bytes.
        from: Span,
    },
    /// A message.
    Send {
        /// What receives tell messages apart by; 0 on the legacy wire.
        tag: u64,
        /// Its bytes.
        from: Span,
    },
    /// The endpoint info.
    Describe,
    /// An answer.
    Ping,
}

impl Request {
    pub(crate) fn opcode(&self) -> Opcode {
        match self {
            Self::Read { .. } => Opcode::Read,
            Self::Write { .. } => Opcode::Write,
            Self::Send { .. } => Opcode::Send,
            Self::Describe => Opcode::Describe,
            Self::Ping => Opcode::Ping,
        }
    }
}

/// A request with its end and its deadline.
#[derive(Debug)]
pub struct Operation {
    /// Where its end is told.
    pub ticket: Ticket,
    /// What is asked for.
    pub request: Request,
    /// How long it may take from now on; `None` is for ever.
    pub timeout: Option<Duration>,
}

/// Who waits for a piece: a whole operation, or one of the parts of a large one.
#[derive(Debug)]
pub(crate) enum Waiter {
    Whole(Ticket),
    Part(Arc<Parts>),
}

/// An operation in several pieces: it ends with its last piece, because only then is the caller's memory quiet, and
/// with the error that came first.
#[derive(Debug)]
pub(crate) struct Parts {
    open: AtomicU32,
    total: u64,
    state: Mutex<(Option<Ticket>, Option<Error>)>,
}

impl Parts {
    pub(crate) fn new(ticket: Ticket, pieces: u32, total: u64) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicU32::new(pieces),
            total,
            state: Mutex::new((Some(ticket), None)),
        })
    }

    /// What a piece has failed with already, so that the others need not start.
    pub(crate) fn failed(&self) -> Option<Error> {
        self.state.lock().1.clone()
    }

    pub(crate) fn is(&self, key: &OperationKey) -> bool {
        self.state.lock().0.as_ref().is_some_and(|ticket| ticket.is(key))
    }

    fn finish(&self, pieces: u32, result: Result<(), Error>, remote: &Remote) {
        let mut state = self.state.lock();
        if let Err(error) = result {
            state.1.get_or_insert(error);
        }
        if self.open.fetch_sub(pieces, Ordering::AcqRel) == pieces {
            let (ticket, error) = (state.0.take(), state.1.take());
            drop(state);
            if let Some(ticket) = ticket {
                ticket.end(error.map_or(Ok(Done::Bytes(self.total)), Err), remote);
            }
        }
    }

    /// Ends pieces that were never started.
    pub(crate) fn skip(&self, pieces: u32, error: Error, remote: &Remote) {
        if pieces > 0 {
            self.finish(pieces, Err(error), remote);
        }
    }
}

impl Waiter {
    pub(crate) fn end(self, result: Result<Done, Error>, remote: &Remote) {
        match self {
            Self::Whole(ticket) => ticket.end(result, remote),
            Self::Part(parts) => parts.finish(1, result.map(|_| ()), remote),
        }
    }

    pub(crate) fn is(&self, key: &OperationKey) -> bool {
        match self {
            Self::Whole(ticket) => ticket.is(key),
            Self::Part(parts) => parts.is(key),
        }
    }
}

/// A completion that Rust code can await.
pub mod channel {
    use super::{Completion, CompletionSink, Done, Error, ErrorKind, Ticket};
    use parking_lot::Mutex;
    use std::sync::Arc;
    use tokio::sync::oneshot;

    struct Once(Mutex<Option<oneshot::Sender<Result<Done, Error>>>>);

    impl CompletionSink for Once {
        fn complete(&self, completion: Completion) {
            if let Some(sender) = self.0.lock().take() {
                // Nobody waits any more: then nobody misses it.
                let _ = sender.send(completion.result);
            }
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

    /// A ticket, the sink that it tells, and the future of its end.
    pub fn ticket(operation: &'static str) -> (Ticket, Arc<dyn CompletionSink>, Ended) {
        let (sender, receiver) = oneshot::channel();
        let sink: Arc<dyn CompletionSink> = Arc::new(Once(Mutex::new(Some(sender))));
        (Ticket::new(Arc::clone(&sink), 0, operation), sink, Ended(receiver))
    }
}
