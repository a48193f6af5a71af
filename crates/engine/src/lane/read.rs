//! The way back: prefaces, status frames and bodies, as far as they have come.

use super::{
    End, Lane, Link,
    giving_up::abandon,
    inflight::{Slot, Violation},
    write::{Departure, count},
};
use crate::{
    auth::Prefaces,
    error::{Error, ErrorKind},
    events::Parting,
    io::{Distrust, Transport},
    op::{Done, FLOOD, Telling, Waiter},
    region::span::Span,
};
use memlane_wire::{DESCRIBE_MAX, DescribeLength, Mode, Opcode, Status, StatusFrame};
use std::task::{Context, Poll};
use tokio::time::Instant;

/// What the next received byte is.
#[derive(Debug)]
pub(super) enum Incoming {
    Preface,
    /// Of the proof that the peer knows our token.
    Proof(Box<Prefaces>),
    /// Of a status frame; on the legacy wire, of the body of the oldest READ.
    Answer,
    /// Of a READ's body. Without `into` the operation was given up and the bytes go nowhere.
    Body {
        slot: Slot,
        at: u64,
    },
    DescribeLength(Slot),
    Text {
        slot: Slot,
        text: Vec<u8>,
        left: usize,
    },
}

impl Incoming {
    pub(super) fn first(mode: Mode) -> Self {
        match mode {
            Mode::Native => Self::Preface,
            Mode::Legacy => Self::Answer,
        }
    }

    /// Whether it is not settled yet who is there.
    pub(super) fn is_greeting(&self) -> bool {
        matches!(self, Self::Preface | Self::Proof(_))
    }

    /// Whether requests may go out.
    pub(super) fn is_open(&self) -> bool {
        !self.is_greeting()
    }

    pub(super) fn is_quiet(&self) -> bool {
        matches!(self, Self::Answer) || self.is_greeting()
    }

    pub(super) fn slot_mut(&mut self) -> Option<&mut Slot> {
        match self {
            Self::Preface | Self::Proof(_) | Self::Answer => None,
            Self::Body { slot, .. } | Self::DescribeLength(slot) | Self::Text { slot, .. } => Some(slot),
        }
    }

    pub(super) fn into_slot(self) -> Option<Slot> {
        match self {
            Self::Preface | Self::Proof(_) | Self::Answer => None,
            Self::Body { slot, .. } | Self::DescribeLength(slot) | Self::Text { slot, .. } => Some(slot),
        }
    }
}

pub(super) fn violation(what: &str) -> Error {
    Error::new(ErrorKind::Protocol).detail(what)
}

impl From<Violation> for Error {
    fn from(what: Violation) -> Self {
        violation(what.text())
    }
}

impl<T: Transport> Lane<T> {
    /// Receives once, a body straight into its memory, and goes through what has come.
    pub(super) fn receive(&mut self, cx: &mut Context<'_>) -> Result<usize, End> {
        if std::mem::take(&mut self.has_more) && self.go_through()? {
            return Ok(1);
        }
        let Link::Up(io) = &self.link else { return Ok(0) };
        let straight: Option<(&Span, usize)> = match &self.incoming {
            Incoming::Body {
                slot: Slot { into: Some(into), .. },
                at,
            } if self.rx.len() == 0 && !(io.copies() && into.is_file()) => Some((into, *at as usize)),
            _ => None,
        };
        let moved = match straight {
            Some((into, at)) => {
                let Poll::Ready(stored) = self.rx.poll_fill_span(into, at, io, cx) else {
                    return Ok(0);
                };
                if let Err(error) = &stored
                    && into.is_lost(error)
                {
                    self.drain_body();
                    return self.receive(cx);
                }
                let Some(stored) = stored.map_err(|error| self.lost(&error))? else {
                    return Err(self.hung_up().into());
                };
                if let Incoming::Body { at, .. } = &mut self.incoming {
                    *at += stored as u64;
                }
                stored + self.rx.len()
            }
            None => match self.rx.poll_fill(io, cx) {
                Poll::Pending => return Ok(0),
                Poll::Ready(Err(error)) => return Err(self.lost(&error).into()),
                Poll::Ready(Ok(0)) => return Err(self.hung_up().into()),
                Poll::Ready(Ok(count)) => count,
            },
        };
        self.go_through()?;
        Ok(moved)
    }

    /// Goes through what has come; whether it came further. Of a flood of ends it leaves some for the next time: half of those that
    /// are out make whoever waits for them busy, and the peer with what is asked for then, while the other half is on its way.
    fn go_through(&mut self) -> Result<bool, Error> {
        // Ends that were told for another reason are no part of the flood.
        let before = Telling::told();
        let enough = u32::try_from(self.inflight.len() / 2).unwrap_or(u32::MAX).max(FLOOD);
        let mut came_further = false;
        while self.handle_incoming()? {
            came_further = true;
            if Telling::told().wrapping_sub(before) >= enough {
                self.has_more = self.rx.len() > 0;
                break;
            }
        }
        Ok(came_further)
    }

    fn lost(&mut self, error: &std::io::Error) -> Error {
        if let Some(why) = Distrust::of(error) {
            return Error::new(ErrorKind::Tls).detail(why);
        }
        if matches!(self.incoming, Incoming::Preface) {
            return Error::io(ErrorKind::Connect, error);
        }
        if let Some(attendance) = &mut self.attendance {
            attendance.part(Parting::Reset);
        }
        self.send_error
            .take()
            .unwrap_or_else(|| Error::io(ErrorKind::PeerClosed, error))
    }

    fn hung_up(&mut self) -> Error {
        if matches!(self.incoming, Incoming::Preface) {
            return Error::new(ErrorKind::Connect)
                .detail("the peer hung up in the handshake: it speaks no native wire, or has as many connections as its maxConnections or maxConnectionsPerSource allow");
        }
        if matches!(self.incoming, Incoming::Proof(_)) {
            // Who refuses says so: this one has gone, and may be back by the next dial.
            return Error::new(ErrorKind::PeerClosed).detail("the peer went away before it said anything of the token");
        }
        self.send_error
            .take()
            .unwrap_or_else(|| Error::new(ErrorKind::PeerClosed))
    }

    /// Whether it came further.
    fn handle_incoming(&mut self) -> Result<bool, Error> {
        match &mut self.incoming {
            Incoming::Preface => self.handle_preface(),
            Incoming::Proof(_) => self.handle_proof(),
            Incoming::Answer if self.mode == Mode::Legacy => self.handle_legacy_answer(),
            Incoming::Answer => {
                if self.handle_train() {
                    Ok(true)
                } else {
                    self.handle_status()
                }
            }
            Incoming::Body { slot, at } => {
                let left = slot.len - *at;
                let buffered = self.rx.bytes();
                let count = buffered.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let stored = slot
                    .into
                    .as_ref()
                    .map(|into| into.copy_in(*at as usize, &buffered[..count]));
                if matches!(stored, Some(Err(_))) {
                    abandon(slot, Error::lost_file());
                }
                *at += count as u64;
                self.rx.consume_body(count, slot.len);
                Ok(*at == slot.len && self.finish_body())
            }
            Incoming::DescribeLength(_) => self.handle_describe_length(),
            Incoming::Text { slot, text, left } => {
                let count = self.rx.len().min(*left);
                // Nobody keeps what nobody waits for.
                if slot.waiter.is_some() {
                    text.extend_from_slice(&self.rx.bytes()[..count]);
                }
                *left -= count;
                let is_whole = *left == 0;
                self.rx.consume(count);
                if is_whole { self.finish_text() } else { Ok(false) }
            }
        }
    }

    /// Whether answers came for the entries of a list that are the oldest requests.
    fn handle_train(&mut self) -> bool {
        let Some(train) = self.inflight.train() else {
            return false;
        };
        let came_further = train.take_answers(&mut self.rx, self.tx.sent());
        if train.len() == 0 {
            self.inflight.end_train();
        }
        came_further
    }

    fn handle_status(&mut self) -> Result<bool, Error> {
        let Some(frame) = StatusFrame::take(self.rx.bytes()) else {
            return Ok(false);
        };
        self.rx.consume(StatusFrame::LEN);
        let status = frame.status().ok_or_else(|| violation("a status that no table has"))?;
        let slot = self
            .inflight
            .answer(frame.sequence, status == Status::Ok, self.tx.sent())?;
        self.window.answered(slot.end);
        if status == Status::Ok {
            self.granted(slot);
        } else {
            self.refused(slot, status);
        }
        Ok(true)
    }

    fn granted(&mut self, slot: Slot) {
        match slot.opcode {
            Opcode::Read if slot.len > 0 && slot.len <= self.rx.len() as u64 => self.take_body(slot),
            Opcode::Read if slot.len > 0 => self.incoming = Incoming::Body { slot, at: 0 },
            Opcode::Describe => self.incoming = Incoming::DescribeLength(slot),
            Opcode::Ping => self.end(slot.waiter, Ok(Done::Nothing)),
            Opcode::Read | Opcode::Write | Opcode::Send => {
                self.moved(slot.opcode, slot.len, slot.waiter);
            }
        }
    }

    /// Ends a READ whose whole body has come with its status, as that of a small one nearly always has.
    fn take_body(&mut self, mut slot: Slot) {
        let body = &self.rx.bytes()[..slot.len as usize];
        let stored = slot
            .into
            .as_ref()
            .map_or(Ok(()), |into| into.copy_in(0, body).and_then(|_| into.check_file()));
        if stored.is_err() {
            abandon(&mut slot, Error::lost_file());
        }
        self.rx.consume(slot.len as usize);
        // The span goes first, as in `finish_body`.
        drop(slot.into);
        self.moved(Opcode::Read, slot.len, slot.waiter);
    }

    /// A refused operation ends when the socket has its whole body: until then the kernel may look at the bytes.
    fn refused(&mut self, mut slot: Slot, status: Status) {
        // No body follows: a READ's memory is quiet, and is let go of before anybody learns of the end.
        slot.into = None;
        let error = Error::new(ErrorKind::from(status));
        let error = match status {
            Status::MessageSize => error.detail("the peer's receive holds less, or wants another size exactly"),
            Status::Limit if slot.opcode == Opcode::Describe => {
                error.detail("the peer's endpoint info is longer than its maxInfoBytes")
            }
            Status::Limit => error.detail(format!(
                "the peer takes no {} bytes in one request: its maxOperationBytes, or its memory, is less",
                slot.len
            )),
            _ => error,
        };
        if slot.end <= self.tx.sent() {
            return self.end(slot.waiter, Err(error));
        }
        let departure = Departure {
            end: slot.end,
            waiter: slot.waiter,
            result: Err(error),
            deadline: slot.deadline,
        };
        // In order of their ends: refusals come in request order, but for SENDs.
        let place = self.departures.partition_point(|earlier| earlier.end <= departure.end);
        self.departures.insert(place, departure);
    }

    fn handle_legacy_answer(&mut self) -> Result<bool, Error> {
        if self.rx.len() == 0 {
            return Ok(false);
        }
        let slot = self
            .inflight
            .oldest()
            .ok_or_else(|| violation("bytes that nobody asked for"))?;
        self.window.answered(slot.end);
        self.incoming = Incoming::Body { slot, at: 0 };
        Ok(true)
    }

    /// The file behind the local end of a READ was truncated: the operation ends, the rest of the body goes nowhere.
    fn drain_body(&mut self) {
        if let Some(slot) = self.incoming.slot_mut() {
            abandon(slot, Error::lost_file());
        }
    }

    fn finish_body(&mut self) -> bool {
        // What was stored in the last page behind the end of a file is nowhere.
        if let Incoming::Body { slot, .. } = &mut self.incoming
            && slot.into.as_ref().is_some_and(|into| into.check_file().is_err())
        {
            abandon(slot, Error::lost_file());
        }
        if let Some(slot) = std::mem::replace(&mut self.incoming, Incoming::Answer).into_slot() {
            // The span goes first: whoever learns that the READ is done finds its memory quiet.
            drop(slot.into);
            self.moved(Opcode::Read, slot.len, slot.waiter);
        }
        true
    }

    fn handle_describe_length(&mut self) -> Result<bool, Error> {
        let Some(length) = DescribeLength::take(self.rx.bytes()) else {
            return Ok(false);
        };
        self.rx.consume(DescribeLength::LEN);
        if !length.is_allowed() {
            return Err(violation(&format!(
                "an endpoint info of more than {DESCRIBE_MAX} bytes"
            )));
        }
        if let Some(mut slot) = std::mem::replace(&mut self.incoming, Incoming::Answer).into_slot() {
            let most = self.limits.max_info_bytes;
            if u64::from(length.0) > most {
                let more = format_args!("the peer's endpoint info has {} bytes", length.0);
                abandon(&mut slot, Error::limit("maxInfoBytes", most).with(more));
            }
            self.incoming = Incoming::Text {
                slot,
                text: Vec::new(),
                left: length.0 as usize,
            };
        }
        Ok(true)
    }

    fn finish_text(&mut self) -> Result<bool, Error> {
        if let Incoming::Text { slot, text, .. } = std::mem::replace(&mut self.incoming, Incoming::Answer) {
            let text = String::from_utf8(text).map_err(|_| violation("an endpoint info that is not UTF-8"));
            match text {
                Ok(text) => self.end(slot.waiter, Ok(Done::Text(text))),
                Err(error) => self.end(slot.waiter, Err(error)),
            }
        }
        Ok(true)
    }

    fn moved(&self, opcode: Opcode, len: u64, waiter: Option<Waiter>) {
        if let Some(waiter) = &waiter {
            count(waiter, opcode, len);
        }
        self.end(waiter, Ok(Done::Bytes(len)));
    }

    fn end(&self, waiter: Option<Waiter>, result: Result<Done, Error>) {
        if let Some(waiter) = waiter {
            waiter.end(result);
        }
    }

    pub(super) fn stalled(&self, now: Instant) -> bool {
        now >= self.moved + crate::config::millis(self.limits.progress_timeout)
    }
}
