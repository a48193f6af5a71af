//! Operations that are not on the wire yet, and the order in which they get there.

use crate::{
    error::Error,
    op::{Operation, OperationKey, Parts, Remote, Request, Waiter},
    region::span::Span,
};
use memlane_wire::Opcode;
use std::{collections::VecDeque, sync::Arc};
use tokio::time::Instant;

/// Large reads and writes go in pieces of this size: pipelined pieces are faster than one request (the target reads one
/// while it answers another), and a small operation never waits behind more than one.
pub(crate) const PIECE_BYTES: usize = 1 << 20;

/// Small requests that may pass before a large operation gets its next piece out.
const SMALL_RUN: u32 = 64;

/// What becomes one request on the wire.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) opcode: Opcode,
    /// Address, or tag of a SEND.
    pub(crate) addr: u64,
    /// The local end; nothing for DESCRIBE and PING.
    pub(crate) span: Option<Span>,
    pub(crate) waiter: Waiter,
    pub(crate) deadline: Option<Instant>,
}

/// A large read or write, as far as it is not on the wire.
#[derive(Debug)]
struct Bulk {
    opcode: Opcode,
    addr: u64,
    span: Span,
    next: usize,
    parts: Arc<Parts>,
    deadline: Option<Instant>,
}

impl Bulk {
    fn pieces_left(&self) -> u32 {
        pieces(self.span.len() - self.next)
    }

    fn next_piece(&mut self) -> Option<Piece> {
        let len = PIECE_BYTES.min(self.span.len() - self.next);
        let piece = Piece {
            opcode: self.opcode,
            addr: self.addr + self.next as u64,
            span: Some(self.span.slice(self.next, len).filter(|span| !span.is_empty())?),
            waiter: Waiter::Part(Arc::clone(&self.parts)),
            deadline: self.deadline,
        };
        self.next += len;
        Some(piece)
    }
}

fn pieces(len: usize) -> u32 {
    u32::try_from(len.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX)
}

/// Small operations first, in order; large ones share the rest, a piece each in turn.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    small: VecDeque<Piece>,
    bulk: VecDeque<Bulk>,
    run: u32,
}

impl Queue {
    pub(crate) fn push(&mut self, operation: Operation, now: Instant) {
        let deadline = operation.timeout.map(|timeout| now + timeout);
        let opcode = operation.request.opcode();
        let (addr, span) = match operation.request {
            Request::Read { addr, into: span } | Request::Write { addr, from: span } => (addr, Some(span)),
            Request::Send { tag, from } => (tag, Some(from)),
            Request::Describe | Request::Ping => (0, None),
        };
        match span {
            // A message is one request: only reads and writes can be taken apart. An address so high that the pieces
            // would wrap names no region; it goes as it is, to be refused.
            Some(span)
                if span.len() > PIECE_BYTES
                    && opcode != Opcode::Send
                    && addr.checked_add(span.len() as u64).is_some() =>
            {
                let parts = Parts::new(operation.ticket, pieces(span.len()), span.len() as u64);
                self.bulk.push_back(Bulk {
                    opcode,
                    addr,
                    span,
                    next: 0,
                    parts,
                    deadline,
                });
            }
            span => {
                let waiter = Waiter::Whole(operation.ticket);
                self.small.push_back(Piece {
                    opcode,
                    addr,
                    span,
                    waiter,
                    deadline,
                });
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.bulk.is_empty()
    }

    /// The next request for the wire; a piece of a large operation only when `bulk_may_go`.
    pub(crate) fn next(&mut self, bulk_may_go: bool, remote: &Remote) -> Option<Piece> {
        let bulk_waits = bulk_may_go && !self.bulk.is_empty();
        if !(bulk_waits && self.run >= SMALL_RUN)
            && let Some(piece) = self.small.pop_front()
        {
            self.run += 1;
            return Some(piece);
        }
        self.run = 0;
        while bulk_may_go && let Some(mut bulk) = self.bulk.pop_front() {
            if let Some(error) = bulk.parts.failed() {
                bulk.parts.skip(bulk.pieces_left(), error, remote);
                continue;
            }
            let Some(piece) = bulk.next_piece() else { continue };
            if bulk.next < bulk.span.len() {
                self.bulk.push_back(bulk);
            }
            return Some(piece);
        }
        None
    }

    /// Ends the queued operations that `wanted` names.
    pub(crate) fn give_up(&mut self, wanted: &GiveUp<'_>, remote: &Remote) {
        let (late, rest) = self
            .small
            .drain(..)
            .partition(|piece| wanted.takes(&piece.waiter, piece.deadline, piece.span.as_ref()));
        self.small = rest;
        let late: VecDeque<Piece> = late;
        for piece in late {
            drop(piece.span);
            piece.waiter.end(Err(wanted.error()), remote);
        }
        self.bulk.retain(|bulk| {
            let part = Waiter::Part(Arc::clone(&bulk.parts));
            let stays = !wanted.takes(&part, bulk.deadline, Some(&bulk.span));
            if !stays {
                bulk.parts.skip(bulk.pieces_left(), wanted.error(), remote);
            }
            stays
        });
    }

    pub(crate) fn earliest_deadline(&self) -> Option<Instant> {
        self.small
            .iter()
            .map(|piece| piece.deadline)
            .chain(self.bulk.iter().map(|bulk| bulk.deadline))
            .flatten()
            .min()
    }
}

/// Which operations end early, and with what.
pub(crate) enum GiveUp<'a> {
    /// Those whose deadline has passed.
    Late(Instant),
    /// The one that the caller cancelled.
    Cancelled(&'a OperationKey),
    /// Those whose local memory belongs to a region that is being closed.
    Revoked,
    /// All: the lane ends.
    All(&'a Error),
}

impl GiveUp<'_> {
    pub(crate) fn takes(&self, waiter: &Waiter, deadline: Option<Instant>, span: Option<&Span>) -> bool {
        match self {
            Self::Late(now) => deadline.is_some_and(|deadline| deadline <= *now),
            Self::Cancelled(key) => waiter.is(key),
            Self::Revoked => span.is_some_and(Span::is_revoked),
            Self::All(_) => true,
        }
    }

    pub(crate) fn error(&self) -> Error {
        use crate::error::ErrorKind;
        match self {
            Self::Late(_) => Error::new(ErrorKind::Timeout),
            Self::Cancelled(_) => Error::new(ErrorKind::Aborted),
            Self::Revoked => Error::new(ErrorKind::Closed).detail("the local region was closed"),
            Self::All(error) => (*error).clone(),
        }
    }
}
