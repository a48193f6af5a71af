//! Tiny entries of one list, one behind the other: queued, sent and answered many at a time.
//!
//! What is the same for all of them (who waits, the memory, the deadline) is held once. Whatever is not the usual course
//! makes requests of their own of them: a refusal, an answer that came in half, an early end.

use super::{
    inflight::Slot,
    queue::{Piece, TINY_RUN},
};
use crate::{
    error::Error,
    io::{RecvBuffer, SendQueue},
    op::{Car, Parts, Waiter},
    region::span::Span,
};
use memlane_wire::{Header, Opcode, Status, StatusFrame};
use std::{ops::Range, sync::Arc};
use tokio::time::Instant;

#[derive(Debug)]
struct Cargo {
    opcode: Opcode,
    cars: Vec<Car>,
    parts: Arc<Parts>,
    deadline: Option<Instant>,
}

impl Cargo {
    fn waiter(&self, index: usize) -> Waiter {
        Waiter::Part {
            parts: Arc::clone(&self.parts),
            entry: self.cars.get(index).map_or(0, |car| car.entry),
        }
    }
}

/// Entries that are not on the wire yet; never none.
#[derive(Debug)]
pub(crate) struct Train {
    cargo: Arc<Cargo>,
    whole: Span,
    left: Range<usize>,
    /// Whether it was to go by a connection that has ended: that happens to it once.
    pub(super) repeated: bool,
}

impl Train {
    /// Entries whose local ends are in `whole`.
    pub(crate) fn new(
        opcode: Opcode,
        whole: Span,
        cars: Vec<Car>,
        parts: Arc<Parts>,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            left: 0..cars.len(),
            cargo: Arc::new(Cargo {
                opcode,
                cars,
                parts,
                deadline,
            }),
            whole,
            repeated: false,
        }
    }

    pub(super) fn waiter(&self) -> Waiter {
        self.cargo.waiter(self.left.start)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.cargo.deadline
    }

    pub(super) fn whole(&self) -> &Span {
        &self.whole
    }

    /// Its entries as requests of their own.
    pub(super) fn pieces(self) -> impl Iterator<Item = Piece> {
        let Self {
            cargo,
            whole,
            left,
            repeated,
        } = self;
        left.map(move |index| {
            let Car { addr, at, len, .. } = cargo.cars[index];
            Piece {
                opcode: cargo.opcode,
                addr,
                span: whole.slice(at, len as usize),
                waiter: cargo.waiter(index),
                deadline: cargo.deadline,
                repeated,
            }
        })
    }

    /// Ends all of it.
    pub(super) fn fail(self, error: Error) {
        let (parts, count) = (Arc::clone(&self.cargo.parts), self.left.len() as u32);
        let entry = self.cargo.cars.get(self.left.start).map_or(0, |car| car.entry);
        // The memory goes first: whoever learns of the end finds it quiet.
        drop(self);
        parts.finish(count, entry, Err(error));
    }

    /// Puts at most `most` entries into the send queue, as far as that has room; and what is left of it.
    pub(super) fn depart(mut self, most: usize, tx: &mut SendQueue) -> (Departed, Option<Self>) {
        let cargo = &self.cargo;
        let (first, sent_before) = (self.left.start, tx.queued());
        let until = self.left.end.min(first + most.clamp(1, TINY_RUN as usize));
        if cargo.opcode == Opcode::Read {
            let room = tx.room((until - first) * Header::LEN);
            for (bytes, car) in room.chunks_exact_mut(Header::LEN).zip(&cargo.cars[first..until]) {
                bytes.copy_from_slice(&Header::new(Opcode::Read, u64::from(car.len), car.addr).encode());
            }
            self.left.start = until;
        } else {
            while self.left.start < until && (self.left.start == first || !tx.is_full()) {
                let car = &cargo.cars[self.left.start];
                let header = Header::new(cargo.opcode, u64::from(car.len), car.addr).encode();
                // Memory of ours gives every byte of itself; only a file's could be lost.
                let _ = tx.push_part(&header, &self.whole, car.at, car.len as usize);
                self.left.start += 1;
            }
        }
        let (left, repeated) = (first..self.left.start, self.repeated);
        // What was written is copied; what is read into is held until it is there.
        let is_read = cargo.opcode == Opcode::Read;
        let (cargo, into, rest) = if self.left.is_empty() {
            (self.cargo, is_read.then_some(self.whole), None)
        } else {
            (Arc::clone(cargo), is_read.then(|| self.whole.clone()), Some(self))
        };
        let departed = Departed {
            cargo,
            into,
            answered: left.start,
            left,
            repeated,
            sequence: 0,
            end: sent_before,
            bytes: 0,
        };
        (departed, rest)
    }
}

/// Entries that are on the wire, in order and without another request between them.
#[derive(Debug)]
pub(crate) struct Departed {
    cargo: Arc<Cargo>,
    into: Option<Span>,
    /// The first whose end is not told.
    answered: usize,
    left: Range<usize>,
    repeated: bool,
    /// Of the first that is left. Given by the table.
    pub(super) sequence: u32,
    /// Position in the outgoing stream in front of that.
    end: u64,
    /// Moved for those whose end is not told.
    bytes: u64,
}

impl Departed {
    /// Whose answers are outstanding.
    pub(super) fn len(&self) -> usize {
        self.left.len()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.cargo.deadline
    }

    pub(super) fn waiter(&self) -> Waiter {
        self.cargo.waiter(self.left.start)
    }

    pub(super) fn into(&self) -> Option<&Span> {
        self.into.as_ref()
    }

    /// Takes the answers that are there, whole, and what was expected; whether there were any. `sent` is the position up to
    /// which we have sent.
    pub(super) fn take_answers(&mut self, rx: &mut RecvBuffer, sent: u64) -> bool {
        let bytes = rx.bytes();
        let (mut taken, mut moved) = (0, 0);
        let is_read = self.cargo.opcode == Opcode::Read;
        for car in &self.cargo.cars[self.left.clone()] {
            let len = car.len as usize;
            let (body, written) = if is_read { (len, 0) } else { (0, len) };
            let Some((frame, rest)) = bytes[taken..].split_first_chunk() else {
                break;
            };
            let end = self.end + (Header::LEN + written) as u64;
            if *frame != StatusFrame::new(self.sequence, Status::Ok).encode() || rest.len() < body || end > sent {
                break;
            }
            if let Some(into) = &self.into
                && into.copy_in(car.at, &rest[..body]).is_err()
            {
                break;
            }
            taken += StatusFrame::LEN + body;
            moved += len as u64;
            self.end = end;
            self.sequence = self.sequence.wrapping_add(1);
            self.left.start += 1;
        }
        self.bytes += moved;
        rx.consume(taken);
        taken > 0
    }

    /// Tells the end of those that were answered.
    pub(super) fn settle(&mut self) {
        let count = (self.left.start - self.answered) as u32;
        if count > 0 {
            let parts = Arc::clone(&self.cargo.parts);
            let bytes = std::mem::take(&mut self.bytes);
            self.answered = self.left.start;
            if self.left.is_empty() {
                // As in `Train::fail`.
                self.into = None;
            }
            parts.count(self.cargo.opcode, bytes);
            parts.finish(count, 0, Ok(()));
        }
    }

    /// The first that is left, as a request of its own.
    pub(super) fn take_first(&mut self) -> Option<Slot> {
        self.settle();
        let index = self.left.next()?;
        // It is told by itself.
        self.answered = self.left.start;
        let Car { addr, at, len, .. } = self.cargo.cars[index];
        let (sequence, is_read) = (self.sequence, self.cargo.opcode == Opcode::Read);
        self.sequence = sequence.wrapping_add(1);
        self.end += Header::LEN as u64 + if is_read { 0 } else { u64::from(len) };
        let into = self.into.as_ref().and_then(|whole| whole.slice(at, len as usize));
        if self.left.is_empty() {
            self.into = None;
        }
        Some(Slot {
            opcode: self.cargo.opcode,
            repeated: self.repeated,
            sequence,
            addr,
            waiter: Some(self.cargo.waiter(index)),
            into,
            len: u64::from(len),
            end: self.end,
            deadline: self.cargo.deadline,
        })
    }

    /// All that are left, as requests of their own.
    pub(super) fn slots(mut self) -> impl Iterator<Item = Slot> {
        std::iter::from_fn(move || self.take_first())
    }
}
