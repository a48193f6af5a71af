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
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

/// Names an endpoint: random per start, in its prefaces and its endpoint info.
pub type Instance = [u8; 16];

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
    /// The instance id of the endpoint that sent it; the legacy wire does not say.
    pub instance: Option<Instance>,
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

/// Who issues operations: where their ends are told, and whom they are for.
pub struct Issuer {
    sink: Arc<dyn CompletionSink>,
    remote: Option<Remote>,
}

impl Issuer {
    /// For operations that no peer is involved in.
    pub fn local(sink: Arc<dyn CompletionSink>) -> Arc<Self> {
        Arc::new(Self { sink, remote: None })
    }

    pub(crate) fn to(remote: Remote, sink: Arc<dyn CompletionSink>) -> Arc<Self> {
        Arc::new(Self {
            sink,
            remote: Some(remote),
        })
    }

    pub(crate) fn remote(&self) -> Option<&Remote> {
        self.remote.as_ref()
    }

    fn tell(&self, id: u64, operation: &'static str, has_begun: bool, result: Result<Done, Error>) {
        if let Some(remote) = &self.remote
            && has_begun
        {
            remote.stats.ended.add(1);
        }
        let result = result.map_err(|error| {
            let Some(remote) = &self.remote else {
                return error.during(operation);
            };
            remote.count(&error);
            error.at(operation, &remote.name)
        });
        self.sink.complete(Completion { id, result });
    }
}

/// What follows when the first part of an operation has succeeded; it takes over the duty to end it.
pub(crate) trait Next: Send + Sync {
    fn proceed(self: Box<Self>, ticket: Ticket, done: Done);
}

/// The right, and the duty, to end one operation exactly once. Dropped without an end, it ends with `ERR_CLOSED`.
pub struct Ticket {
    issuer: Option<Arc<Issuer>>,
    id: u64,
    operation: &'static str,
    /// Whether it is counted as in flight.
    has_begun: bool,
    next: Option<Box<dyn Next>>,
}

impl Ticket {
    /// A ticket for the operation that the caller calls `id`, unique among those of this issuer's sink that are open.
    pub fn new(issuer: Arc<Issuer>, id: u64, operation: &'static str) -> Self {
        Self {
            issuer: Some(issuer),
            id,
            operation,
            has_begun: false,
            next: None,
        }
    }

    /// The operation was counted where it began, so that its end is to be counted too.
    pub(crate) fn begin(&mut self) {
        self.has_begun = true;
    }

    /// The same, but success is not the end yet.
    pub(crate) fn then(mut self, next: Box<dyn Next>) -> Self {
        self.next = Some(next);
        self
    }

    /// Ends the operation. An error is completed with the operation's name and the peer's.
    pub fn complete(mut self, result: Result<Done, Error>) {
        match (self.next.take(), result) {
            (Some(next), Ok(done)) => next.proceed(self, done),
            (_, result) => self.end(result),
        }
    }

    fn end(mut self, result: Result<Done, Error>) {
        if let Some(issuer) = self.issuer.take() {
            issuer.tell(self.id, self.operation, self.has_begun, result);
        }
    }

    /// Ends the operation with an error that another than the issuer's peer is named in.
    pub(crate) fn fail(self, error: Error, peer: &Arc<str>) {
        let error = error.at(self.operation, peer);
        self.complete(Err(error));
    }

    pub(crate) fn remote(&self) -> Option<&Remote> {
        self.issuer.as_ref().and_then(|issuer| issuer.remote())
    }

    pub(crate) fn key(&self) -> Option<OperationKey> {
        self.issuer
            .as_ref()
            .map(|issuer| OperationKey::new(Arc::clone(&issuer.sink), self.id))
    }

    pub(crate) fn is(&self, key: &OperationKey) -> bool {
        self.id == key.id && self.key().as_ref() == Some(key)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(issuer) = self.issuer.take() {
            issuer.tell(
                self.id,
                self.operation,
                self.has_begun,
                Err(Error::new(ErrorKind::Closed)),
            );
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

impl PartialEq for OperationKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && std::ptr::addr_eq(Arc::as_ptr(&self.sink), Arc::as_ptr(&other.sink))
    }
}

impl Eq for OperationKey {}

impl std::hash::Hash for OperationKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl std::fmt::Debug for OperationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OperationKey({})", self.id)
    }
}

/// The peer that operations are for: its name in errors, and its counters.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// `host:port`.
    pub(crate) name: Arc<str>,
    pub(crate) stats: Arc<Stats>,
}

impl Remote {
    fn count(&self, error: &Error) {
        self.stats.failed.add(1);
        match error.kind() {
            ErrorKind::Timeout => self.stats.timed_out.add(1),
            ErrorKind::Aborted => self.stats.cancelled.add(1),
            _ => {}
        }
    }

    /// Whether both are the same peer of the same endpoint.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.name, &other.name)
    }
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

/// Which way the bytes of a list go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the peer.
    Read,
    /// To the peer.
    Write,
}

/// One entry of a list: a local range, and the remote one of the same length.
#[derive(Debug)]
pub struct Entry {
    /// Where the remote range begins.
    pub addr: u64,
    /// The local range.
    pub span: Span,
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

/// Who waits for a piece: a whole operation, or an operation of several parts.
#[derive(Debug)]
pub(crate) enum Waiter {
    Whole(Ticket),
    /// `entry` is the place in the caller's list, for an operation that is one.
    Part {
        parts: Arc<Parts>,
        entry: u32,
    },
}

/// Whoever may hold parts of an operation.
pub(crate) trait PartHolders: std::fmt::Debug + Send + Sync {
    /// A part has failed: the others are for nothing. Called with no lock of an operation held; must not call back.
    fn part_failed(&self);
}

/// An operation in several pieces: it ends with its last piece, because only then is the caller's memory quiet, and
/// with the error that came first.
#[derive(Debug)]
pub(crate) struct Parts {
    open: AtomicU32,
    total: u64,
    is_list: bool,
    failed: AtomicBool,
    /// Whether a part that changes the peer has been applied, or may have been: a failure then leaves the whole half done.
    applied: AtomicBool,
    writes: bool,
    remote: Option<Remote>,
    holders: Weak<dyn PartHolders>,
    state: Mutex<(Option<Ticket>, Option<Error>)>,
}

impl Parts {
    /// For `pieces` pieces that move `total` bytes; a failed piece of a list is named by its entry.
    pub(crate) fn new(
        ticket: Ticket,
        pieces: u32,
        total: u64,
        opcode: Opcode,
        is_list: bool,
        holders: Weak<dyn PartHolders>,
    ) -> Arc<Self> {
        let remote = ticket.remote().cloned();
        let state = Mutex::new((Some(ticket), None));
        let writes = opcode == Opcode::Write;
        let (failed, applied) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self {
            open: AtomicU32::new(pieces),
            total,
            is_list,
            failed,
            applied,
            writes,
            remote,
            holders,
            state,
        })
    }

    /// What a piece has failed with already, so that the others need not start.
    pub(crate) fn error(&self) -> Option<Error> {
        self.has_failed().then(|| self.state.lock().1.clone()).flatten()
    }

    /// Whether a piece has failed already.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Ends so many pieces with one result.
    pub(crate) fn finish(&self, pieces: u32, entry: u32, result: Result<(), Error>) {
        let mut is_first = false;
        match result {
            Ok(()) if self.writes => self.applied.store(true, Ordering::Relaxed),
            Ok(()) => {}
            Err(error) => {
                if error.is_outcome_unknown() {
                    self.applied.store(true, Ordering::Relaxed);
                }
                let error = if self.is_list { error.entry(entry) } else { error };
                let mut state = self.state.lock();
                is_first = state.1.is_none();
                state.1.get_or_insert(error);
                self.failed.store(true, Ordering::Release);
            }
        }
        if self.open.fetch_sub(pieces, Ordering::AcqRel) == pieces {
            let (ticket, error) = std::mem::take(&mut *self.state.lock());
            let half_done = self.applied.load(Ordering::Relaxed);
            let error = error.map(|error| if half_done { error.outcome_unknown() } else { error });
            if let Some(ticket) = ticket {
                ticket.complete(error.map_or(Ok(Done::Bytes(self.total)), Err));
            }
        } else if is_first && let Some(holders) = self.holders.upgrade() {
            holders.part_failed();
        }
    }
}

impl Waiter {
    pub(crate) fn end(self, result: Result<Done, Error>) {
        match self {
            Self::Whole(ticket) => ticket.complete(result),
            Self::Part { parts, entry } => parts.finish(1, entry, result.map(|_| ())),
        }
    }

    /// Whether another part of its operation has failed, so that this one is for nothing.
    pub(crate) fn has_failed(&self) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Part { parts, .. } => parts.has_failed(),
        }
    }

    pub(crate) fn key(&self) -> Option<OperationKey> {
        match self {
            Self::Whole(ticket) => ticket.key(),
            Self::Part { parts, .. } => parts.state.lock().0.as_ref().and_then(Ticket::key),
        }
    }

    pub(crate) fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Whole(ticket) => ticket.remote(),
            Self::Part { parts, .. } => parts.remote.as_ref(),
        }
    }
}

/// A completion that Rust code can await.
pub mod channel {
    use super::{Completion, CompletionSink, Done, Error, ErrorKind, Issuer, Ticket};
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
}
