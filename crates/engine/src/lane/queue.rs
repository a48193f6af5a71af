//! Small operations of one lane that are not on the wire yet.

use super::giving_up::GiveUp;
use crate::{
    error::Error,
    io::share::SMALL_BYTES,
    op::{Operation, Request, Waiter},
    region::span::Span,
};
use memlane_wire::Opcode;
use std::collections::VecDeque;
use tokio::time::Instant;

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
    /// Whether it was to go by a connection that has ended: that happens to it once.
    pub(crate) repeated: bool,
}

impl Piece {
    /// An operation that is one request.
    pub(crate) fn whole(operation: Operation, now: Instant) -> Self {
        let deadline = operation.timeout.map(|timeout| now + timeout);
        let opcode = operation.request.opcode();
        let (addr, span) = match operation.request {
            Request::Read { addr, into: span } | Request::Write { addr, from: span } => (addr, Some(span)),
            Request::Send { tag, from } => (tag, Some(from)),
            Request::Describe | Request::Ping => (0, None),
        };
        Self {
            opcode,
            addr,
            span,
            waiter: Waiter::Whole(operation.ticket),
            deadline,
            repeated: false,
        }
    }
}

/// Reads and writes above this size count for the window of their lane, and wait while it is full.
pub(crate) const TINY_BYTES: usize = SMALL_BYTES;

impl Piece {
    /// Whether it is to wait for room on the wire. Messages never do: they are answered when somebody receives them.
    pub(crate) fn wants_room(&self) -> bool {
        self.opcode != Opcode::Send && self.span.as_ref().is_some_and(|span| span.len() > TINY_BYTES)
    }
}

/// In order of arrival; what wants room waits apart, so that tiny operations pass it.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pieces: VecDeque<Piece>,
    roomy: VecDeque<Piece>,
}

impl Queue {
    pub(crate) fn push(&mut self, piece: Piece) {
        if piece.wants_room() {
            self.roomy.push_back(piece);
        } else {
            self.pieces.push_back(piece);
        }
    }

    /// For another connection: `first` goes before what is queued. What was to go by an earlier one already ends with
    /// `error`.
    pub(crate) fn begin_anew(&mut self, first: Vec<Piece>, error: &Error) {
        let tiny = std::mem::take(&mut self.pieces);
        for mut piece in first.into_iter().chain(tiny).chain(std::mem::take(&mut self.roomy)) {
            if piece.repeated {
                drop(piece.span);
                piece.waiter.end(Err(error.clone()));
            } else {
                piece.repeated = true;
                self.push(piece);
            }
        }
    }

    /// Ends with `error` what was to go by an earlier connection already.
    pub(crate) fn fail_repeated(&mut self, error: &Error) {
        for queue in [&mut self.pieces, &mut self.roomy] {
            let (repeated, rest): (Vec<_>, Vec<_>) = queue.drain(..).partition(|piece| piece.repeated);
            *queue = rest.into();
            for piece in repeated {
                drop(piece.span);
                piece.waiter.end(Err(error.clone()));
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.roomy.is_empty()
    }

    /// The next one that needs no room.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }

    /// The next one that needs room.
    pub(crate) fn next_roomy(&mut self) -> Option<Piece> {
        self.roomy.pop_front()
    }

    /// Ends the queued operations that `wanted` names.
    pub(crate) fn give_up(&mut self, wanted: &GiveUp<'_>) {
        let takes = |piece: &Piece| wanted.takes(&piece.waiter, piece.deadline, piece.span.as_ref());
        for queue in [&mut self.pieces, &mut self.roomy] {
            if !queue.iter().any(takes) {
                continue;
            }
            let (taken, rest): (Vec<_>, Vec<_>) = queue.drain(..).partition(takes);
            *queue = rest.into();
            for piece in taken {
                drop(piece.span);
                piece.waiter.end(Err(wanted.error()));
            }
        }
    }

    pub(crate) fn earliest_deadline(&self) -> Option<Instant> {
        self.pieces
            .iter()
            .chain(&self.roomy)
            .filter_map(|piece| piece.deadline)
            .min()
    }
}
