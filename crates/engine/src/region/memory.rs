//! Memory that somebody else may be changing at this very moment.
//!
//! A region is written by peers through the kernel and by JavaScript through its view, at any time and without a
//! lock. Rust's rules have no reference for such memory, so there is none here: no `&[u8]`, no `&mut [u8]`, only a
//! base pointer, a length, and copies whose range is checked first. Reading while somebody writes gives torn bytes,
//! never undefined behaviour in the sense of a dangling or aliased reference. (The model is rust-vmm's `vm-memory`.)
//!
//! A copy of a file's bytes can fail, because the file may have been truncated; one of any other memory cannot.

use super::{account::Account, file::MappedFile, gate::Gate, poison, slab::Slot};
use std::{io, ptr, ptr::NonNull, sync::Arc};

/// Owned bytes without a Rust reference to them; freed when the last `Arc` goes.
pub struct Memory {
    base: NonNull<u8>,
    len: usize,
    backing: Backing,
    gate: Gate,
    account: Account,
}

enum Backing {
    /// An anonymous mapping of ours: `start` and `total` include the guard pages.
    Mapped {
        start: NonNull<u8>,
        total: usize,
    },
    /// A slot of a mapping that is shared with other memories; zeroed before it is given back.
    Slot(Slot),
    /// The process heap, for bytes that live as long as one operation.
    Heap(std::alloc::Layout),
    /// Somebody else's too, and it may shrink: never loaded from or stored to by us.
    File(MappedFile),
    Empty,
}

// SAFETY: the pointer is owned by this value alone and stays valid until drop; every access goes through a checked
// copy or a system call, and neither needs exclusive access.
unsafe impl Send for Memory {}
// SAFETY: as above; concurrent copies may tear but do not invalidate anything.
unsafe impl Sync for Memory {}

const HUGE_PAGE: usize = 2 << 20;

/// From this size on, private memory is a mapping of its own and not a block of the heap.
const LAZY_BYTES: usize = 1 << 20;

/// So much of a large region is present when it is made. Whoever makes it may be the event loop: the rest comes beside it.
pub(super) const AT_ONCE: usize = 2 << 20;

/// What a copy from a file to other memory moves at a time.
const STEP_BYTES: usize = 64 << 10;

impl Memory {
    /// Page-aligned, zeroed memory between two guard pages: what a large region is made of. Its first 2 MiB are present; the
    /// registry has the others brought, where the system can do that.
    ///
    /// Present pages matter: a first touch inside a transfer costs 2.5 to 4.4 times the copy itself.
    ///
    /// # Errors
    /// What the kernel says when it has no such memory; `InvalidInput` for a length that no mapping can have.
    pub fn mapped(len: usize) -> io::Result<Arc<Self>> {
        let (memory, body) = Self::reserve(len)?;
        memory.populate(body.min(AT_ONCE), body)?;
        Ok(Arc::new(memory))
    }

    /// The same without the pages, which come when they are asked for: what small regions are carved out of.
    pub(super) fn reserved(len: usize) -> io::Result<Arc<Self>> {
        let (memory, body) = Self::reserve(len)?;
        poison::forbid(memory.as_ptr(), body);
        Ok(Arc::new(memory))
    }

    /// The first `len` bytes of a slot, whose bytes are zero; every page present.
    ///
    /// # Errors
    /// What the kernel says when it has no such memory.
    pub(super) fn part(slot: Slot, len: usize) -> io::Result<Arc<Self>> {
        assert!(len <= slot.size(), "{len} bytes leave their slot");
        slot.slab().check(slot.offset(), slot.size());
        // SAFETY: `check` above: the slot lies inside the mapping of its slab, which it keeps.
        let base = unsafe { slot.slab().base.add(slot.offset()) };
        let memory = Self {
            base,
            len,
            backing: Backing::Slot(slot),
            gate: Gate::default(),
            account: Account::Nobody,
        };
        poison::allow(memory.as_ptr(), len);
        memory.populate(len, len)?;
        Ok(Arc::new(memory))
    }

    /// An accessible mapping between guard pages whose pages come, zeroed, when they are first touched; and its length
    /// in whole pages.
    fn reserve(len: usize) -> io::Result<(Self, usize)> {
        let page = page_size();
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let body = len
            .checked_next_multiple_of(page)
            .filter(|&n| n > 0)
            .ok_or_else(invalid)?;
        // Huge pages need their own alignment; the slack before them stays inaccessible and is a guard too.
        let align = if body >= HUGE_PAGE { HUGE_PAGE } else { page };
        let total = body
            .checked_add(align)
            .and_then(|n| n.checked_add(page))
            .ok_or_else(invalid)?;
        if total > isize::MAX as usize {
            return Err(invalid());
        }
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory that exists.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                total,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let Some(start) = NonNull::new(start.cast::<u8>()) else {
            return Err(invalid());
        };
        let lead = (start.as_ptr() as usize + page).next_multiple_of(align) - start.as_ptr() as usize;
        // SAFETY: start is page-aligned, so that lead is at least a page and at most align, and lead + body + page is at
        // most total: the pointer stays inside the mapping, with a guard page on either side of the body.
        let base = unsafe { start.add(lead) };
        let memory = Self {
            base,
            len,
            backing: Backing::Mapped { start, total },
            gate: Gate::default(),
            account: Account::Nobody,
        };
        let address = base.as_ptr().cast::<libc::c_void>();
        // SAFETY: base..base + body lies inside the mapping made above.
        if unsafe { libc::mprotect(address, body, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        #[cfg(target_os = "linux")]
        // SAFETY: same range; both are advice about pages that we own, and a refusal changes nothing.
        unsafe {
            libc::madvise(address, body, libc::MADV_DONTFORK);
            libc::madvise(address, body, libc::MADV_HUGEPAGE);
        }
        poison::forbid(base.as_ptr().wrapping_add(len), body - len);
        Ok((memory, body))
    }

    /// Makes the first `some` bytes present, or, where the system has no call for it, the first `all`. Other bytes of their
    /// pages, which may be somebody else's, stay as they are.
    fn populate(&self, some: usize, all: usize) -> io::Result<()> {
        if self.bring(0, some)? {
            return Ok(());
        }
        let page = page_size();
        let lead = self.base.as_ptr() as usize % page;
        // Its own first byte, then the first of every further page.
        for offset in std::iter::once(0).chain((page - lead..all).step_by(page)) {
            // SAFETY: offset < all, which lies in the mapping; nobody else has the pointer yet.
            unsafe { self.base.as_ptr().add(offset).write_volatile(0) };
        }
        Ok(())
    }

    /// Has the system make these bytes present, which changes none of them, whoever uses them meanwhile; false where it
    /// knows no such call.
    ///
    /// # Errors
    /// What the system says: the memory is not there.
    pub(super) fn bring(&self, offset: usize, len: usize) -> io::Result<bool> {
        #[cfg(target_os = "linux")]
        {
            let start = self.base.as_ptr() as usize + offset;
            let lead = start % page_size();
            let address = self.base.as_ptr().wrapping_add(offset).wrapping_sub(lead);
            assert!(
                offset + len <= self.len.next_multiple_of(page_size()),
                "{len} bytes at {offset} leave the memory"
            );
            // SAFETY: whole pages of the range that `reserve` made accessible; populating changes no byte.
            if unsafe { libc::madvise(address.cast(), lead + len, libc::MADV_POPULATE_WRITE) } == 0 {
                return Ok(true);
            }
            let refusal = io::Error::last_os_error();
            // Kernels before 5.14 do not know the advice; any other refusal means that the memory is not there.
            if refusal.raw_os_error() != Some(libc::EINVAL) {
                return Err(refusal);
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (offset, len);
        Ok(false)
    }

    /// Whether all of its pages are present.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn is_resident(&self) -> bool {
        let mut pages = vec![0_u8; self.len.div_ceil(page_size())];
        // SAFETY: the call looks at nothing of the mapping; the vector has a byte for each of its pages.
        let refused = unsafe { libc::mincore(self.base.as_ptr().cast(), self.len, pages.as_mut_ptr().cast()) };
        refused == 0 && pages.iter().all(|&page| page & 1 == 1)
    }

    /// Whether it is a mapping of its own.
    pub(super) fn is_mapped(&self) -> bool {
        matches!(self.backing, Backing::Mapped { .. })
    }

    /// Zeroes a slot for whoever gets it next; one of whole pages gives them back to the system, which does that.
    fn wipe(&self, size: usize) {
        #[cfg(target_os = "linux")]
        {
            let page = page_size();
            let address = self.base.as_ptr().cast::<libc::c_void>();
            if size.is_multiple_of(page)
                && (address as usize).is_multiple_of(page)
                // SAFETY: whole pages of a private anonymous mapping, all of them this memory's, which nobody else has any more.
                && unsafe { libc::madvise(address, size, libc::MADV_DONTNEED) } == 0
            {
                return;
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = size;
        // SAFETY: the first `len` bytes are inside the slot, and nothing but them was ever reached.
        unsafe { libc::memset(self.base.as_ptr().cast(), 0, self.len) };
    }

    /// Zeroed bytes for one operation's private copy. Large ones cost nothing until they are touched, which the I/O
    /// thread does: whoever asks for them may be the event loop.
    ///
    /// # Errors
    /// What the kernel says, or `OutOfMemory`, when there is no such memory.
    pub fn private(len: usize) -> io::Result<Arc<Self>> {
        Self::private_for(Account::Nobody, len)
    }

    /// The same on somebody's account, until it is freed.
    ///
    /// # Errors
    /// As for [`Memory::private`].
    pub(crate) fn private_for(account: Account, len: usize) -> io::Result<Arc<Self>> {
        if len >= LAZY_BYTES {
            let (mut memory, _) = Self::reserve(len)?;
            memory.account = account;
            return Ok(Arc::new(memory));
        }
        let gate = Gate::default();
        if len == 0 {
            return Ok(Arc::new(Self {
                base: NonNull::dangling(),
                len: 0,
                backing: Backing::Empty,
                gate,
                account,
            }));
        }
        // An alignment that the allocator gives anyway: with a larger one it would fill the block with zeros by hand.
        let layout = std::alloc::Layout::from_size_align(len, 16).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the layout has a size above zero.
        let base = unsafe { std::alloc::alloc_zeroed(layout) };
        let base = NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Arc::new(Self {
            base,
            len,
            backing: Backing::Heap(layout),
            gate,
            account,
        }))
    }

    /// The mapped range of a file.
    pub fn file(file: MappedFile) -> Arc<Self> {
        Arc::new(Self {
            // The kernel maps nothing at address 0.
            base: NonNull::new(file.base()).unwrap_or(NonNull::dangling()),
            len: file.len(),
            backing: Backing::File(file),
            gate: Gate::default(),
            account: Account::Nobody,
        })
    }

    /// The file that it is a range of, if it is one.
    pub fn as_file(&self) -> Option<&MappedFile> {
        match &self.backing {
            Backing::File(file) => Some(file),
            _ => None,
        }
    }

    /// The same memory, which nobody else has yet, on somebody's account from now on until it is freed.
    pub(crate) fn accounted(mut self: Arc<Self>, account: impl Into<Account>) -> Arc<Self> {
        let own = Arc::get_mut(&mut self);
        debug_assert!(
            own.is_some(),
            "memory that is shared already keeps the account that it has"
        );
        if let Some(own) = own {
            own.account = account.into();
        }
        self
    }

    /// Whose it is.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// Who is using it, and whether anybody still may.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Number of bytes that may be reached.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no byte to reach.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// First byte, for system calls and for JavaScript's view; valid while this value lives.
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` where a file was truncated, and what the system says; none for other memory.
    ///
    /// # Panics
    /// When the range leaves the memory: spans are checked before, so this is a bug and not an input.
    pub fn copy_in(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        // SAFETY: a slice is readable, and never overlaps memory that has no reference.
        unsafe { self.copy_in_raw(offset, bytes.as_ptr(), bytes.len()) }
    }

    /// Copies from `offset` into `bytes`, whatever the bytes are at that moment.
    ///
    /// # Errors
    /// As for [`Memory::copy_in`].
    ///
    /// # Panics
    /// When the range leaves the memory, as for [`Memory::copy_in`].
    pub fn copy_out(&self, offset: usize, bytes: &mut [u8]) -> io::Result<()> {
        // SAFETY: a unique slice is writable, and never overlaps memory that has no reference.
        unsafe { self.copy_out_raw(offset, bytes.as_mut_ptr(), bytes.len()) }
    }

    /// Copies `len` bytes from `offset` to another memory, or to another place of this one.
    ///
    /// # Errors
    /// As for [`Memory::copy_in`], of either side.
    ///
    /// # Panics
    /// When a range leaves its memory, as for [`Memory::copy_in`].
    pub fn copy_to(&self, offset: usize, to: &Self, to_offset: usize, len: usize) -> io::Result<()> {
        self.check(offset, len);
        if self.as_file().is_none() {
            // SAFETY: `check` above: `len` bytes from `offset` are readable; the other side is checked by the callee.
            return unsafe { to.copy_in_raw(to_offset, self.base.as_ptr().add(offset), len) };
        }
        let mut bytes = vec![0; len.min(STEP_BYTES)];
        for done in (0..len).step_by(STEP_BYTES) {
            let step = &mut bytes[..STEP_BYTES.min(len - done)];
            self.copy_out(offset + done, step)?;
            to.copy_in(to_offset + done, step)?;
        }
        Ok(())
    }

    /// Copies `len` bytes to `offset` from memory that JavaScript owns.
    ///
    /// # Errors
    /// As for [`Memory::copy_in`].
    ///
    /// # Safety
    /// `from` must be readable for `len` bytes during the call.
    pub unsafe fn copy_in_raw(&self, offset: usize, from: *const u8, len: usize) -> io::Result<()> {
        self.check(offset, len);
        if let Backing::File(file) = &self.backing {
            // SAFETY: the caller's promise; a file has as many bytes as this memory, or says that it has not.
            return unsafe { file.write(offset, from, len) };
        }
        // SAFETY: `check` above for our side, the caller's promise for the other; memmove, because a view that
        // JavaScript passes may be a view of this very memory.
        unsafe { libc::memmove(self.base.as_ptr().add(offset).cast(), from.cast(), len) };
        Ok(())
    }

    /// Copies `len` bytes from `offset` to memory that JavaScript owns.
    ///
    /// # Errors
    /// As for [`Memory::copy_in`].
    ///
    /// # Safety
    /// `to` must be writable for `len` bytes during the call.
    pub unsafe fn copy_out_raw(&self, offset: usize, to: *mut u8, len: usize) -> io::Result<()> {
        self.check(offset, len);
        if let Backing::File(file) = &self.backing {
            // SAFETY: as in `copy_in_raw`.
            return unsafe { file.read(offset, to, len) };
        }
        // SAFETY: as in `copy_in_raw`.
        unsafe { libc::memmove(to.cast(), self.base.as_ptr().add(offset).cast(), len) };
        Ok(())
    }

    fn check(&self, offset: usize, len: usize) {
        assert!(
            offset <= self.len && len <= self.len - offset,
            "{len} bytes at {offset} leave {} bytes",
            self.len
        );
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match self.backing {
            Backing::Mapped { start, total } => {
                poison::allow(start.as_ptr(), total);
                // SAFETY: the mapping was made by `reserve` with exactly these values, and this is its only owner.
                unsafe { libc::munmap(start.as_ptr().cast(), total) };
            }
            // SAFETY: allocated by `private` with this layout, and this is its only owner.
            Backing::Heap(layout) => unsafe { std::alloc::dealloc(self.base.as_ptr(), layout) },
            // The slot itself is given back behind this, when the backing is dropped.
            Backing::Slot(ref slot) => {
                self.wipe(slot.size());
                poison::forbid(self.base.as_ptr(), self.len);
            }
            Backing::File(_) | Backing::Empty => {}
        }
    }
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("len", &self.len).finish_non_exhaustive()
    }
}

fn page_size() -> usize {
    // SAFETY: sysconf reads a constant of the system.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size)
        .ok()
        .filter(|n| n.is_power_of_two())
        .unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_memory_is_zeroed_aligned_and_writable_to_its_last_byte() {
        for len in [1, 4095, 4096, 4097, HUGE_PAGE, 3 * HUGE_PAGE + 5] {
            let memory = Memory::mapped(len).unwrap();
            assert_eq!(memory.as_ptr() as usize % page_size(), 0);
            let mut bytes = vec![1; len];
            memory.copy_out(0, &mut bytes).unwrap();
            assert!(bytes.iter().all(|&b| b == 0));
            memory.copy_in(len - 1, &[7]).unwrap();
            memory.copy_out(0, &mut bytes).unwrap();
            assert_eq!(bytes[len - 1], 7);
        }
    }

    #[test]
    fn lengths_that_no_mapping_can_have_are_refused() {
        assert!(Memory::mapped(0).is_err());
        assert!(Memory::mapped(usize::MAX).is_err());
        assert!(Memory::mapped(usize::MAX / 2).is_err());
        assert!(Memory::private(usize::MAX / 2 + 1).is_err());
    }

    #[test]
    fn a_copy_that_leaves_the_memory_panics_before_it_touches_a_byte() {
        let memory = Memory::private(8).unwrap();
        for (offset, len) in [(usize::MAX, 2), (8, 1), (9, 0), (0, 9), (7, 2)] {
            let copied = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                memory.copy_in(offset, &vec![0xff; len]).unwrap();
            }));
            assert!(copied.is_err(), "{len} bytes at {offset}");
        }
        memory.copy_in(8, &[]).unwrap();
        let mut bytes = [1; 8];
        memory.copy_out(0, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 8]);
    }
}
