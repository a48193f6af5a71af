//! What was received, taken apart: headers, and bodies as far as they lie in the buffer.

use super::{
    End, Phase, Session,
    handler::{Action, decide},
};
use crate::{
    error::{Error, ErrorKind},
    events::{Event, Parting},
    io::Transport,
    log::complain,
    op::TINY_BYTES,
    region::Access,
};
use memlane_wire::{DescribeLength, Header, Mode, Opcode, Status, StatusFrame};
use tracing::trace;

impl<T: Transport> Session<T> {
    /// Goes through the buffer as far as it goes, many requests at once.
    pub(super) fn handle_input(&mut self) -> Result<(), End> {
        let result = self.handle_buffered();
        // Before anything is sent: OK means that the target is done with the bytes, and has counted them.
        self.held.release();
        result
    }

    fn handle_buffered(&mut self) -> Result<(), End> {
        // Where the socket is behind, more is gathered.
        let leaves = self.tx.is_empty();
        loop {
            if self.cut.is_some() && !self.is_storing() {
                self.close_after_answers(Parting::Local);
            }
            let went_on = match &self.phase {
                Phase::Sniff => self.handle_sniff(),
                Phase::Preface => self.handle_preface()?,
                Phase::Proof { .. } => self.handle_proof(),
                Phase::Header => self.tx.takes_more(leaves) && self.handle_header(),
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
        if self.is_early(&header) {
            return false;
        }
        self.rx.consume(Header::LEN);
        self.clock.header_done();
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let target = &self.target;
        match decide(&header, self.mode, &target.registry, &mut self.held, &target.limits) {
            Action::Read { at, len } => {
                self.has_small |= len <= TINY_BYTES;
                self.serve(at, len, sequence);
            }
            Action::Write { at, len } => {
                self.has_small |= len <= TINY_BYTES;
                self.store(at, len, sequence);
            }
            Action::Message => self.message_announced(header, sequence),
            Action::Describe => self.describe(sequence),
            Action::Ping => self.answer(sequence, Status::Ok),
            Action::Ignore => {}
            Action::Refuse { status, payload, fatal } => self.refuse(sequence, status, payload, fatal),
        }
        true
    }

    /// Whether it would store where an answer before it is still being sent from: requests apply in their order.
    fn is_early(&mut self, header: &Header) -> bool {
        self.waits = self.tx.has_body() && header.opcode() == Some(Opcode::Write) && {
            let Header { size, addr, .. } = *header;
            let at = self.held.resolve(&self.target.registry, addr, size, Access::WRITE);
            at.is_ok_and(|at| {
                let whole = self.held.whole();
                whole.is_some_and(|whole| self.tx.sends_from(whole, at, size as usize))
            })
        };
        self.waits
    }

    /// Answers with these bytes, unless the file that they are of has been truncated.
    fn serve(&mut self, at: usize, len: usize, sequence: u32) {
        let frame = StatusFrame::new(sequence, Status::Ok).encode();
        let frame: &[u8] = if self.mode == Mode::Native { &frame } else { &[] };
        let pushed = self
            .held
            .whole()
            .is_some_and(|whole| self.tx.push_part(frame, whole, at, len).is_ok());
        if pushed {
            self.held.count_read(len);
        } else {
            self.refuse(sequence, Status::OutOfRange, 0, false);
        }
    }

    /// Stores the body that follows: at once where all of it has come, as of a small one it nearly always has.
    fn store(&mut self, at: usize, len: usize, sequence: u32) {
        let Some(whole) = self.held.whole() else { return };
        if len <= self.rx.len() && !whole.is_file() && whole.copy_in(at, &self.rx.bytes()[..len]).is_ok() {
            self.rx.consume(len);
            self.held.count_write(len);
            return self.answer(sequence, Status::Ok);
        }
        if let Some(into) = whole.slice(at, len) {
            self.phase = Phase::Store { into, at: 0, sequence };
            self.check_store();
        }
    }

    fn describe(&mut self, sequence: u32) {
        let most = self.target.limits.max_info_bytes;
        let text = self
            .target
            .describe(self.held.token())
            .ok()
            .filter(|text| text.len() as u64 <= most);
        let described = text.and_then(|text| {
            let length = DescribeLength(u32::try_from(text.len()).ok()?);
            let mut frame = StatusFrame::new(sequence, Status::Ok).encode().to_vec();
            frame.extend_from_slice(&length.encode());
            self.tx.push_framed(&frame, text).ok()
        });
        if described.is_none() {
            self.refuse(sequence, Status::Limit, 0, false);
        }
    }

    /// Says no: by a status, and on the legacy wire by a close.
    pub(super) fn refuse(&mut self, sequence: u32, status: Status, payload: u64, fatal: bool) {
        self.target.stats.reject(status);
        trace!(peer = %self.from, sequence, status = status.name(), fatal, "request refused");
        if self.mode == Mode::Legacy {
            complain(&self.from, "legacy connection closed", status.name());
        } else if status == Status::Limit {
            complain(&self.from, "request refused", status.name());
        }
        if status == Status::BadRequest {
            self.broke_protocol("a request that makes no sense");
        }
        self.answer(sequence, status);
        if fatal || self.mode == Mode::Legacy {
            self.close_after_answers(match status {
                Status::BadRequest => Parting::Protocol,
                Status::Closing => Parting::Local,
                _ => Parting::Refused,
            });
        } else {
            self.drain(payload);
        }
    }

    /// Counts it and tells whoever watches.
    pub(super) fn broke_protocol(&mut self, why: &'static str) {
        self.target.stats.protocol_errors.add(1);
        complain(&self.from, "protocol error", why);
        self.target
            .events
            .tell(|| Event::Error(Error::new(ErrorKind::Protocol).detail(why).about(&self.from)));
    }

    pub(super) fn drain(&mut self, left: u64) {
        self.phase = if left > 0 { Phase::Drain { left } } else { Phase::Header };
    }

    fn handle_store(&mut self) -> bool {
        let Phase::Store { into, at, sequence } = &mut self.phase else {
            return false;
        };
        let Ok(count) = into.copy_in(*at, self.rx.bytes()) else {
            self.lose_store();
            return true;
        };
        *at += count;
        let (sequence, length, stored) = (*sequence, into.len(), *at);
        self.rx.consume_body(count, length as u64);
        if stored < length {
            return false;
        }
        // What was stored in the last page behind the end of a file is nowhere, and OK would be a lie.
        if !self.check_store() {
            return true;
        }
        if let Phase::Store { into, .. } = &self.phase {
            into.count_write();
        }
        // The span goes before its answer: OK means that the target is done with the bytes.
        self.phase = Phase::Header;
        self.answer(sequence, Status::Ok);
        true
    }

    /// Whether the file that is being stored to, if it is one, still has the range; says no otherwise.
    fn check_store(&mut self) -> bool {
        let Phase::Store { into, .. } = &self.phase else {
            return true;
        };
        let is_there = into.check_file().is_ok();
        if !is_there {
            self.lose_store();
        }
        is_there
    }

    /// The file that is being stored to was truncated: the peer is told, the rest of the body goes nowhere.
    pub(super) fn lose_store(&mut self) {
        if let Phase::Store { into, at, sequence } = &self.phase {
            let (sequence, left) = (*sequence, (into.len() - at) as u64);
            let fatal = left > self.target.limits.drain_bytes;
            self.refuse(sequence, Status::OutOfRange, left, fatal);
        }
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
