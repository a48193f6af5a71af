//! One side of a connection: what was received and what waits to leave.

use super::{
    connection::{Connection, Progress},
    scratch::{PLAIN_BYTES, give_sent, take_sent, with_plain, with_received},
    taken::Taken,
};
use crate::{
    io::{
        Distrust, TLS_ALERT, Transport,
        raw::{RecvSegment, SendSegment},
    },
    tls::words::reason,
};
use memlane_wire::Mode;
use std::{
    collections::VecDeque,
    io,
    task::{Context, Poll, ready},
};

/// Plaintext of one record.
const RECORD_BYTES: usize = 16 << 10;

/// A record on the wire, at most.
const WIRE_RECORD_BYTES: usize = RECORD_BYTES + 5 + 256;

/// What a handshake may have sent without having come to an end: certificates, mostly.
const HANDSHAKE_BYTES: usize = 32 << 10;

/// What is thrown away of a peer that was refused, so that it reads why before it sees a reset.
const DISCARDED_BYTES: usize = 256 << 10;

/// First byte of a TLS record of a handshake.
const HANDSHAKE_RECORD: u8 = 22;

/// What a peer is told where we have no certificate: handshake_failure.
const NO_CERTIFICATE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

pub(super) struct State {
    /// None where we have no certificate to answer with.
    connection: Option<Connection>,
    /// Whether it is known that the other side speaks TLS, or rustls is to judge that.
    is_known: bool,
    /// Whether the handshake has come to its end.
    is_open: bool,
    pub(super) failed: Option<Failure>,
    /// Received, and not a whole record.
    held: Vec<u8>,
    /// Decrypted, and not taken yet.
    spare: VecDeque<u8>,
    pub(super) out: Vec<u8>,
    out_at: usize,
    /// Where records of the caller's bytes end in `out`, and how many bytes each has.
    pub(super) records: VecDeque<(usize, usize)>,
    /// Bytes of the caller's that have left since it was last told.
    left: usize,
    /// The peer said that it sends no more.
    ended: bool,
    /// Whether we did.
    said_end: bool,
    /// Whether the stream ends behind what is in `out`, and whether it has.
    pub(super) is_ending: bool,
    pub(super) is_shut: bool,
}

pub(super) struct Failure {
    reason: String,
    /// Whether whoever receives was told; from then on what comes goes nowhere.
    pub(super) told: bool,
    discarded: usize,
}

impl Failure {
    pub(super) fn new(reason: String) -> Self {
        Self {
            reason,
            told: false,
            discarded: 0,
        }
    }

    pub(super) fn error(&self) -> io::Error {
        Distrust(self.reason.clone()).into()
    }
}

impl State {
    pub(super) fn new(connection: Option<Connection>, failed: Option<Failure>) -> Self {
        Self {
            is_known: connection.as_ref().is_some_and(Connection::is_client),
            connection,
            is_open: false,
            failed,
            held: Vec::new(),
            spare: VecDeque::new(),
            out: Vec::new(),
            out_at: 0,
            records: VecDeque::new(),
            left: 0,
            ended: false,
            said_end: false,
            is_ending: false,
            is_shut: false,
        }
    }

    pub(super) fn recv(
        &mut self,
        io: &dyn Transport,
        cx: &mut Context<'_>,
        segments: &mut [RecvSegment<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.shake_hands(io, cx))?;
        // What TLS itself has to say; bytes of the caller's leave when it sends, which tells it so.
        if self.records.is_empty()
            && let Poll::Ready(Err(error)) = self.flush(io, cx)
        {
            return Poll::Ready(Err(error));
        }
        let mut taken = Taken::new(segments);
        loop {
            self.take_spare(&mut taken);
            if taken.count > 0 || self.ended {
                return Poll::Ready(Ok(taken.count));
            }
            let room = taken.room;
            ready!(self.fill(io, cx, room, &mut |plain: &[u8]| taken.store(plain)))?;
        }
    }

    /// Decrypts what has been decrypted for nobody yet into the segments.
    fn take_spare(&mut self, taken: &mut Taken<'_, '_>) {
        let (first, second) = self.spare.as_slices();
        let count = taken.store(first);
        let count = count + if count == first.len() { taken.store(second) } else { 0 };
        self.spare.drain(..count);
        if self.spare.is_empty() {
            self.spare = VecDeque::new();
        }
    }

    /// Receives once, as much as fits into `room` and a record more, and goes through it. `store` says how much it has taken.
    fn fill(
        &mut self,
        io: &dyn Transport,
        cx: &mut Context<'_>,
        room: usize,
        store: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<()>> {
        if self.held.len() > HANDSHAKE_BYTES {
            self.fail("a handshake, or another message of TLS itself, is longer than 32 KiB");
            return Poll::Ready(self.failure());
        }
        let most = self.held.len().max(room) + WIRE_RECORD_BYTES;
        with_received(|buffer| {
            let held = self.held.len();
            let most = most.min(buffer.len());
            let count = ready!(io.poll_recv(cx, &mut [RecvSegment::bytes(&mut buffer[held..most])]))?;
            if count == 0 {
                return Poll::Ready(Err(self.cut()));
            }
            buffer[..held].copy_from_slice(&self.held);
            Poll::Ready(self.go_through(&mut buffer[..held + count], store))
        })
    }

    fn go_through(&mut self, received: &mut [u8], store: &mut dyn FnMut(&[u8]) -> usize) -> io::Result<()> {
        if !self.is_known && !self.is_tls(received) {
            self.held = received.to_vec();
            return self.failure();
        }
        let Some(connection) = &mut self.connection else {
            self.fail("no certificate is configured here, so that nobody can be let in");
            self.out.extend(NO_CERTIFICATE);
            return self.failure();
        };
        let is_client = connection.is_client();
        let spare = &mut self.spare;
        let mut sink = |plain: &[u8]| {
            let stored = if spare.is_empty() { store(plain) } else { 0 };
            spare.extend(&plain[stored..]);
        };
        let Progress { done, ended, failed } = connection.advance(received, &mut sink, &mut self.out);
        self.held = received[done..].to_vec();
        self.ended |= ended;
        if let Some(error) = failed {
            self.fail(&reason(&error, is_client));
        }
        self.failure()
    }

    /// Whether what a peer said first is TLS, as far as it can be told. A native one that speaks none is told so; what a legacy
    /// one would be told it would take for data.
    fn is_tls(&mut self, received: &[u8]) -> bool {
        if received.first() == Some(&HANDSHAKE_RECORD) {
            self.is_known = true;
            return true;
        }
        match Mode::sniff(received) {
            None => return false,
            Some(Mode::Native) => self.out.extend(TLS_ALERT),
            Some(Mode::Legacy) => {}
        }
        self.fail("the peer speaks no TLS");
        false
    }

    /// Goes on with the handshake until both sides know what they want to know of each other.
    fn shake_hands(&mut self, io: &dyn Transport, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_open {
            return Poll::Ready(Ok(()));
        }
        if self.held.is_empty() && self.out.is_empty() && self.connection.as_ref().is_some_and(Connection::is_client) {
            // The first word.
            self.go_through(&mut [], &mut |_| 0)?;
        }
        loop {
            let flushed = self.flush(io, cx);
            if let Poll::Ready(Err(error)) = flushed {
                return Poll::Ready(Err(error));
            }
            if self
                .connection
                .as_ref()
                .is_some_and(|connection| !connection.is_handshaking())
            {
                self.is_open = true;
                return Poll::Ready(Ok(()));
            }
            let filled = ready!(self.fill(io, cx, 0, &mut |_| 0));
            if filled.is_err() {
                // Why it failed is said as far as the socket takes it.
                let _ = self.flush(io, cx);
            }
            filled?;
        }
    }

    pub(super) fn send(
        &mut self,
        io: &dyn Transport,
        cx: &mut Context<'_>,
        segments: &[SendSegment<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.shake_hands(io, cx))?;
        loop {
            let flushed = self.flush(io, cx)?;
            // What has not left is offered again, and is in `out` already.
            if self.left > 0 {
                return Poll::Ready(Ok(std::mem::take(&mut self.left)));
            }
            ready!(flushed);
            if segments.iter().all(|segment| segment.len() == 0) {
                return Poll::Ready(Ok(0));
            }
            self.encrypt(segments)?;
        }
    }

    fn encrypt(&mut self, segments: &[SendSegment<'_>]) -> io::Result<()> {
        let Some(connection) = &mut self.connection else {
            return self.failure();
        };
        if self.out.capacity() == 0 {
            self.out = take_sent();
        }
        let (held, out, records) = (&mut self.held, &mut self.out, &mut self.records);
        let result = with_plain(|plain| {
            let mut count = 0;
            for segment in segments {
                count += segment.copy_into(&mut plain[count..]);
                if count == PLAIN_BYTES {
                    break;
                }
            }
            for record in plain[..count].chunks(RECORD_BYTES) {
                connection.encrypt(held, record, out)?;
                records.push_back((out.len(), record.len()));
            }
            Ok(())
        });
        result.or_else(|error: rustls::Error| {
            self.fail(&error.to_string());
            self.failure()
        })
    }

    /// Hands ciphertext to the transport; ready when it has all of it.
    pub(super) fn flush(&mut self, io: &dyn Transport, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.out_at < self.out.len() {
            let count = ready!(io.poll_send(cx, &[SendSegment::bytes(&self.out[self.out_at..])]))?;
            self.out_at += count;
            while let Some(&(end, len)) = self.records.front()
                && end <= self.out_at
            {
                self.left += len;
                self.records.pop_front();
            }
        }
        self.out_at = 0;
        if self.out.capacity() > 0 {
            give_sent(std::mem::take(&mut self.out));
        }
        if self.is_ending && !std::mem::replace(&mut self.is_shut, true) {
            io.shutdown_write();
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn say_end(&mut self) {
        if self.is_open && self.failed.is_none() && !std::mem::replace(&mut self.said_end, true) {
            // Where it cannot be said, the end of the stream says less.
            let _ = self
                .connection
                .as_mut()
                .map(|connection| connection.say_end(&mut self.held, &mut self.out));
        }
    }

    /// Throws away what a peer sends that was refused.
    pub(super) fn discard(&mut self, io: &dyn Transport, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        (self.held, self.spare) = Default::default();
        if let Poll::Ready(Err(_)) = self.flush(io, cx) {
            return Poll::Ready(Ok(0));
        }
        let Some(failure) = &mut self.failed else {
            return Poll::Ready(Ok(0));
        };
        with_received(|buffer| {
            while failure.discarded < DISCARDED_BYTES {
                match ready!(io.poll_recv(cx, &mut [RecvSegment::bytes(buffer)])) {
                    Ok(count) if count > 0 => failure.discarded += count,
                    _ => break,
                }
            }
            Poll::Ready(Ok(0))
        })
    }

    fn fail(&mut self, why: &str) {
        self.failed.get_or_insert_with(|| Failure::new(why.to_owned()));
    }

    fn failure(&self) -> io::Result<()> {
        self.failed.as_ref().map_or(Ok(()), |failure| Err(failure.error()))
    }

    /// The stream ended without a farewell.
    fn cut(&self) -> io::Error {
        let why = if self.is_open {
            "the stream was cut: its TLS was not ended"
        } else if self.held.is_empty() {
            "the peer hung up in the TLS handshake: it speaks no TLS, or has as many connections as its maxConnections or maxConnectionsPerSource allow"
        } else {
            "the peer hung up in the middle of the TLS handshake"
        };
        io::Error::new(io::ErrorKind::UnexpectedEof, why)
    }
}
