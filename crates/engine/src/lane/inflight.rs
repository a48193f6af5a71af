//! Requests whose answer is outstanding: from a sequence to whoever waits, each exactly once. No I/O.

use super::train::Departed;
use crate::{
    op::{TINY_BYTES, Waiter},
    region::span::Span,
};
use memlane_wire::Opcode;
use std::collections::{BTreeMap, VecDeque};
use tokio::time::Instant;

/// One request on the wire.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) opcode: Opcode,
    /// Whether it was on the wire before, on a connection that ended.
    pub(crate) repeated: bool,
    /// Given by [`InFlight::push`].
    pub(crate) sequence: u32,
    /// Address, or tag of a SEND.
    pub(crate) addr: u64,
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
        if self.len > TINY_BYTES as u64 { self.len } else { 0 }
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

/// What waits for its turn to be answered.
#[derive(Debug)]
enum Ordered {
    One(Slot),
    /// Never of none.
    Train(Departed),
}

/// First in, first out; SENDs alone may be answered out of turn, and so lie apart: what is answered behind one that nobody
/// receives leaves nothing behind.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    /// Of the next request.
    sequence: u32,
    ordered: VecDeque<Ordered>,
    sends: BTreeMap<u32, Slot>,
    window_bytes: u64,
}

impl InFlight {
    pub(crate) fn push(&mut self, mut slot: Slot) {
        slot.sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        if slot.opcode == Opcode::Send {
            self.sends.insert(slot.sequence, slot);
        } else {
            self.window_bytes += slot.window_bytes();
            self.ordered.push_back(Ordered::One(slot));
        }
    }

    pub(crate) fn push_train(&mut self, mut train: Departed) {
        train.sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(train.len() as u32);
        self.ordered.push_back(Ordered::Train(train));
    }

    /// Whether the next sequence, after 2^32 of them, is still that of a message: nothing may be sent until it is answered.
    pub(crate) fn is_exhausted(&self) -> bool {
        !self.sends.is_empty() && self.sends.contains_key(&self.sequence)
    }

    /// How many of the next sequences, up to `most`, are nobody's.
    pub(crate) fn free(&self, most: u32) -> usize {
        if self.sends.is_empty() {
            return most as usize;
        }
        let is_free = |offset: &u32| !self.sends.contains_key(&self.sequence.wrapping_add(*offset));
        (0..most).take_while(is_free).count()
    }

    /// How many operations, or entries of lists, are not answered; those that travel together count as one.
    pub(crate) fn len(&self) -> usize {
        self.ordered.len() + self.sends.len()
    }

    /// Whether every request is answered.
    pub(crate) fn is_empty(&self) -> bool {
        self.ordered.is_empty() && self.sends.is_empty()
    }

    /// Bytes that they move and that keep others waiting.
    pub(crate) fn window_bytes(&self) -> u64 {
        self.window_bytes
    }

    /// Whether every one of them is a SEND, whose answer may rightly take its time.
    pub(crate) fn only_sends(&self) -> bool {
        self.ordered.is_empty()
    }

    /// Takes out the request that a status frame names. `sent` is the position up to which we have sent.
    pub(crate) fn answer(&mut self, sequence: u32, ok: bool, sent: u64) -> Result<Slot, Violation> {
        let lies = |slot: &Slot| ok && slot.end > sent;
        self.split();
        match self.ordered.front() {
            Some(Ordered::One(slot)) if slot.sequence == sequence => {
                if lies(slot) {
                    return Err(Violation::AnsweredBeforeSent);
                }
                return self.take_one().ok_or(Violation::UnknownSequence);
            }
            _ => {}
        }
        match self.sends.get(&sequence) {
            Some(slot) if lies(slot) => Err(Violation::AnsweredBeforeSent),
            Some(_) => self.sends.remove(&sequence).ok_or(Violation::UnknownSequence),
            None if self.ordered.iter().any(|ordered| ordered.has(sequence)) => Err(Violation::OutOfOrder),
            None => Err(Violation::UnknownSequence),
        }
    }

    /// Takes out the oldest request but for SENDs: the one that the legacy wire answers next.
    pub(crate) fn oldest(&mut self) -> Option<Slot> {
        self.split();
        self.take_one()
    }

    /// The same where that is known to be a request of its own.
    fn take_one(&mut self) -> Option<Slot> {
        let Some(Ordered::One(slot)) = self.ordered.pop_front() else {
            return None;
        };
        self.window_bytes -= slot.window_bytes();
        Some(slot)
    }

    /// The requests that are answered next, where they are those of a train.
    pub(crate) fn train(&mut self) -> Option<&mut Departed> {
        match self.ordered.front_mut() {
            Some(Ordered::Train(train)) => Some(train),
            _ => None,
        }
    }

    /// All of that train is answered.
    pub(crate) fn end_train(&mut self) {
        if let Some(Ordered::Train(mut train)) = self.ordered.pop_front() {
            train.settle();
        }
    }

    /// Has the oldest request be one of its own.
    #[inline]
    fn split(&mut self) {
        if matches!(self.ordered.front(), Some(Ordered::Train(_))) {
            self.take_first_off();
        }
    }

    fn take_first_off(&mut self) {
        let Some(Ordered::Train(train)) = self.ordered.front_mut() else {
            return;
        };
        let first = train.take_first();
        if train.len() == 0 {
            self.ordered.pop_front();
        }
        if let Some(slot) = first {
            self.ordered.push_front(Ordered::One(slot));
        }
    }

    /// Has the requests of those trains be ones of their own.
    pub(crate) fn break_up(&mut self, wanted: impl Fn(&Departed) -> bool) {
        let is_wanted = |ordered: &Ordered| matches!(ordered, Ordered::Train(train) if wanted(train));
        if !self.ordered.iter().any(is_wanted) {
            return;
        }
        for ordered in std::mem::take(&mut self.ordered) {
            match ordered {
                Ordered::Train(train) if wanted(&train) => self.ordered.extend(train.slots().map(Ordered::One)),
                other => self.ordered.push_back(other),
            }
        }
    }

    /// The requests that are ones of their own.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        let ones = self.ordered.iter_mut().filter_map(|ordered| match ordered {
            Ordered::One(slot) => Some(slot),
            Ordered::Train(_) => None,
        });
        ones.chain(self.sends.values_mut())
    }

    /// The earliest deadline that somebody still waits for.
    pub(crate) fn earliest_deadline(&mut self) -> Option<Instant> {
        let trains = self.ordered.iter().filter_map(|ordered| match ordered {
            Ordered::One(_) => None,
            Ordered::Train(train) => train.deadline(),
        });
        let earliest = trains.min();
        let waited_for = self.iter_mut().filter(|slot| slot.waiter.is_some());
        waited_for.filter_map(|slot| slot.deadline).chain(earliest).min()
    }

    /// Everything that is outstanding, for a connection that ends; the next one counts anew.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Slot> + use<> {
        self.break_up(|_| true);
        let Self { ordered, sends, .. } = std::mem::take(self);
        let ones = ordered.into_iter().filter_map(|ordered| match ordered {
            Ordered::One(slot) => Some(slot),
            Ordered::Train(_) => None,
        });
        ones.chain(sends.into_values())
    }
}

impl Ordered {
    fn has(&self, sequence: u32) -> bool {
        match self {
            Self::One(slot) => slot.sequence == sequence,
            Self::Train(train) => (sequence.wrapping_sub(train.sequence) as usize) < train.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(opcode: Opcode, end: u64) -> Slot {
        Slot {
            opcode,
            repeated: false,
            sequence: 0,
            addr: 0,
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
        assert_eq!((table.is_empty(), table.window_bytes()), (true, 0));
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
    fn sequences_wrap_and_none_is_given_to_two_requests() {
        let mut table = InFlight {
            sequence: u32::MAX,
            ..InFlight::default()
        };
        table.push(slot(Opcode::Send, 0));
        table.push(slot(Opcode::Read, 0));
        assert!(table.answer(0, true, 0).is_ok());
        // As it is when 2^32 others have been answered behind the message.
        table.sequence = u32::MAX;
        assert!(table.is_exhausted());
        assert!(table.answer(u32::MAX, true, 0).is_ok());
        assert!(!table.is_exhausted());
    }

    #[test]
    fn a_million_messages_answered_behind_one_that_is_not_leave_nothing_behind() {
        let mut table = table(&[Opcode::Send]);
        for sequence in 1..1_000_000 {
            table.push(slot(Opcode::Send, 0));
            table.push(slot(Opcode::Read, 0));
            let sequence = 2 * sequence - 1;
            assert!(table.answer(sequence, true, 0).is_ok());
            assert!(table.answer(sequence + 1, true, 0).is_ok());
        }
        assert_eq!((table.ordered.len(), table.sends.len()), (0, 1));
        assert!(table.ordered.capacity() < 10, "{}", table.ordered.capacity());
        assert!(table.answer(0, true, 100).is_ok());
    }

    #[test]
    fn a_slot_is_small() {
        assert!(size_of::<Slot>() <= 128, "{} bytes", size_of::<Slot>());
    }
}
