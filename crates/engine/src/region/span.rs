//! A checked range of memory: the only value that grants access to bytes.

use super::{account::Account, lease::Lease, memory::Memory};
use std::{io, sync::Arc};

/// `len` bytes of a memory, checked when the span was made; the memory stays, and a region's fence waits, while it lives.
#[derive(Clone, Debug)]
pub struct Span {
    lease: Lease,
    start: usize,
    len: usize,
}

impl Span {
    /// All of a memory that belongs to no region.
    pub fn whole(memory: Arc<Memory>) -> Self {
        let len = memory.len();
        Self {
            lease: Lease::of_own(memory),
            start: 0,
            len,
        }
    }

    /// A private copy of `bytes`.
    ///
    /// # Errors
    /// `OutOfMemory` when the heap has no such block.
    pub fn copied(bytes: &[u8]) -> io::Result<Self> {
        let memory = Memory::private(bytes.len())?;
        memory.copy_in(0, bytes)?;
        Ok(Self::whole(memory))
    }

    /// A range of a memory; `None` when it leaves it, or that is a region's which is closed.
    pub fn leased(memory: &Arc<Memory>, start: usize, len: usize) -> Option<Self> {
        let fits = start <= memory.len() && len <= memory.len() - start;
        fits.then(|| Lease::enter(memory))
            .flatten()
            .map(|lease| Self { lease, start, len })
    }

    /// `len` bytes from `offset` of this span; `None` when they leave it.
    pub fn slice(&self, offset: usize, len: usize) -> Option<Self> {
        (offset <= self.len && len <= self.len - offset).then(|| Self {
            start: self.start + offset,
            len,
            ..self.clone()
        })
    }

    /// Whether it is all of that memory.
    pub(crate) fn is_all_of(&self, memory: &Arc<Memory>) -> bool {
        Arc::ptr_eq(self.lease.memory(), memory) && self.len == memory.len()
    }

    /// Whether one of its bytes is among the `len` from `at` of another span.
    pub(crate) fn shares(&self, other: &Self, at: usize, len: usize) -> bool {
        let from = other.start + at;
        Arc::ptr_eq(self.lease.memory(), other.lease.memory())
            && self.start < from + len
            && from < self.start + self.len
    }

    /// Its memory, and where in it it begins.
    #[cfg(test)]
    pub(crate) fn place(&self) -> (&Arc<Memory>, usize) {
        (self.lease.memory(), self.start)
    }

    /// Whether its region is being closed, so that whoever moves bytes here should end.
    pub(crate) fn is_revoked(&self) -> bool {
        self.lease.is_revoked()
    }

    /// Spans of its memory that there are.
    #[cfg(test)]
    pub(crate) fn leases(&self) -> usize {
        self.lease.memory().gate().leases()
    }

    /// Whose account its memory is on.
    pub(super) fn account(&self) -> &Account {
        self.lease.memory().account()
    }

    /// A peer has written it: counted for its region.
    pub(crate) fn count_write(&self) {
        if let Account::Region(stats) = self.account() {
            stats.writes.add(1);
            stats.stored.add(self.len as u64);
        }
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte to reach.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Pointer and length of the bytes from `offset` on, at most `most` of them; empty beyond the end.
    pub(crate) fn raw(&self, offset: usize, most: usize) -> (*mut u8, usize) {
        let offset = offset.min(self.len);
        // wrapping_add: never out of the memory, because start + offset <= start + len <= memory.len().
        (
            self.lease.memory().as_ptr().wrapping_add(self.start + offset),
            most.min(self.len - offset),
        )
    }

    /// Copies as many of `bytes` to `offset` as the span holds there; says how many.
    ///
    /// # Errors
    /// `UnexpectedEof` where a file was truncated, and what the system says; none for other memory.
    pub fn copy_in(&self, offset: usize, bytes: &[u8]) -> io::Result<usize> {
        let offset = offset.min(self.len);
        let count = bytes.len().min(self.len - offset);
        self.lease.memory().copy_in(self.start + offset, &bytes[..count])?;
        Ok(count)
    }

    /// Copies from `offset` as many bytes as both hold; says how many.
    ///
    /// # Errors
    /// As for [`Span::copy_in`].
    pub fn copy_out(&self, offset: usize, bytes: &mut [u8]) -> io::Result<usize> {
        let offset = offset.min(self.len);
        let count = bytes.len().min(self.len - offset);
        self.lease.memory().copy_out(self.start + offset, &mut bytes[..count])?;
        Ok(count)
    }

    /// Copies from its start into the start of another as many bytes as both hold; says how many.
    ///
    /// # Errors
    /// As for [`Span::copy_in`], of either side.
    pub fn copy_to(&self, to: &Self) -> io::Result<usize> {
        let count = self.len.min(to.len);
        self.lease
            .memory()
            .copy_to(self.start, to.lease.memory(), to.start, count)?;
        Ok(count)
    }

    /// Whether it is of a file, whose bytes can go at any time.
    pub(crate) fn is_file(&self) -> bool {
        self.lease.memory().as_file().is_some()
    }

    /// Whether its bytes are there. Those of a file may not be; those of other memory are.
    ///
    /// # Errors
    /// `UnexpectedEof` where a file was truncated, and what the system says.
    pub(crate) fn check_file(&self) -> io::Result<()> {
        match self.lease.memory().as_file() {
            Some(file) => file.check(self.start, self.len),
            None => Ok(()),
        }
    }

    /// Has the system begin to read it, where it is of a file.
    pub(crate) fn will_need(&self) {
        if let Some(file) = self.lease.memory().as_file() {
            file.will_need(self.start, self.len);
        }
    }

    /// Whether a system call over this span failed because its file has lost the bytes, or cannot read them.
    pub(crate) fn is_lost(&self, error: &io::Error) -> bool {
        error.raw_os_error() == Some(libc::EFAULT) && self.is_file()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_never_leaves_its_span() {
        let span = Span::whole(Memory::private(100).unwrap());
        let inner = span.slice(10, 20).unwrap();
        assert_eq!(inner.len(), 20);
        for (offset, len) in [(0, 21), (20, 1), (21, 0), (usize::MAX, 2), (1, usize::MAX)] {
            assert!(inner.slice(offset, len).is_none(), "{len} bytes at {offset}");
        }
        assert!(inner.slice(20, 0).is_some());
        assert_eq!(inner.raw(19, 50).1, 1);
        assert_eq!(inner.raw(500, 50).1, 0);
        assert_eq!(inner.copy_in(15, &[1; 10]).unwrap(), 5);
        let mut bytes = [0; 100];
        assert_eq!(span.copy_out(0, &mut bytes).unwrap(), 100);
        assert_eq!(bytes.iter().position(|&b| b == 1), Some(25));
        assert_eq!(bytes.iter().rposition(|&b| b == 1), Some(29));
    }
}
