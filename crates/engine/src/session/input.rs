//! What was received, taken apart: headers, and bodies as far as they lie in the buffer.

use super::{
    End, Phase, Session,
    handler::{Action, decide},
};
use crate::io::Transport;
use memlane_wire::{DESCRIBE_MAX, DescribeLength, Header, Mode, Status};

impl<T: Transport> Session<T> {
    /// Goes through the buffer as far as it goes, many requests at once.
    pub(super) fn handle_input(&mut self) -> Result<(), End> {
        loop {
            let went_on = match &self.phase {
                Phase::Sniff => self.handle_sniff(),
                Phase::Preface => self.handle_preface()?,
                Phase::Header => !self.tx.is_full() && self.handle_header(),
                Phase::Store { .. } => self.handle_store(),
                Phase::Drain { .. } => self.handle_drain(),
                Phase::Message { .. } => self.handle_message(),
                Phase::Parked { .. } => false,
                Phase::Closing { .. } => {
                    self.rx.consume(usize::MAX);
                    false
                }
            };
            if !went_on {
                return Ok(());
            }
        }
    }

    fn handle_header(&mut self) -> bool {
        let Some(header) = Header::take(self.rx.bytes()) else {
            if self.ended && self.rx.len() > 0 {
                // Half a header and then the end: nothing more can come of it.
                self.rx.consume(usize::MAX);
            }
            return false;
        };
        self.rx.consume(Header::LEN);
        self.clock.header_done();
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        match decide(&header, self.mode, &self.target.registry, &self.target.limits) {
            Action::Read(span) => {
                self.answer(sequence, Status::Ok);
                span.count_read();
                self.tx.push_body(span);
            }
            Action::Write(into) => self.phase = Phase::Store { into, at: 0, sequence },
            Action::Message => self.message_announced(header, sequence),
            Action::Describe => self.describe(sequence),
            Action::Ping => self.answer(sequence, Status::Ok),
            Action::Ignore => {}
            Action::Refuse { status, payload, fatal } => self.refuse(sequence, status, payload, fatal),
        }
        true
    }

    fn describe(&mut self, sequence: u32) {
        let text = self.target.describe();
        match u32::try_from(text.len()).ok().filter(|&length| length <= DESCRIBE_MAX) {
            Some(length) => {
                self.answer(sequence, Status::Ok);
                self.tx.push(&DescribeLength(length).encode());
                self.tx.push(text.as_bytes());
            }
            None => self.refuse(sequence, Status::Limit, 0, false),
        }
    }

    /// Says no: by a status, and on the legacy wire by a close.
    pub(super) fn refuse(&mut self, sequence: u32, status: Status, payload: u64, fatal: bool) {
        self.target.stats.reject(status);
        if status == Status::BadRequest {
            self.target.stats.protocol_errors.add(1);
        }
        self.answer(sequence, status);
        if fatal || self.mode == Mode::Legacy {
            self.close_after_answers();
        } else {
            self.drain(payload);
        }
    }

    pub(super) fn drain(&mut self, left: u64) {
        self.phase = if left > 0 { Phase::Drain { left } } else { Phase::Header };
    }

    fn handle_store(&mut self) -> bool {
        let Phase::Store { into, at, sequence } = &mut self.phase else {
            return false;
        };
        let count = into.copy_in(*at, self.rx.bytes());
        *at += count;
        let (sequence, length, stored) = (*sequence, into.len(), *at);
        self.rx.consume(count);
        if stored < length {
            return false;
        }
        into.count_write();
        // The span goes before its answer: OK means that the target is done with the bytes.
        self.phase = Phase::Header;
        self.answer(sequence, Status::Ok);
        true
    }

    fn handle_drain(&mut self) -> bool {
        let Phase::Drain { left } = &mut self.phase else {
            return false;
        };
        let count = self.rx.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= count as u64;
        let done = *left == 0;
        self.rx.consume(count);
        if done {
            self.phase = Phase::Header;
        }
        done
    }
}
