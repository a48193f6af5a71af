//! Operations as data: what was asked for, and the one place where its end is told.

use crate::{
    error::{Error, ErrorKind},
    region::span::Span,
    stats::Stats,
};
use memlane_wire::Opcode;
use std::{sync::Arc, time::Duration};

pub mod channel;
mod list;
mod parts;
mod telling;

pub use list::List;
pub(crate) use list::{Car, Item, TINY_BYTES};
pub(crate) use parts::{PartHolders, Parts, Waiter};
pub(crate) use telling::{FLOOD, Telling};

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
    /// Takes the end of one operation; must neither block nor call back into the engine. Whether somebody has to be woken for
    /// it, by [`CompletionSink::wake`].
    fn complete(&self, completion: Completion) -> bool;

    /// Wakes whoever fetches ends, which may be once for many.
    fn wake(&self) {}
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
            if !has_begun {
                remote.stats.refuse(operation);
            }
            remote.count(&error);
            error.at(operation, &remote.name)
        });
        telling::tell(&self.sink, Completion { id, result });
    }
}

/// What follows when the first part of an operation has succeeded; it takes over the duty to end it.
pub(crate) trait Next: Send + Sync {
    fn proceed(self: Box<Self>, ticket: Ticket, done: Done);

    /// What the whole operation ends with when that part has failed.
    fn failed(&self, error: Error) -> Error {
        error
    }
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
            (Some(next), Err(error)) => self.end(Err(next.failed(error))),
            (None, result) => self.end(result),
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
            let closed = Error::new(ErrorKind::Closed);
            let error = match &self.next {
                Some(next) => next.failed(closed),
                None => closed,
            };
            issuer.tell(self.id, self.operation, self.has_begun, Err(error));
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

    /// So many bytes were moved for it.
    pub(crate) fn moved(&self, opcode: Opcode, bytes: u64) {
        match opcode {
            Opcode::Read => self.stats.bytes_read.add(bytes),
            Opcode::Write => self.stats.bytes_written.add(bytes),
            Opcode::Send => self.stats.bytes_sent.add(bytes),
            Opcode::Describe | Opcode::Ping => {}
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
