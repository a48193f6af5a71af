//! The in-flight table of a lane.

use crate::lane::inflight::{InFlight, Slot};
use memlane_wire::Opcode;

/// So many requests of one kind that are on the wire. Its depth stays: each answer makes room for one more request.
pub struct Outstanding {
    table: InFlight,
    opcode: Opcode,
    oldest: u32,
    newest: u32,
}

impl Outstanding {
    /// Reads, which are answered in their order.
    #[must_use]
    pub fn reads(depth: u32) -> Self {
        Self::of(Opcode::Read, depth)
    }

    /// Messages, which are answered in any order.
    #[must_use]
    pub fn sends(depth: u32) -> Self {
        Self::of(Opcode::Send, depth)
    }

    fn of(opcode: Opcode, depth: u32) -> Self {
        let mut all = Self {
            table: InFlight::default(),
            opcode,
            oldest: 0,
            newest: 0,
        };
        (0..depth).for_each(|_| all.push());
        all
    }

    fn push(&mut self) {
        self.table.push(Slot {
            opcode: self.opcode,
            repeated: false,
            sequence: 0,
            addr: 0,
            waiter: None,
            into: None,
            len: 64,
            end: 0,
            deadline: None,
        });
        self.newest = self.newest.wrapping_add(1);
    }

    fn answer(&mut self, sequence: u32) {
        assert!(self.table.answer(sequence, true, 0).is_ok());
        self.push();
    }

    /// The oldest request is answered, and another one goes out.
    pub fn answer_oldest(&mut self) {
        self.answer(self.oldest);
        self.oldest = self.oldest.wrapping_add(1);
    }

    /// The newest request is answered, and another one goes out.
    pub fn answer_newest(&mut self) {
        self.answer(self.newest.wrapping_sub(1));
    }
}
