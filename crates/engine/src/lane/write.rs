//! The way out: from the queue to the socket.

use super::{
    Lane, Link,
    inflight::Slot,
    queue::{PIECE_BYTES, Piece},
};
use crate::{
    error::{Error, ErrorKind},
    io::{TURN_BYTES, Transport},
    op::{Done, Waiter},
};
use memlane_wire::{Header, Mode, Opcode};
use std::task::{Context, Poll};
use tokio::time::Instant;

/// Bytes of large operations that are on the wire at once: enough to keep both ends busy, few enough that a small
/// operation's answer is not far behind.
const WINDOW_BYTES: u64 = 4 * PIECE_BYTES as u64;

/// A request that ends when its last byte has left, with what is known already.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) end: u64,
    pub(super) waiter: Option<Waiter>,
    pub(super) result: Result<Done, Error>,
    pub(super) deadline: Option<Instant>,
}

impl<T: Transport> Lane<T> {
    /// Puts queued operations on the wire as far as there is room.
    pub(super) fn issue(&mut self) {
        while self.incoming.is_open() && self.send_error.is_none() && !self.tx.is_full() && !self.tx.has_body() {
            let bulk_may_go = self.inflight.bytes() < WINDOW_BYTES;
            let Some(piece) = self.queue.next(bulk_may_go, &self.remote) else {
                return;
            };
            self.put(piece);
        }
    }

    fn put(&mut self, piece: Piece) {
        let len = piece.span.as_ref().map_or(0, |span| span.len() as u64);
        // The legacy wire has no answer to nothing; only an empty message is worth a header there.
        if self.mode == Mode::Legacy && len == 0 && piece.opcode != Opcode::Send {
            return piece.waiter.end(Ok(Done::Bytes(0)), &self.remote);
        }
        self.tx.push(&Header::new(piece.opcode, len, piece.addr).encode());
        let mut into = None;
        match piece.opcode {
            Opcode::Read => into = piece.span,
            _ => piece.span.into_iter().for_each(|span| self.tx.push_body(span)),
        }
        let (end, waiter) = (self.tx.queued(), Some(piece.waiter));
        if self.mode == Mode::Legacy && piece.opcode != Opcode::Read {
            self.count(piece.opcode, len);
            let result = Ok(Done::Bytes(len));
            return self.departures.push_back(Departure {
                end,
                waiter,
                result,
                deadline: piece.deadline,
            });
        }
        self.inflight.push(Slot {
            opcode: piece.opcode,
            waiter,
            into,
            len,
            end,
            deadline: piece.deadline,
        });
    }

    /// Sends as far as the socket takes it; a failure is kept until the peer's last words are read.
    pub(super) fn send(&mut self, cx: &mut Context<'_>) -> usize {
        let Link::Up(io) = &self.link else { return 0 };
        let mut moved = 0;
        while self.tx.pending() > 0 && self.send_error.is_none() && moved < TURN_BYTES {
            match self.tx.poll_send(io, cx) {
                Poll::Ready(Ok(count)) => moved += count,
                Poll::Ready(Err(error)) => {
                    self.send_error = Some(Error::io(ErrorKind::PeerClosed, &error));
                    self.moved = Instant::now();
                }
                Poll::Pending => break,
            }
        }
        moved
    }

    /// Ends the requests that have left.
    pub(super) fn settle_departures(&mut self) {
        while self
            .departures
            .front()
            .is_some_and(|departure| departure.end <= self.tx.sent())
            && let Some(departure) = self.departures.pop_front()
            && let Some(waiter) = departure.waiter
        {
            waiter.end(departure.result, &self.remote);
        }
    }

    pub(super) fn count(&self, opcode: Opcode, len: u64) {
        let stats = &self.target.stats;
        match opcode {
            Opcode::Read => stats.bytes_read.add(len),
            Opcode::Write => stats.bytes_written.add(len),
            Opcode::Send => stats.bytes_sent.add(len),
            Opcode::Describe | Opcode::Ping => {}
        }
    }
}
