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

/// So many bytes of frames and small bodies are sent before more are made of what has come, so that the other side works
/// at the same time: with one batch of 1,000 out, 8 % faster than all at once (32 KiB and 16 alike; 8 are slower).
const FLUSH_BYTES: usize = 32 << 10;

/// A chunk of frames is closed when it holds so much; the next frames begin another.
const CHUNK_BYTES: usize = 48 << 10;

/// Bytes of a queue with a body of a file that are copied for one call.
const COPIED_BYTES: usize = 64 << 10;

/// The first room that a buffer of frames gets.
const LEAST_CHUNK: usize = 128;

/// A larger buffer is not worth its memory to an idle connection.
const MOST_SPARE: usize = 64 << 10;

/// Frames and bodies on their way out of one connection. Positions count bytes since the connection began.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    /// What comes before `tail`.
    chunks: VecDeque<Chunk>,
    /// Where frames are put.
    tail: Frames,
    queued: u64,
    sent: u64,
    spans: usize,
    buffered: usize,
    /// A buffer for the next tail.
    spare: Vec<u8>,
}

#[derive(Debug)]
enum Chunk {
    Frames(Frames),
    Body { span: Span, at: usize },
}

/// Bytes to be sent, in a buffer that is initialised only once.
#[derive(Debug, Default)]
struct Frames {
    bytes: Vec<u8>,
    /// What is to be sent begins here.
    at: usize,
    /// And ends here.
    filled: usize,
}

impl Frames {
    fn in_buffer(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            at: 0,
            filled: 0,
        }
    }

    fn left(&self) -> usize {
        self.filled - self.at
    }

    /// At most `most` bytes of what is left.
    fn segment(&self, most: usize) -> SendSegment<'_> {
        SendSegment::bytes(&self.bytes[self.at..self.at + self.left().min(most)])
    }

    /// So many bytes behind what is there, to be written, and whatever was in them before.
    fn room(&mut self, len: usize) -> &mut [u8] {
        let start = self.filled;
        self.filled += len;
        if self.bytes.len() < self.filled {
            // Twice as many, so that it is moved seldom.
            let room = self.filled.max(2 * self.bytes.len()).max(LEAST_CHUNK);
            self.bytes.resize(room, 0);
        }
        &mut self.bytes[start..self.filled]
    }
}

impl Chunk {
    fn left(&self) -> usize {
        match self {
            Self::Frames(frames) => frames.left(),
            Self::Body { span, at } => span.len() - at,
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

    /// Whether it is empty, so that what is put in soon leaves.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending() == 0
    }

    /// Whether more frames should be made before some are sent. `leaves` says that the socket has taken all so far.
    pub(crate) fn takes_more(&self, leaves: bool) -> bool {
        let most = if leaves { FLUSH_BYTES } else { MOST_BUFFERED };
        self.buffered < most && !self.is_full()
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

    /// Whether a body that is still to be sent has bytes of the `len` from `at` of that span.
    pub(crate) fn sends_from(&self, whole: &Span, at: usize, len: usize) -> bool {
        let shares = |chunk: &Chunk| matches!(chunk, Chunk::Body { span, .. } if span.shares(whole, at, len));
        self.chunks.iter().any(shares)
    }

    /// Forgets what was not sent and lets go of all memory.
    pub(crate) fn clear(&mut self) {
        self.chunks.clear();
        self.tail = Frames::default();
        (self.spans, self.buffered) = (0, 0);
        self.queued = self.sent;
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
    }

    /// Queues a frame and its body: a small one as a copy, so that its span is free again when this returns.
    ///
    /// # Errors
    /// When the body is of a file that has lost it: nothing is queued then.
    pub(crate) fn push_framed(&mut self, frame: &[u8], body: Span) -> io::Result<()> {
        if body.len() > GATHER_BYTES {
            self.push_straight(frame, body)
        } else {
            self.push_copied(frame, &body, 0, body.len())
        }
    }

    /// The same of `len` bytes from `at` of a span. What leaves that is as good as a body that was lost.
    ///
    /// # Errors
    /// As for [`SendQueue::push_framed`].
    pub(crate) fn push_part(&mut self, frame: &[u8], whole: &Span, at: usize, len: usize) -> io::Result<()> {
        if len <= GATHER_BYTES {
            return self.push_copied(frame, whole, at, len);
        }
        let body = whole.slice(at, len).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.push_straight(frame, body)
    }

    fn push_straight(&mut self, frame: &[u8], body: Span) -> io::Result<()> {
        body.check_file()?;
        body.will_need();
        self.push(frame);
        self.close_tail();
        self.queued += body.len() as u64;
        self.spans += 1;
        self.chunks.push_back(Chunk::Body { span: body, at: 0 });
        Ok(())
    }

    fn push_copied(&mut self, frame: &[u8], whole: &Span, at: usize, len: usize) -> io::Result<()> {
        let room = self.room(frame.len() + len);
        let (head, rest) = room.split_at_mut(frame.len());
        head.copy_from_slice(frame);
        match whole.copy_out(at, rest) {
            Ok(count) if count == len => Ok(()),
            result => {
                let taken = frame.len() + len;
                self.tail.filled -= taken;
                self.queued -= taken as u64;
                self.buffered -= taken;
                Err(result.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()))
            }
        }
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

    /// So many bytes at the end, to be written.
    pub(crate) fn room(&mut self, len: usize) -> &mut [u8] {
        // A chunk that is full enough takes no more: a reader that never catches up would keep it growing for ever.
        if self.tail.filled >= CHUNK_BYTES {
            self.close_tail();
        }
        self.queued += len as u64;
        self.buffered += len;
        self.tail.room(len)
    }

    /// What comes next goes behind the tail.
    fn close_tail(&mut self) {
        if self.tail.left() > 0 {
            let next = Frames::in_buffer(std::mem::take(&mut self.spare));
            self.chunks
                .push_back(Chunk::Frames(std::mem::replace(&mut self.tail, next)));
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
            segments[used] = match chunk {
                Chunk::Frames(chunk) => chunk.segment(room),
                Chunk::Body { span, at } => SendSegment::span(span, *at, room),
            };
            room -= segments[used].len();
            used += 1;
        }
        if used < SEGMENTS && room > 0 && self.tail.left() > 0 {
            segments[used] = self.tail.segment(room);
            room -= segments[used].len();
            used += 1;
        }
        if room == most {
            return Poll::Ready(Ok(0));
        }
        let result = if self.has_file_body() {
            if io.copies() {
                return self.poll_send_copied(io, cx);
            }
            io.poll_send_file(cx, &segments[..used])
        } else {
            io.poll_send(cx, &segments[..used])
        };
        if let Poll::Ready(Ok(count)) = &result {
            self.advance(*count);
        }
        result
    }

    /// The same of a queue with a body of a file in it, by a transport that copies: what the file has is read into a copy first.
    fn poll_send_copied(&mut self, io: &dyn Transport, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = vec![0; COPIED_BYTES];
        let mut filled = 0;
        let tail = self.tail.segment(COPIED_BYTES);
        for chunk in self.chunks.iter().take(SEGMENTS) {
            let room = &mut bytes[filled..];
            let count = chunk.left().min(room.len());
            match chunk {
                Chunk::Frames(frames) => room[..count].copy_from_slice(&frames.bytes[frames.at..frames.at + count]),
                Chunk::Body { span, at } => {
                    // As a call over its memory says that a page is gone.
                    let lost = || io::Error::from_raw_os_error(libc::EFAULT);
                    let copied = span.slice(*at, count).map(|part| part.copy_out(0, &mut room[..count]));
                    if !matches!(copied, Some(Ok(copied)) if copied == count) {
                        return Poll::Ready(Err(lost()));
                    }
                }
            }
            filled += count;
        }
        let result = if filled < COPIED_BYTES && self.chunks.len() <= SEGMENTS {
            io.poll_send(cx, &[SendSegment::bytes(&bytes[..filled]), tail])
        } else {
            io.poll_send(cx, &[SendSegment::bytes(&bytes[..filled])])
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
                Chunk::Frames(frames) => {
                    frames.at += step;
                    self.buffered -= step;
                }
                Chunk::Body { at, .. } => *at += step,
            }
            if chunk.left() > 0 {
                return;
            }
            match self.chunks.pop_front() {
                Some(Chunk::Body { .. }) => self.spans -= 1,
                // One buffer is kept for the next frames.
                Some(Chunk::Frames(frames)) if frames.bytes.capacity() <= MOST_SPARE => self.spare = frames.bytes,
                _ => {}
            }
        }
        self.tail.at += count;
        self.buffered -= count;
        if self.tail.left() == 0 {
            (self.tail.at, self.tail.filled) = (0, 0);
            if self.tail.bytes.capacity() > MOST_SPARE {
                self.tail = Frames::default();
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
                Chunk::Frames(frames) => frames.bytes.capacity(),
                Chunk::Body { .. } => 0,
            })
            .sum::<usize>()
            + queue.tail.bytes.capacity();
        assert!(
            held < 512 << 10,
            "{held} bytes are held for {} that are pending",
            queue.pending()
        );
    }
}
