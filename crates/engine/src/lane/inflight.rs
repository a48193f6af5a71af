//! Requests whose answer is outstanding: from a sequence to whoever waits, each exactly once. No I/O.

use super::queue::TINY_BYTES;
use crate::{op::Waiter, region::span::Span};
use memlane_wire::Opcode;
use std::collections::VecDeque;
use tokio::time::Instant;

/// One request on the wire.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) opcode: Opcode,
    /// `None` once the operation was given up: the answer is drained to nowhere.
    pub(crate) waiter: Option<Waiter>,
    /// Where a READ's bytes go; `None` as for `waiter`.
    pub(crate) into: Option<Span>,
    pub(crate) len: u64,
    /// Position in the outgoing stream behind the request's last byte.
    pub(crate) end: u64,
    pub(crate) deadline: Option<Instant>,
}

impl Slot {
    fn window_bytes(&self) -> u64 {
        if self.opcode != Opcode::Send && self.len > TINY_BYTES as u64 {
            self.len
        } else {
            0
        }
    }
}

/// What a peer did that the protocol has no room for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    UnknownSequence,
    OutOfOrder,
    AnsweredBeforeSent,
}

impl Violation {
    pub(crate) fn text(&self) -> &'static str {
        match self {
            Self::UnknownSequence => "a status for a request that is not outstanding",
            Self::OutOfOrder => "a status out of request order",
            Self::AnsweredBeforeSent => "an OK for a request that is not sent yet",
        }
    }
}

/// First in, first out; SENDs alone may be answered out of turn.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    first: u32,
    /// `None` is answered already.
    slots: VecDeque<Option<Slot>>,
    open: usize,
    window_bytes: u64,
    sends: usize,
}

impl InFlight {
    pub(crate) fn push(&mut self, slot: Slot) {
        self.open += 1;
        self.window_bytes += slot.window_bytes();
        self.sends += usize::from(slot.opcode == Opcode::Send);
        self.slots.push_back(Some(slot));
    }

    /// Requests that are not answered.
    pub(crate) fn len(&self) -> usize {
        self.open
    }

    /// Bytes that they move and that keep others waiting.
    pub(crate) fn window_bytes(&self) -> u64 {
        self.window_bytes
    }

    /// Whether every one of them is a SEND, whose answer may rightly take its time.
    pub(crate) fn only_sends(&self) -> bool {
        self.sends == self.open
    }

    /// Takes out the request that a status frame names. `sent` is the position up to which we have sent.
    pub(crate) fn answer(&mut self, sequence: u32, ok: bool, sent: u64) -> Result<Slot, Violation> {
        let index = sequence.wrapping_sub(self.first) as usize;
        let slot = self
            .slots
            .get(index)
            .and_then(Option::as_ref)
            .ok_or(Violation::UnknownSequence)?;
        let in_turn = slot.opcode == Opcode::Send
            || self
                .slots
                .iter()
                .take(index)
                .flatten()
                .all(|earlier| earlier.opcode == Opcode::Send);
        if !in_turn {
            return Err(Violation::OutOfOrder);
        }
        if ok && slot.end > sent {
            return Err(Violation::AnsweredBeforeSent);
        }
        self.remove(index).ok_or(Violation::UnknownSequence)
    }

    /// Takes out the oldest request: the one that the legacy wire answers next.
    pub(crate) fn oldest(&mut self) -> Option<Slot> {
        self.remove(0)
    }

    fn remove(&mut self, index: usize) -> Option<Slot> {
        let slot = self.slots.get_mut(index)?.take()?;
        self.open -= 1;
        self.window_bytes -= slot.window_bytes();
        self.sends -= usize::from(slot.opcode == Opcode::Send);
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        Some(slot)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut().flatten()
    }

    /// Everything that is outstanding, for a lane that ends.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Slot> {
        (self.open, self.window_bytes, self.sends) = (0, 0, 0);
        std::mem::take(&mut self.slots).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(opcode: Opcode, end: u64) -> Slot {
        Slot {
            opcode,
            waiter: None,
            into: None,
            len: 10,
            end,
            deadline: None,
        }
    }

    fn table(opcodes: &[Opcode]) -> InFlight {
        let mut table = InFlight::default();
        for &opcode in opcodes {
            table.push(slot(opcode, 100));
        }
        table
    }

    #[test]
    fn each_sequence_is_answered_once_and_in_order() {
        let mut table = table(&[Opcode::Read, Opcode::Write, Opcode::Read]);
        assert_eq!(table.answer(1, true, 100).err(), Some(Violation::OutOfOrder));
        assert!(table.answer(0, true, 100).is_ok());
        assert_eq!(table.answer(0, true, 100).err(), Some(Violation::UnknownSequence));
        assert_eq!(table.answer(3, true, 100).err(), Some(Violation::UnknownSequence));
        assert!(table.answer(1, true, 100).is_ok());
        assert!(table.answer(2, true, 100).is_ok());
        assert_eq!((table.len(), table.window_bytes()), (0, 0));
    }

    #[test]
    fn a_send_may_be_answered_out_of_turn_and_holds_up_nobody() {
        let mut table = table(&[Opcode::Send, Opcode::Read, Opcode::Send]);
        assert!(table.answer(2, true, 100).is_ok());
        assert!(table.answer(1, true, 100).is_ok());
        assert!(table.only_sends());
        assert_eq!(table.answer(1, true, 100).err(), Some(Violation::UnknownSequence));
        assert!(table.answer(0, true, 100).is_ok());
        table.push(slot(Opcode::Read, 0));
        assert!(table.answer(3, true, 100).is_ok());
    }

    #[test]
    fn ok_for_a_body_that_is_not_out_is_a_lie_and_a_refusal_is_not() {
        let mut table = table(&[Opcode::Write, Opcode::Write]);
        assert_eq!(table.answer(0, true, 99).err(), Some(Violation::AnsweredBeforeSent));
        assert!(table.answer(0, false, 99).is_ok());
        assert!(table.answer(1, true, 100).is_ok());
    }

    #[test]
    fn sequences_wrap() {
        let mut table = InFlight {
            first: u32::MAX,
            ..InFlight::default()
        };
        table.push(slot(Opcode::Read, 0));
        table.push(slot(Opcode::Read, 0));
        assert!(table.answer(u32::MAX, true, 0).is_ok());
        assert!(table.answer(0, true, 0).is_ok());
    }
}
