//! Small operations of one lane that are not on the wire yet.

use super::{giving_up::GiveUp, train::Train};
use crate::{
    error::Error,
    op::{Operation, Request, TINY_BYTES, Waiter},
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

/// Tiny requests that may pass before another gets its turn.
pub(crate) const TINY_RUN: u32 = 64;

impl Piece {
    /// Whether it is to wait for room on the wire. Messages never do: they are answered when somebody receives them.
    pub(crate) fn wants_room(&self) -> bool {
        self.opcode != Opcode::Send && self.span.as_ref().is_some_and(|span| span.len() > TINY_BYTES)
    }
}

/// What is tiny and waits.
#[derive(Debug)]
pub(crate) enum Tiny {
    Piece(Piece),
    Train(Train),
}

impl Tiny {
    fn is_wanted(&self, wanted: &GiveUp<'_>) -> bool {
        match self {
            Self::Piece(piece) => piece.is_wanted(wanted),
            Self::Train(train) => wanted.takes(&train.waiter(), train.deadline(), Some(train.whole())),
        }
    }

    fn is_repeated(&self) -> bool {
        match self {
            Self::Piece(piece) => piece.repeated,
            Self::Train(train) => train.repeated,
        }
    }

    fn repeat(&mut self) {
        match self {
            Self::Piece(piece) => piece.repeated = true,
            Self::Train(train) => train.repeated = true,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Piece(piece) => piece.deadline,
            Self::Train(train) => train.deadline(),
        }
    }

    /// Ends it.
    pub(super) fn fail(self, error: Error) {
        match self {
            Self::Piece(piece) => piece.fail(error),
            Self::Train(train) => train.fail(error),
        }
    }
}

impl Piece {
    fn is_wanted(&self, wanted: &GiveUp<'_>) -> bool {
        wanted.takes(&self.waiter, self.deadline, self.span.as_ref())
    }

    fn fail(self, error: Error) {
        // The memory goes first: whoever learns of the end finds it quiet.
        drop(self.span);
        self.waiter.end(Err(error));
    }
}

/// In order of arrival; what wants room waits apart, so that tiny operations pass it.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    tiny: VecDeque<Tiny>,
    roomy: VecDeque<Piece>,
}

impl Queue {
    pub(crate) fn push(&mut self, piece: Piece) {
        if piece.wants_room() {
            self.roomy.push_back(piece);
        } else {
            self.tiny.push_back(Tiny::Piece(piece));
        }
    }

    pub(crate) fn push_train(&mut self, train: Train) {
        self.tiny.push_back(Tiny::Train(train));
    }

    /// What is left of the train that was taken out last.
    pub(crate) fn put_back(&mut self, train: Train) {
        self.tiny.push_front(Tiny::Train(train));
    }

    /// For another connection: `first` goes before what is queued. What was to go by an earlier one already ends with
    /// `error`.
    pub(crate) fn begin_anew(&mut self, first: Vec<Piece>, error: &Error) {
        let (tiny, roomy) = (std::mem::take(&mut self.tiny), std::mem::take(&mut self.roomy));
        first.into_iter().for_each(|piece| self.push(piece));
        self.tiny.extend(tiny);
        self.roomy.extend(roomy);
        self.fail_repeated(error);
        self.tiny.iter_mut().for_each(Tiny::repeat);
        self.roomy.iter_mut().for_each(|piece| piece.repeated = true);
    }

    /// Ends with `error` what was to go by an earlier connection already.
    pub(crate) fn fail_repeated(&mut self, error: &Error) {
        for tiny in taken_out(&mut self.tiny, Tiny::is_repeated) {
            tiny.fail(error.clone());
        }
        for piece in taken_out(&mut self.roomy, |piece| piece.repeated) {
            piece.fail(error.clone());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tiny.is_empty() && self.roomy.is_empty()
    }

    /// The next one that needs no room.
    pub(crate) fn next(&mut self) -> Option<Tiny> {
        self.tiny.pop_front()
    }

    /// The next one that needs room.
    pub(crate) fn next_roomy(&mut self) -> Option<Piece> {
        self.roomy.pop_front()
    }

    /// Ends the queued operations that `wanted` names.
    pub(crate) fn give_up(&mut self, wanted: &GiveUp<'_>) {
        for tiny in taken_out(&mut self.tiny, |tiny| tiny.is_wanted(wanted)) {
            tiny.fail(wanted.error());
        }
        for piece in taken_out(&mut self.roomy, |piece| piece.is_wanted(wanted)) {
            piece.fail(wanted.error());
        }
    }

    pub(crate) fn earliest_deadline(&self) -> Option<Instant> {
        let tiny = self.tiny.iter().filter_map(Tiny::deadline);
        let roomy = self.roomy.iter().filter_map(|piece| piece.deadline);
        tiny.chain(roomy).min()
    }
}

/// Those that are wanted; the others stay.
fn taken_out<W>(queue: &mut VecDeque<W>, wanted: impl Fn(&W) -> bool) -> Vec<W> {
    if !queue.iter().any(&wanted) {
        return Vec::new();
    }
    let (taken, rest): (Vec<_>, Vec<_>) = queue.drain(..).partition(&wanted);
    *queue = rest.into();
    taken
}
