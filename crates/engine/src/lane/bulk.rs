//! Large reads and writes to one address, taken apart: whichever lane has room takes the next piece.

use super::{giving_up::GiveUp, mates::Mates, queue::Piece};
use crate::{
    error::Error,
    mailbox::Mailbox,
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
    /// Its number among those of its link, in the order in which they came.
    number: u64,
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
            number: 0,
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
    /// The number of the last operation that came.
    last: u64,
    /// Up to this one lanes that are gone had been told. Of a later one somebody is about to tell a lane: it ends by none that
    /// has not heard of it.
    told: u64,
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

    /// Queues an operation; the number by which lanes are told of it, which has to follow: one that is gone by then is opened
    /// anew.
    pub(crate) fn push(&self, mut bulk: Bulk) -> u64 {
        let mut state = self.state.lock();
        state.last += 1;
        bulk.number = state.last;
        state.queue.push_back(bulk);
        state.last
    }

    /// No lane could be opened for the operations up to this one: they end with that, unless a lane is there to take them.
    pub(crate) fn is_not_served(&self, number: u64, error: &Error) {
        let mut state = self.state.lock();
        state.told = state.told.max(number);
        if state.lanes > 0 {
            return;
        }
        let ended = std::mem::take(&mut state.queue);
        drop(state);
        for bulk in ended {
            bulk.skip(error.clone());
        }
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
            told: 0,
        }
    }

    /// One lane less, unless it is the last and something waits that may go by another connection of its own: whether it
    /// stays for that. What must not wait any more ends; what came behind the one that it was `told` of waits for the lane
    /// that is told next.
    fn retire(&self, error: &Error, may_stay: bool, told: u64) -> bool {
        let mut state = self.state.lock();
        state.told = state.told.max(told);
        if state.lanes > 1 {
            state.lanes -= 1;
            return false;
        }
        let told = state.told;
        let is_told = |bulk: &Bulk| bulk.number <= told;
        let stays = |bulk: &Bulk| !bulk.parts.has_failed() && (!is_told(bulk) || may_stay && !bulk.repeated);
        let (mut kept, ended): (VecDeque<_>, VecDeque<_>) = state.queue.drain(..).partition(stays);
        for bulk in &mut kept {
            bulk.repeated |= is_told(bulk);
        }
        let stays = may_stay && !kept.is_empty();
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
    /// The number of the last operation that the lane was told of.
    told: u64,
}

impl Membership {
    pub(crate) fn queue(&self) -> &BulkQueue {
        &self.queue
    }

    /// The lane was told of the operations up to this one.
    pub(crate) fn told(&mut self, number: u64) {
        self.told = self.told.max(number);
    }

    /// The lane has nothing to do: whether it goes, with its mailbox closed and its place free. It stays where something came in
    /// this very moment. An operation is queued before lanes are told of it: under the queue's lock, either it is seen here or
    /// whoever tells of it finds the mailbox closed.
    pub(crate) fn goes<T>(&mut self, commands: &Mailbox<T>) -> bool {
        let mut state = self.queue.state.lock();
        if !state.queue.is_empty() || !commands.close_if_empty() {
            return false;
        }
        state.lanes -= usize::from(std::mem::take(&mut self.counted));
        true
    }

    /// The lane's connection has ended, and it has nothing of its own to dial again for: whether large operations wait that
    /// nobody else is there to take. If not, its place is free.
    pub(crate) fn stays(&mut self, error: &Error) -> bool {
        self.counted = self.counted && self.queue.retire(error, true, self.told);
        self.counted
    }

    /// Takes its place again.
    pub(crate) fn rejoin(&mut self) {
        if !std::mem::replace(&mut self.counted, true) {
            self.queue.state.lock().lanes += 1;
        }
    }

    /// The lane has failed, and its mailbox is closed: when it was the last one, nobody is left to take what it, or one before
    /// it, was told of.
    pub(crate) fn failed(&mut self, error: &Error) {
        if std::mem::take(&mut self.counted) {
            self.queue.retire(error, false, self.told);
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
