//! What has been received and not been looked at yet: headers and small bodies, many per system call.

use super::{Transport, raw::RecvSegment, share};
use crate::region::span::Span;
use std::{
    io,
    task::{Context, Poll, ready},
};

const LEAST: usize = 4 << 10;
const MOST: usize = 256 << 10;

/// A window of bytes over storage that grows while it keeps filling up, and is freed when its connection comes to rest.
#[derive(Debug, Default)]
pub(crate) struct RecvBuffer {
    storage: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether the last call filled it, so that more would have come into a larger one.
    filled: bool,
}

impl RecvBuffer {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Consumes bytes of a body that has so many. What is longer than the buffer can be is received straight into its place:
    /// that its beginning filled the buffer is no reason for a larger one.
    pub(crate) fn consume_body(&mut self, count: usize, length: u64) {
        self.consume(count);
        self.filled &= length < MOST as u64;
    }

    /// Whether it holds memory that a connection at rest has no use for.
    pub(crate) fn can_rest(&self) -> bool {
        self.len() == 0 && !self.storage.is_empty()
    }

    /// Frees the storage of an empty buffer, for a connection at rest.
    pub(crate) fn rest(&mut self) {
        if self.can_rest() {
            self.storage = Vec::new();
        }
    }

    /// Receives more bytes behind those that are there; 0 is the end of the stream.
    pub(crate) fn poll_fill(&mut self, io: &dyn Transport, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.make_room();
        let room = self.storage.len() - self.end;
        let count = ready!(io.poll_recv(cx, &mut [RecvSegment::bytes(&mut self.storage[self.end..])]))?;
        self.received(count, room);
        Poll::Ready(Ok(count))
    }

    /// Receives into the span from `at` on, and what comes behind its end into this buffer, in one call. The buffer
    /// must be empty. Says how many bytes went into the span; `None` is the end of the stream.
    pub(crate) fn poll_fill_span(
        &mut self,
        span: &Span,
        at: usize,
        io: &dyn Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<usize>>> {
        debug_assert_eq!(self.len(), 0, "buffered bytes come before those of the socket");
        let rest = span.len().saturating_sub(at);
        let body = RecvSegment::span(span, at, share::take_call());
        let wanted = body.len();
        if rest > wanted {
            let count = ready!(recv_over(span, io, cx, &mut [body]))?;
            return Poll::Ready(Ok((count > 0).then_some(count)));
        }
        self.make_room();
        let room = self.storage.len() - self.end;
        let tail = RecvSegment::bytes(&mut self.storage[self.end..]);
        let count = ready!(recv_over(span, io, cx, &mut [body, tail]))?;
        self.received(count.saturating_sub(wanted), room);
        Poll::Ready(Ok((count > 0).then_some(count.min(wanted))))
    }

    fn received(&mut self, count: usize, room: usize) {
        self.end += count;
        self.filled = count == room;
    }

    fn make_room(&mut self) {
        if self.storage.is_empty() {
            self.storage.resize(LEAST, 0);
        } else if std::mem::take(&mut self.filled) && self.storage.len() < MOST {
            self.storage.resize(self.storage.len() * 2, 0);
        }
        if self.start > 0 && self.storage.len() - self.end < self.storage.len() / 2 {
            self.storage.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.storage.len() {
            self.storage.resize(self.storage.len() * 2, 0);
        }
    }
}

/// Receives into segments of which the first is the span's.
fn recv_over(
    span: &Span,
    io: &dyn Transport,
    cx: &mut Context<'_>,
    segments: &mut [RecvSegment<'_>],
) -> Poll<io::Result<usize>> {
    if span.is_file() {
        io.poll_recv_file(cx, segments)
    } else {
        io.poll_recv(cx, segments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consuming_more_than_there_is_leaves_nothing_and_brings_nothing_back() {
        let mut buffer = RecvBuffer {
            storage: vec![1; 64],
            start: 17,
            end: 33,
            filled: false,
        };
        buffer.consume(usize::MAX);
        assert!(buffer.bytes().is_empty());
        let mut buffer = RecvBuffer {
            storage: vec![1; 64],
            start: 17,
            end: 33,
            filled: false,
        };
        buffer.consume(15);
        assert_eq!(buffer.bytes(), [1]);
    }

    #[test]
    fn a_buffer_grows_for_many_frames_and_not_for_the_beginning_of_a_long_body() {
        let after = |length: u64| {
            let mut buffer = RecvBuffer::default();
            for _ in 0..20 {
                buffer.make_room();
                let room = buffer.storage.len() - buffer.end;
                buffer.received(room, room);
                buffer.consume_body(room, length);
            }
            buffer.storage.len()
        };
        assert_eq!(after(64), MOST);
        assert_eq!(after(MOST as u64), LEAST);
    }
}
