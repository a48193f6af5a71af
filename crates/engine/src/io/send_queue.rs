//! What is to be sent, in order: small frames gathered into buffers, large bodies straight from their memory.

use super::{Transport, raw::SEGMENTS, raw::SendSegment, share};
use crate::region::span::Span;
use std::{
    collections::VecDeque,
    io,
    task::{Context, Poll},
};

/// Bodies up to this size are copied behind their header: a copy of 8 KiB costs less than one more segment.
pub(crate) const GATHER_BYTES: usize = 8 << 10;

/// Bodies that wait at once, each of which holds a region's fence; enough to keep a socket busy with pieces of 1 MiB.
const MOST_BODIES: usize = 4;

/// Bytes of frames and small bodies that wait at once.
const MOST_BUFFERED: usize = 256 << 10;

/// A chunk of frames is closed when it holds so much; the next frames begin another.
const CHUNK_BYTES: usize = 48 << 10;

/// Frames and bodies on their way out of one connection. Positions count bytes since the connection began.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    chunks: VecDeque<Chunk>,
    queued: u64,
    sent: u64,
    spans: usize,
    buffered: usize,
    spare: Vec<u8>,
}

#[derive(Debug)]
enum Chunk {
    Bytes { bytes: Vec<u8>, at: usize },
    Body { span: Span, at: usize },
}

impl Chunk {
    fn left(&self) -> usize {
        match self {
            Self::Bytes { bytes, at } => bytes.len() - at,
            Self::Body { span, at } => span.len() - at,
        }
    }

    fn segment(&self, most: usize) -> SendSegment<'_> {
        match self {
            Self::Bytes { bytes, at } => SendSegment::bytes(&bytes[*at..bytes.len().min(at.saturating_add(most))]),
            Self::Body { span, at } => SendSegment::span(span, *at, most),
        }
    }
}

impl SendQueue {
    /// Position behind the last byte that was queued.
    pub(crate) fn queued(&self) -> u64 {
        self.queued
    }

    /// Position behind the last byte that the transport took.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes still to be sent.
    pub(crate) fn pending(&self) -> u64 {
        self.queued - self.sent
    }

    /// Whether more should wait until some of it is sent: a peer that never reads must not grow us.
    pub(crate) fn is_full(&self) -> bool {
        self.spans >= MOST_BODIES || self.buffered >= MOST_BUFFERED
    }

    /// Whether a large body is still to be sent, straight from somebody's memory.
    pub(crate) fn has_body(&self) -> bool {
        self.spans > 0
    }

    /// Whether a body that is still to be sent belongs to a region that is being closed.
    pub(crate) fn has_revoked_body(&self) -> bool {
        self.spans > 0
            && self
                .chunks
                .iter()
                .any(|chunk| matches!(chunk, Chunk::Body { span, .. } if span.is_revoked()))
    }

    /// Forgets what was not sent and lets go of all memory.
    pub(crate) fn clear(&mut self) {
        self.chunks.clear();
        (self.spans, self.buffered) = (0, 0);
        self.queued = self.sent;
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.tail().extend_from_slice(bytes);
        self.queued += bytes.len() as u64;
        self.buffered += bytes.len();
    }

    /// Queues a frame and its body: a small one as a copy, so that its span is free again when this returns.
    ///
    /// # Errors
    /// When the body is of a file that has lost it: nothing is queued then.
    pub(crate) fn push_framed(&mut self, frame: &[u8], body: Span) -> io::Result<()> {
        let len = body.len();
        if len > GATHER_BYTES {
            body.check_file()?;
            body.will_need();
            self.push(frame);
            self.queued += len as u64;
            self.spans += 1;
            self.chunks.push_back(Chunk::Body { span: body, at: 0 });
            return Ok(());
        }
        let tail = self.tail();
        let start = tail.len();
        tail.extend_from_slice(frame);
        tail.resize(start + frame.len() + len, 0);
        if let Err(error) = body.copy_out(0, &mut tail[start + frame.len()..]) {
            tail.truncate(start);
            return Err(error);
        }
        self.queued += (frame.len() + len) as u64;
        self.buffered += frame.len() + len;
        Ok(())
    }

    /// Whether `error` says that a file has lost the body that was being sent.
    pub(crate) fn has_lost(&self, error: &io::Error) -> bool {
        let lost = |chunk: &Chunk| matches!(chunk, Chunk::Body { span, .. } if span.is_lost(error));
        self.spans > 0 && self.chunks.iter().any(lost)
    }

    fn has_file_body(&self) -> bool {
        let is_of_file = |chunk: &Chunk| matches!(chunk, Chunk::Body { span, .. } if span.is_file());
        self.spans > 0 && self.chunks.iter().take(SEGMENTS).any(is_of_file)
    }

    fn tail(&mut self) -> &mut Vec<u8> {
        // A chunk that is full enough takes no more: a reader that never catches up would keep it growing for ever.
        if !matches!(self.chunks.back(), Some(Chunk::Bytes { bytes, .. }) if bytes.len() < CHUNK_BYTES) {
            let bytes = std::mem::take(&mut self.spare);
            self.chunks.push_back(Chunk::Bytes { bytes, at: 0 });
        }
        match self.chunks.back_mut() {
            Some(Chunk::Bytes { bytes, .. }) => bytes,
            // Pushed just above when it was not there.
            _ => unreachable!("the last chunk holds bytes"),
        }
    }

    /// Hands one call's worth to the transport; the number of bytes it took, 0 when nothing was left.
    pub(crate) fn poll_send(&mut self, io: &dyn Transport, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut segments = [SendSegment::EMPTY; SEGMENTS];
        let most = if self.has_body() {
            share::take_call()
        } else {
            share::CALL_BYTES
        };
        let (mut used, mut room) = (0, most);
        for chunk in self.chunks.iter().take(SEGMENTS) {
            if room == 0 {
                break;
            }
            segments[used] = chunk.segment(room);
            room -= segments[used].len();
            used += 1;
        }
        if room == most {
            return Poll::Ready(Ok(0));
        }
        let result = if self.has_file_body() {
            io.poll_send_file(cx, &segments[..used])
        } else {
            io.poll_send(cx, &segments[..used])
        };
        if let Poll::Ready(Ok(count)) = &result {
            self.advance(*count);
        }
        result
    }

    fn advance(&mut self, mut count: usize) {
        self.sent += count as u64;
        while let Some(chunk) = self.chunks.front_mut() {
            let step = count.min(chunk.left());
            count -= step;
            match chunk {
                Chunk::Bytes { at, .. } => {
                    *at += step;
                    self.buffered -= step;
                }
                Chunk::Body { at, .. } => *at += step,
            }
            if chunk.left() > 0 {
                return;
            }
            match self.chunks.pop_front() {
                Some(Chunk::Body { .. }) => self.spans -= 1,
                // One buffer is kept for the next frames; a large one is not worth its memory to an idle connection.
                Some(Chunk::Bytes { mut bytes, .. }) if bytes.capacity() <= 64 << 10 => {
                    bytes.clear();
                    self.spare = bytes;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_never_catches_up_costs_no_more_than_what_it_has_not_read() {
        let mut queue = SendQueue::default();
        queue.push(&[0; 10_000]);
        for _ in 0..10_000 {
            queue.push(&[0; 8192]);
            queue.advance(8192);
        }
        let held: usize = queue
            .chunks
            .iter()
            .map(|chunk| match chunk {
                Chunk::Bytes { bytes, .. } => bytes.capacity(),
                Chunk::Body { .. } => 0,
            })
            .sum();
        assert!(
            held < 512 << 10,
            "{held} bytes are held for {} that are pending",
            queue.pending()
        );
    }
}
