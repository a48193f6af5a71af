//! Large reads and writes to one address, taken apart: whichever lane has room takes the next piece.

use super::{giving_up::GiveUp, mates::Mates, queue::Piece};
use crate::{
    error::Error,
    op::{Operation, PartHolders, Parts, Request, Waiter},
    region::span::Span,
    sync::Mutex,
};
use memlane_wire::Opcode;
use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};
use tokio::time::Instant;

/// Large reads and writes go in pieces of this size: pipelined pieces are faster than one request (the target reads one
/// while it answers another), and a small operation never waits behind more than one.
pub(crate) const PIECE_BYTES: usize = 1 << 20;

/// A large read or write, as far as it is not on the wire.
#[derive(Debug)]
pub(crate) struct Bulk {
    opcode: Opcode,
    addr: u64,
    span: Span,
    next: usize,
    parts: Arc<Parts>,
    entry: u32,
    deadline: Option<Instant>,
    /// Whether it was queued when the last lane's connection ended.
    repeated: bool,
}

impl Bulk {
    /// Whether so much is to be taken apart. An address so high that the pieces would wrap names no region; such a
    /// request goes as it is, to be refused.
    pub(crate) fn wants(addr: u64, len: usize) -> bool {
        len > PIECE_BYTES && addr.checked_add(len as u64).is_some()
    }

    /// The operation taken apart, or as it was where it is to stay whole: only reads and writes can be, a message is
    /// one request. Nothing is looked up for those, which are most.
    pub(crate) fn take_apart(
        operation: Operation,
        holders: impl FnOnce() -> Weak<dyn PartHolders>,
    ) -> Result<Self, Operation> {
        let Operation {
            ticket,
            request,
            timeout,
        } = operation;
        let opcode = request.opcode();
        match request {
            Request::Read { addr, into: span } | Request::Write { addr, from: span }
                if Self::wants(addr, span.len()) =>
            {
                let parts = Parts::new(ticket, pieces(span.len()), span.len() as u64, opcode, false, holders());
                let deadline = timeout.map(|timeout| Instant::now() + timeout);
                Ok(Self::part(opcode, addr, span, parts, 0, deadline))
            }
            request => Err(Operation {
                ticket,
                request,
                timeout,
            }),
        }
    }

    /// A large entry of an operation of several parts, of which it is [`pieces`] ones.
    pub(crate) fn part(
        opcode: Opcode,
        addr: u64,
        span: Span,
        parts: Arc<Parts>,
        entry: u32,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            opcode,
            addr,
            span,
            next: 0,
            parts,
            entry,
            deadline,
            repeated: false,
        }
    }

    fn pieces_left(&self) -> u32 {
        pieces(self.span.len() - self.next)
    }

    fn next_piece(&mut self) -> Option<Piece> {
        let len = PIECE_BYTES.min(self.span.len() - self.next);
        let piece = Piece {
            opcode: self.opcode,
            addr: self.addr + self.next as u64,
            span: Some(self.span.slice(self.next, len).filter(|span| !span.is_empty())?),
            waiter: self.waiter(),
            deadline: self.deadline,
            repeated: self.repeated,
        };
        self.next += len;
        Some(piece)
    }

    fn waiter(&self) -> Waiter {
        Waiter::Part {
            parts: Arc::clone(&self.parts),
            entry: self.entry,
        }
    }

    fn skip(self, error: Error) {
        let (parts, pieces, entry) = (Arc::clone(&self.parts), self.pieces_left(), self.entry);
        drop(self);
        parts.finish(pieces, entry, Err(error));
    }
}

/// Requests that so many bytes make.
pub(crate) fn pieces(len: usize) -> u32 {
    u32::try_from(len.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX)
}

/// The large operations of one link, a piece each in turn, and the lanes that are there to take them.
#[derive(Debug, Default)]
pub(crate) struct BulkQueue {
    state: Mutex<State>,
    mates: Arc<Mates>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bulk>,
    lanes: usize,
}

impl BulkQueue {
    /// The lanes of its link, those that take no large operations included.
    pub(crate) fn mates(&self) -> &Mates {
        &self.mates
    }

    /// Whoever is to hear when a part of an operation has failed.
    pub(crate) fn holders(&self) -> Weak<dyn PartHolders> {
        let mates: Arc<dyn PartHolders> = Arc::clone(&self.mates) as _;
        Arc::downgrade(&mates)
    }

    pub(crate) fn push(&self, bulk: Bulk) {
        self.state.lock().queue.push_back(bulk);
    }

    /// Pieces that no lane has taken yet.
    pub(crate) fn pieces_left(&self) -> u64 {
        self.state
            .lock()
            .queue
            .iter()
            .map(|bulk| u64::from(bulk.pieces_left()))
            .sum()
    }

    /// Whether a lane that has so much on the wire may have still more: not before the others have had their share of what
    /// is left, because on a long road one window could hold all of it.
    pub(super) fn has_share_for(&self, outstanding: u64) -> bool {
        let others = self.state.lock().lanes.saturating_sub(1) as u64;
        others == 0 || outstanding.div_ceil(PIECE_BYTES as u64) * others < self.pieces_left()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().queue.is_empty()
    }

    /// The next piece for a lane that has room.
    pub(crate) fn next(&self) -> Option<Piece> {
        let mut failed = Vec::new();
        let mut state = self.state.lock();
        let piece = loop {
            let Some(mut bulk) = state.queue.pop_front() else {
                break None;
            };
            if let Some(error) = bulk.parts.error() {
                failed.push((bulk, error));
                continue;
            }
            let Some(piece) = bulk.next_piece() else { continue };
            if bulk.next < bulk.span.len() {
                state.queue.push_back(bulk);
            }
            break Some(piece);
        };
        drop(state);
        for (bulk, error) in failed {
            bulk.skip(error);
        }
        piece
    }

    /// Ends the operations that `wanted` names, as far as no lane has taken them.
    pub(crate) fn give_up(&self, wanted: &GiveUp<'_>) {
        let takes = |bulk: &Bulk| wanted.takes(&bulk.waiter(), bulk.deadline, Some(&bulk.span));
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            return;
        }
        let (taken, rest): (VecDeque<_>, _) = state.queue.drain(..).partition(takes);
        state.queue = rest;
        drop(state);
        for bulk in taken {
            bulk.skip(wanted.error());
        }
    }

    pub(crate) fn earliest_deadline(&self) -> Option<Instant> {
        self.state.lock().queue.iter().filter_map(|bulk| bulk.deadline).min()
    }

    /// A lane is there to take pieces, until the guard goes.
    pub(crate) fn join(self: &Arc<Self>) -> Membership {
        self.state.lock().lanes += 1;
        Membership {
            queue: Arc::clone(self),
            counted: true,
        }
    }

    /// One lane less, unless it is the last and something waits that may go by another connection of its own: whether it
    /// stays for that. What must not wait any more ends.
    fn retire(&self, error: &Error, may_stay: bool) -> bool {
        let mut state = self.state.lock();
        if state.lanes > 1 {
            state.lanes -= 1;
            return false;
        }
        let stays = |bulk: &Bulk| may_stay && !bulk.repeated && !bulk.parts.has_failed();
        let (mut kept, ended): (VecDeque<_>, VecDeque<_>) = state.queue.drain(..).partition(stays);
        kept.iter_mut().for_each(|bulk| bulk.repeated = true);
        let stays = !kept.is_empty();
        state.queue = kept;
        state.lanes = usize::from(stays);
        drop(state);
        for bulk in ended {
            bulk.skip(error.clone());
        }
        stays
    }
}

/// A lane's place among those that take pieces.
#[derive(Debug)]
pub(crate) struct Membership {
    queue: Arc<BulkQueue>,
    counted: bool,
}

impl Membership {
    pub(crate) fn queue(&self) -> &BulkQueue {
        &self.queue
    }

    /// The lane's connection has ended, and it has nothing of its own to dial again for: whether large operations wait that
    /// nobody else is there to take. If not, its place is free.
    pub(crate) fn stays(&mut self, error: &Error) -> bool {
        self.counted = self.counted && self.queue.retire(error, true);
        self.counted
    }

    /// Takes its place again.
    pub(crate) fn rejoin(&mut self) {
        if !std::mem::replace(&mut self.counted, true) {
            self.queue.state.lock().lanes += 1;
        }
    }

    /// The lane has failed: when it was the last one, nobody is left to take what is queued.
    pub(crate) fn failed(&mut self, error: &Error) {
        if std::mem::take(&mut self.counted) {
            self.queue.retire(error, false);
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if self.counted {
            self.queue.state.lock().lanes -= 1;
        }
    }
}
