//! Where plaintext goes: the segments of one call.

use crate::io::raw::RecvSegment;

/// Segments that are being filled.
pub(super) struct Taken<'a, 'b> {
    segments: &'a mut [RecvSegment<'b>],
    /// The segment that is being filled, and how far.
    at: (usize, usize),
    pub(super) count: usize,
    pub(super) room: usize,
}

impl<'a, 'b> Taken<'a, 'b> {
    pub(super) fn new(segments: &'a mut [RecvSegment<'b>]) -> Self {
        let room = segments.iter().map(RecvSegment::len).sum();
        Self {
            segments,
            at: (0, 0),
            count: 0,
            room,
        }
    }

    /// Stores what fits; how much that was.
    pub(super) fn store(&mut self, mut bytes: &[u8]) -> usize {
        let before = self.count;
        while let Some(segment) = self.segments.get_mut(self.at.0)
            && !bytes.is_empty()
        {
            let count = bytes.len().min(segment.len() - self.at.1);
            segment.fill(self.at.1, &bytes[..count]);
            bytes = &bytes[count..];
            self.at.1 += count;
            self.count += count;
            if self.at.1 == segment.len() {
                self.at = (self.at.0 + 1, 0);
            }
        }
        self.room -= self.count - before;
        self.count - before
    }
}
