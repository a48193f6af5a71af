//! Operations that went out in several pieces, and who waits for one.

use super::{Done, OperationKey, Remote, Ticket};
use crate::{
    error::Error,
    sync::{AtomicBool, AtomicU32, Mutex, Ordering},
};
use memlane_wire::Opcode;
use std::sync::{Arc, Weak};

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

    /// Counts bytes that were moved for it.
    pub(crate) fn count(&self, opcode: Opcode, bytes: u64) {
        if let Some(remote) = &self.remote {
            remote.moved(opcode, bytes);
        }
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
