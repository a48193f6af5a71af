//! A transport in memory for tests and micro benchmarks: it delivers in pieces of the test's choosing and cuts where the test says.

use super::{
    Transport,
    raw::{RecvSegment, SendSegment},
};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// How one direction of a pipe behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// Most bytes that one call takes or gives; at least 1.
    pub(crate) step: usize,
    /// Most bytes on their way.
    pub(crate) room: usize,
    /// The stream ends, for both sides, when so many bytes have passed.
    pub(crate) cut_after: Option<u64>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            step: usize::MAX,
            room: 256 << 10,
            cut_after: None,
        }
    }
}

#[derive(Default)]
struct Direction {
    bytes: VecDeque<u8>,
    passed: u64,
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Direction {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

/// One end of a pipe.
pub(crate) struct Pipe {
    incoming: Arc<Mutex<Direction>>,
    outgoing: Arc<Mutex<Direction>>,
    behaviour: Behaviour,
}

/// Two ends; `behaviour` holds for the bytes that each of them sends.
pub(crate) fn pipe(first: Behaviour, second: Behaviour) -> (Pipe, Pipe) {
    let there = Arc::new(Mutex::new(Direction::default()));
    let back = Arc::new(Mutex::new(Direction::default()));
    (
        Pipe {
            incoming: Arc::clone(&back),
            outgoing: Arc::clone(&there),
            behaviour: first,
        },
        Pipe {
            incoming: there,
            outgoing: back,
            behaviour: second,
        },
    )
}

impl Transport for Pipe {
    fn poll_recv(&self, cx: &mut Context<'_>, segments: &mut [RecvSegment<'_>]) -> Poll<io::Result<usize>> {
        let mut direction = self.incoming.lock();
        if direction.bytes.is_empty() {
            if direction.ended {
                return Poll::Ready(Ok(0));
            }
            direction.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut total = 0;
        for segment in segments {
            let most = segment
                .len()
                .min(self.behaviour.step - total)
                .min(direction.bytes.len());
            let (first, second) = direction.bytes.as_slices();
            let first = &first[..most.min(first.len())];
            segment.fill(0, first);
            segment.fill(first.len(), &second[..most - first.len()]);
            direction.bytes.drain(..most);
            total += most;
        }
        direction.wake();
        Poll::Ready(Ok(total))
    }

    fn poll_send(&self, cx: &mut Context<'_>, segments: &[SendSegment<'_>]) -> Poll<io::Result<usize>> {
        let mut direction = self.outgoing.lock();
        if direction.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut room = (self.behaviour.room - direction.bytes.len()).min(self.behaviour.step);
        if let Some(cut) = self.behaviour.cut_after {
            room = room.min(usize::try_from(cut - direction.passed).unwrap_or(usize::MAX));
            if cut == direction.passed {
                direction.ended = true;
                direction.wake();
                drop(direction);
                self.end();
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
        }
        if room == 0 {
            direction.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut total = 0;
        for segment in segments {
            let bytes = segment.copied(room - total);
            total += bytes.len();
            direction.bytes.extend(bytes);
        }
        direction.passed += total as u64;
        direction.wake();
        Poll::Ready(Ok(total))
    }

    fn shutdown_write(&self) {
        let mut direction = self.outgoing.lock();
        direction.ended = true;
        direction.wake();
    }
}

impl Pipe {
    /// Ends both directions: what is on its way is still delivered, as by a socket that was closed.
    pub(crate) fn end(&self) {
        for direction in [&self.incoming, &self.outgoing] {
            let mut direction = direction.lock();
            direction.ended = true;
            direction.wake();
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.end();
    }
}
