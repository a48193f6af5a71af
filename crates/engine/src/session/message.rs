//! SEND: a message to its receive, to the unexpected ones, or to wait in the socket.

use super::{Fate, Phase, Session};
use crate::{
    config::millis,
    events::Parting,
    io::Transport,
    recv::{Arrival, MessageKey, Posted},
    region::{memory::Memory, span::Span},
};
use memlane_wire::{Header, Status};
use tokio::time::Instant;
use tracing::debug;

impl<T: Transport> Session<T> {
    pub(super) fn message_announced(&mut self, header: Header, sequence: u32) {
        match self
            .target
            .receives
            .arrive(header.addr, header.size, &self.sender(sequence))
        {
            Arrival::Matched(posted) => self.receive_message(posted, header, sequence),
            Arrival::Keep(key) => self.keep_message(key, header, sequence),
            Arrival::Park(key) => {
                debug!(peer = %self.from, bytes = header.size, "message parked: no receive, and no room to keep it");
                self.phase = Phase::Parked { key, header, sequence };
            }
            Arrival::Closed => self.refuse(sequence, Status::Closing, header.size, true),
        }
    }

    fn receive_message(&mut self, posted: Posted, header: Header, sequence: u32) {
        // A receive that wants another size exactly is over before the first byte; none of them is stored.
        let room = if posted.exact && posted.into.len() as u64 != header.size {
            0
        } else {
            posted.into.len()
        };
        let fits = usize::try_from(header.size).unwrap_or(usize::MAX).min(room);
        match posted.into.slice(0, fits) {
            Some(into) => {
                let fate = Fate::Receive(posted);
                self.phase = Phase::Message {
                    into,
                    at: 0,
                    header,
                    sequence,
                    fate,
                };
            }
            // Not reached: fits is at most the span's length. The receive goes back rather than being lost.
            None => self.target.receives.put_back(posted),
        }
    }

    fn keep_message(&mut self, key: MessageKey, header: Header, sequence: u32) {
        // Within maxUnexpectedBytes, or it would be parked.
        let memory = usize::try_from(header.size)
            .ok()
            .and_then(|size| Memory::private(size).ok());
        match memory {
            Some(memory) => {
                let late = Instant::now() + millis(self.target.limits.unexpected_timeout);
                let fate = Fate::Keep(key, late);
                self.phase = Phase::Message {
                    into: Span::whole(memory),
                    at: 0,
                    header,
                    sequence,
                    fate,
                };
            }
            None => {
                self.target.receives.abandon(key);
                self.refuse(sequence, Status::Limit, header.size, true);
            }
        }
    }

    pub(super) fn granted(&mut self, key: MessageKey, posted: Posted) {
        match self.phase {
            Phase::Parked {
                key: parked,
                header,
                sequence,
            } if parked == key => {
                self.receive_message(posted, header, sequence);
            }
            // Its time was up in the same moment: the receive waits for another.
            _ => self.target.receives.put_back(posted),
        }
    }

    pub(super) fn keep_parked(&mut self, key: MessageKey) {
        match self.phase {
            Phase::Parked {
                key: parked,
                header,
                sequence,
            } if parked == key => {
                self.keep_message(key, header, sequence);
            }
            _ => self.target.receives.abandon(key),
        }
    }

    pub(super) fn handle_message(&mut self) -> bool {
        let Phase::Message { into, at, .. } = &mut self.phase else {
            return false;
        };
        let Ok(count) = into.copy_in(*at, self.rx.bytes()) else {
            self.lose_message();
            return true;
        };
        *at += count;
        let complete = *at == into.len();
        self.rx.consume(count);
        if complete {
            self.message_complete();
        }
        complete
    }

    /// The file that a receive wants its message in was truncated: the receive fails, the message is dropped.
    pub(super) fn lose_message(&mut self) {
        if !matches!(self.phase, Phase::Message { .. }) {
            return;
        }
        if let Phase::Message {
            at,
            header,
            sequence,
            fate: Fate::Receive(posted),
            ..
        } = std::mem::replace(&mut self.phase, Phase::Header)
        {
            self.target.receives.lose(posted, &self.from);
            let left = header.size - at as u64;
            self.refuse(sequence, Status::NoReceive, left, left > self.target.limits.drain_bytes);
        }
    }

    fn message_complete(&mut self) {
        let phase = std::mem::replace(&mut self.phase, Phase::Header);
        let Phase::Message {
            into,
            at,
            header,
            sequence,
            fate,
        } = phase
        else {
            return;
        };
        let status = match fate {
            Fate::Receive(posted) => {
                drop(into);
                let Header { size, addr: tag, .. } = header;
                let receives = &self.target.receives;
                Some(receives.complete(posted, tag, size, &self.from, self.instance))
            }
            Fate::Keep(key, deadline) => {
                let status = self.target.receives.filled(key, into, deadline);
                if status.is_none() {
                    self.kept.push_back((sequence, deadline));
                }
                status
            }
        };
        let rest = header.size - at as u64;
        match status {
            Some(Status::Ok) | None => {}
            Some(status) => self.target.stats.reject(status),
        }
        if let Some(status) = status {
            self.answer(sequence, status);
        }
        if rest > self.target.limits.drain_bytes {
            self.close_after_answers(Parting::Refused);
        } else {
            self.drain(rest);
        }
    }

    /// A message that nobody receives has been coming in for long enough; one that has its receive may take longer.
    pub(super) fn filling_too_long(&mut self, key: MessageKey, now: Instant) {
        let given_up = self.target.receives.expire_filling(key);
        let Phase::Message {
            at,
            header,
            sequence,
            fate,
            ..
        } = &mut self.phase
        else {
            return;
        };
        if !given_up {
            *fate = Fate::Keep(key, now + millis(self.target.limits.unexpected_timeout));
            return;
        }
        let (rest, sequence) = (header.size - *at as u64, *sequence);
        let fatal = rest > self.target.limits.drain_bytes;
        self.refuse(sequence, Status::NoReceive, rest, fatal);
    }

    /// A parked message has waited long enough.
    pub(super) fn parked_too_long(&mut self, key: MessageKey, header: Header, sequence: u32) {
        self.target.receives.abandon(key);
        let fatal = header.size > self.target.limits.drain_bytes;
        self.refuse(sequence, Status::NoReceive, if fatal { 0 } else { header.size }, fatal);
    }
}
