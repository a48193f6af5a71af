//! TLS 1.3 over another transport. The handshake is driven by whoever sends or receives first, so that it counts for the
//! deadline of the handshake as prefaces do.
//!
//! By rustls' unbuffered connection, not by a stream over async traits: a session polls both directions in one task, bodies go
//! from and to memory that has no Rust reference, and every byte that waits is counted here. Of a connection that waits,
//! a record that has not come whole is kept, and what the socket has not taken of one call; all other memory is the thread's.

mod connection;
mod scratch;
mod state;
mod taken;

use super::{
    Transport,
    raw::{RecvSegment, SendSegment},
};
use crate::tls::Tls;
use connection::Connection;
use parking_lot::Mutex;
use rustls::client::UnbufferedClientConnection;
use state::{Failure, State};
use std::{
    io,
    task::{Context, Poll, Waker},
};

/// TLS over `io`.
pub(crate) struct TlsTransport<T: Transport> {
    io: T,
    state: Mutex<State>,
}

impl<T: Transport> TlsTransport<T> {
    /// The side of who was dialled.
    pub(crate) fn accepted(io: T, tls: &Tls) -> Self {
        let (connection, failed) = match tls.accepted() {
            Ok(connection) => (connection.map(|server| Connection::Server(Box::new(server))), None),
            Err(error) => (None, Some(Failure::new(error.to_string()))),
        };
        Self::new(io, connection, failed)
    }

    /// The side of who dials.
    pub(crate) fn dialled(io: T, ours: UnbufferedClientConnection) -> Self {
        Self::new(io, Some(Connection::Client(Box::new(ours))), None)
    }

    fn new(io: T, connection: Option<Connection>, failed: Option<Failure>) -> Self {
        Self {
            io,
            state: Mutex::new(State::new(connection, failed)),
        }
    }
}

#[cfg(test)]
impl TlsTransport<super::pipe::Pipe> {
    /// Ends it as a crash does, without a farewell.
    pub(crate) fn cut(self) {
        self.io.end();
    }
}

impl<T: Transport> Transport for TlsTransport<T> {
    fn poll_recv(&self, cx: &mut Context<'_>, segments: &mut [RecvSegment<'_>]) -> Poll<io::Result<usize>> {
        let mut state = self.state.lock();
        let result = match state.failed {
            None => state.recv(&self.io, cx, segments),
            Some(_) => Poll::Ready(Ok(0)),
        };
        match &mut state.failed {
            Some(failure) if !failure.told => {
                failure.told = true;
                Poll::Ready(Err(failure.error()))
            }
            Some(_) => state.discard(&self.io, cx),
            None => result,
        }
    }

    fn poll_send(&self, cx: &mut Context<'_>, segments: &[SendSegment<'_>]) -> Poll<io::Result<usize>> {
        let mut state = self.state.lock();
        if let Some(failure) = &state.failed {
            return Poll::Ready(Err(failure.error()));
        }
        state.send(&self.io, cx, segments)
    }

    fn copies(&self) -> bool {
        true
    }

    fn shutdown_write(&self) {
        let mut state = self.state.lock();
        state.say_end();
        state.is_ending = true;
        // What the socket does not take at once follows when it is polled again.
        let _ = state.flush(&self.io, &mut Context::from_waker(Waker::noop()));
    }
}

impl<T: Transport> Drop for TlsTransport<T> {
    /// A peer that is not told would take the end for a cut. What is half sent is one.
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if state.records.is_empty() && !state.is_shut {
            state.say_end();
            let _ = state.flush(&self.io, &mut Context::from_waker(Waker::noop()));
        }
    }
}
