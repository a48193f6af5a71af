//! The way out: from the queue to the socket.

use super::{
    End, Lane, Link,
    bulk::BulkQueue,
    inflight::Slot,
    queue::{Piece, TINY_RUN, Tiny},
    train::Train,
    window::Window,
};
use crate::{
    error::{Error, ErrorKind},
    io::{Transport, share},
    op::{Done, TINY_BYTES, Waiter},
};
use memlane_wire::{Header, Mode, Opcode};
use std::task::{Context, Poll};
use tokio::time::Instant;

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
        // Where the socket is behind, more is gathered.
        let leaves = self.tx.is_empty();
        while self.incoming.is_open()
            && self.send_error.is_none()
            && self.tx.takes_more(leaves)
            && !self.tx.has_body()
            && !self.inflight.is_exhausted()
        {
            match self.next() {
                Some(Tiny::Piece(piece)) => self.put(piece),
                Some(Tiny::Train(train)) => self.put_train(train),
                None => return,
            }
        }
    }

    /// Tiny operations first, but after so many of them others have their turn; those wait for room on the wire, and the
    /// large ones among them take turns with the rest.
    fn next(&mut self) -> Option<Tiny> {
        let outstanding = self.inflight.window_bytes();
        let has_room = self.window.has_room(outstanding);
        if (self.tiny_run < TINY_RUN || !has_room)
            && let Some(tiny) = self.queue.next()
        {
            self.tiny_run += 1;
            self.has_small = true;
            return Some(tiny);
        }
        if !has_room {
            return None;
        }
        self.tiny_run = 0;
        let has_share = |bulk: &&BulkQueue| !Window::is_beyond_least(outstanding) || bulk.has_share_for(outstanding);
        let bulk = self.bulk.as_ref().map(|bulk| bulk.queue()).filter(has_share);
        self.bulk_turn = !self.bulk_turn;
        let piece = if self.bulk_turn {
            bulk.and_then(|bulk| bulk.next()).or_else(|| self.queue.next_roomy())
        } else {
            self.queue.next_roomy().or_else(|| bulk.and_then(|bulk| bulk.next()))
        };
        piece.map(Tiny::Piece).or_else(|| self.queue.next())
    }

    /// Puts entries of the train on the wire until others have their turn.
    fn put_train(&mut self, train: Train) {
        let most = self.inflight.free(TINY_RUN);
        let (departed, left) = train.depart(most, &mut self.tx);
        self.tiny_run = self.tiny_run.saturating_add(departed.len() as u32 - 1);
        self.inflight.push_train(departed);
        if let Some(left) = left {
            self.queue.put_back(left);
        }
    }

    fn put(&mut self, piece: Piece) {
        let len = piece.span.as_ref().map_or(0, |span| span.len() as u64);
        // The legacy wire has no answer to nothing; only an empty message is worth a header there.
        if self.mode == Mode::Legacy && len == 0 && piece.opcode != Opcode::Send {
            return piece.waiter.end(Ok(Done::Bytes(0)));
        }
        let header = Header::new(piece.opcode, len, piece.addr).encode();
        let mut into = None;
        match (piece.opcode, piece.span) {
            (Opcode::Read, Some(span)) => {
                if let Err(error) = span.check_file() {
                    drop(span);
                    return piece.waiter.end(Err(Error::file(&error)));
                }
                self.tx.push(&header);
                into = Some(span);
            }
            (_, Some(span)) => {
                if let Err(error) = self.tx.push_framed(&header, span) {
                    return piece.waiter.end(Err(Error::file(&error)));
                }
            }
            (_, None) => self.tx.push(&header),
        }
        let end = self.tx.queued();
        if self.mode == Mode::Legacy && piece.opcode != Opcode::Read {
            count(&piece.waiter, piece.opcode, len);
            let (waiter, result) = (Some(piece.waiter), Ok(Done::Bytes(len)));
            return self.departures.push_back(Departure {
                end,
                waiter,
                result,
                deadline: piece.deadline,
            });
        }
        if len > TINY_BYTES as u64 && piece.opcode != Opcode::Send {
            self.window.sent(end, self.inflight.window_bytes(), len);
        }
        self.inflight.push(Slot {
            opcode: piece.opcode,
            repeated: piece.repeated,
            sequence: 0,
            addr: piece.addr,
            waiter: Some(piece.waiter),
            into,
            len,
            end,
            deadline: piece.deadline,
        });
    }

    /// Sends as far as the socket takes it; a failure is kept until the peer's last words are read.
    pub(super) fn send(&mut self, cx: &mut Context<'_>) -> Result<usize, End> {
        let Link::Up(io) = &self.link else { return Ok(0) };
        let mut moved = 0;
        while self.tx.pending() > 0 && self.send_error.is_none() && moved < share::turn_bytes() {
            match self.tx.poll_send(io, cx) {
                Poll::Ready(Ok(count)) => moved += count,
                Poll::Ready(Err(error)) if self.tx.has_lost(&error) => return Err(self.lose_body()),
                Poll::Ready(Err(error)) => {
                    self.send_error = Some(Error::io(ErrorKind::PeerClosed, &error));
                    self.moved = Instant::now();
                }
                Poll::Pending => break,
            }
        }
        Ok(moved)
    }

    /// Ends the requests that have left.
    pub(super) fn settle_departures(&mut self) {
        while self
            .departures
            .front()
            .is_some_and(|departure| departure.end <= self.tx.sent())
            && let Some(departure) = self.departures.pop_front()
        {
            if let Some(waiter) = departure.waiter {
                waiter.end(departure.result);
            }
        }
    }
}

/// Counts bytes that were moved for an operation, with the endpoint that issued it.
pub(super) fn count(waiter: &Waiter, opcode: Opcode, len: u64) {
    if let Some(remote) = waiter.remote() {
        remote.moved(opcode, len);
    }
}
